"""The trainer `text_dpo`: a language model gets better at what it was sampled on, by DPO with LoRA (§2.5).

A checkpoint is a model string: `hf:FOLDER` of the adapter, which the next training continues, or with `merge` of
the model it was merged into. A target behind a URL (`openai:NAME@URL`, a vLLM or SGLang server of the model that is
trained) plays each adapter under a name of its own.

The work itself is in `dpo.py`, which is loaded when there is something to train.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyprefer.core.errors import SettingsError
from anyprefer.core.roles import Trainer
from anyprefer.core.settings import RunSettings
from anyprefer.core.values import stable_hash
from anyprefer.models.load import split_server
from anyprefer.models.local.built import is_built
from anyprefer.training.evaluation.asking import keys_of
from anyprefer.training.trainers import curves
from anyprefer.training.trainers.serving import serve_adapter
from anyprefer.training.trainers.settings import PRESETS, TextSettings, TrainSettings

if TYPE_CHECKING:
    from anyprefer.training.trainers.dpo import Texts

log = logging.getLogger("anyprefer")
REPORT = "anyprefer.json"
"""What is said of a finished training, beside the adapter."""


class TextDPO(Trainer):
    """DPO with LoRA on a model of transformers."""

    name = "text_dpo"
    settings_type = TextSettings
    presets = PRESETS
    folder = "adapter"
    embedded = "smollm2"
    """The embedded model that it is for."""
    round_type: type[TrainSettings] = TrainSettings
    """What of its settings is one training's."""
    settings: TextSettings

    def check(self, start: str, played: RunSettings) -> None:
        """A local model trains; one behind a URL is trained as the local model that it serves."""
        curves.check(self.settings.report_to)
        served = start != played.target
        if start != self.embedded and not (start.startswith("hf:") or is_built(start)):
            raise SettingsError(
                f"{'base' if served else 'target'} {start!r} cannot be trained here; iterate needs {self.embedded} or "
                f"hf:ID-or-folder{'' if served else ', or openai:NAME@URL with --base hf:ID-or-folder'}"
            )
        if served and not _server(played)[1]:
            raise SettingsError(
                f"a base is for a target behind a URL, openai:NAME@URL; {played.target!r} is trained itself"
            )
        if served and self.settings.adapter == "merge":
            raise SettingsError(
                "a server takes adapters, not merged models; leave adapter at chain for a target behind a URL"
            )

    def ready(self, pairs: Sequence[Path], start: str) -> str:
        """The number of pairs; all of them are read."""
        from anyprefer.models.local.adapters import model_or_base_source

        curves.check(self.settings.report_to)
        model_or_base_source(start.removeprefix("hf:"))
        from anyprefer.training.pair_data.read import load_pairs

        return f"{len(load_pairs(*pairs))} pairs"

    def train(self, pairs: Sequence[Path], start: str, output: Path, seed: int) -> str:
        """`hf:` and the folder of the adapter, or of the model it was merged into. A finished adapter is not trained
        again; what is left of another one is kept under a new name."""
        if not (output / REPORT).exists():
            from anyprefer.training.trainers.dpo import train

            _set_aside(output)
            train(pairs, base=start.removeprefix("hf:"), output=output, settings=self._round(seed), form=self.form())
        if self.settings.adapter == "chain":
            return f"hf:{output}"
        from anyprefer.training.trainers.merge import merge

        return f"hf:{merge(output, output.with_name('model'), self.settings.dtype)}"

    def target(self, checkpoint: str, played: RunSettings) -> str:
        """The checkpoint itself, or its name at the server that the first iteration's target stands at. A restarted
        server gets the adapter again."""
        model, url = _server(played)
        if not url:
            return checkpoint
        adapter = Path(checkpoint.removeprefix("hf:"))
        # the folder is in the name: another run's adapter of the same iteration is another model
        name = f"{model}-{stable_hash(str(adapter.resolve()))[:8]}-{adapter.parent.name}"
        serve_adapter(url, name, adapter, keys_of(played).of(url))
        return f"openai:{name}@{url}"

    def form(self) -> type[Texts]:
        """What the pairs are made of."""
        from anyprefer.training.trainers.dpo import Texts

        return Texts

    def told(self, output: Path) -> dict[str, str]:
        """Pairs, losses, rewards and seconds of the report."""
        report: dict[str, Any] = json.loads((output / REPORT).read_text(encoding="utf-8"))
        losses = report["losses"]
        rewards = {name: f"{value:.3f}" for name, value in report["metrics"].items() if name.startswith("rewards/")}
        loss = f"{losses[0]:.3f} → {losses[-1]:.3f}" if losses else "none"
        kept = {"kept step": f"{report['step']} of {len(losses)}"} if report.get("step") is not None else {}
        return {"pairs": str(report["trained"]), "loss": loss, **rewards, **kept, "seconds": f"{report['seconds']:g}"}

    def _round(self, seed: int) -> TrainSettings:
        values = {name: value for name, value in self.settings if name in self.round_type.model_fields}
        return self.round_type(**{**values, "seed": seed})


def _server(played: RunSettings) -> tuple[str, str]:
    """Model name and URL of a target behind a URL; else empty."""
    kind, _, rest = played.target.partition(":")
    return split_server(rest) if kind == "openai" and rest else ("", "")


def _set_aside(folder: Path) -> None:
    """What an unfinished training left under another name, said so: it may be all there is of it."""
    if folder.exists() and any(folder.iterdir()):
        number = next(n for n in count(1) if not folder.with_name(f"{folder.name}.unfinished-{n}").exists())
        aside = folder.rename(folder.with_name(f"{folder.name}.unfinished-{number}"))
        log.warning("%s has no report, so its training did not finish; it is kept as %s", folder, aside)


offers = TextDPO
