"""Iterative preference fine-tuning (§2.5): synthesise → train → evaluate → the stronger target plays on.

    iterate(Demo().plan(), Path("runs/loop"), Demo().evaluate)

A folder holds one sub-folder an iteration, each with the run (`pairs/`), the adapter (`adapter/`) and
the evaluation (`evaluation.json`). Every step that is complete is skipped when the same command is
given again, and a half-finished synthesis goes on where it was.

A target behind a URL (`openai:NAME@URL`, a vLLM or SGLang server of the plan's `base`) is sampled there and
trained here; each adapter is then served there under a new name, which plays the next iteration.

Departures from the paper: it does not say whether an iteration sees new tasks; ours are given per
iteration. The reference policy of later rounds is `TrainSettings.reference`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel

from anyprefer.graph.errors import INTERRUPT, BudgetSpent, RunFolderError, SettingsError, TrainingError
from anyprefer.graph.inputs import BadRow
from anyprefer.graph.models import load_model
from anyprefer.graph.runner import Synthesis
from anyprefer.graph.settings import Settings
from anyprefer.graph.state import Row, Task, stable_hash
from anyprefer.training.dpo import REPORT, train
from anyprefer.training.evaluate import EvalResult
from anyprefer.training.serving import serve_adapter
from anyprefer.training.settings import TrainSettings

Evaluate = Callable[[BaseChatModel, int, Path], Mapping[str, EvalResult]]
"""Held-out results, by name of the task set, of the target after so many iterations (0: before the
first); the folder is for what should be kept of it."""


@dataclass(frozen=True)
class Plan:
    """What is played and how it is trained."""

    settings: Settings
    """Its target is where the first iteration starts: `smollm2`, `hf:…`, or `openai:NAME@URL` with a `base`."""
    training: TrainSettings
    iterations: int
    tasks: Callable[[int], Iterable[Task | BadRow]]
    """The tasks of iteration 1, 2, …"""
    base: str = ""
    """What is trained where the target is a server's: `smollm2` or `hf:…`, the model that server runs."""


@dataclass(frozen=True)
class Iteration:
    """What one iteration came to; number 0 is the target before the first."""

    number: int
    target: str
    """Model string of the target after this iteration."""
    counts: dict[str, int]
    """accepted, rejected, failed rows."""
    results: dict[str, EvalResult]
    """Held-out results by family."""


class Steps:
    """What happens while `iterate` works; override what is wanted, for progress and reports."""

    def row(self, iteration: int, row: Row) -> None:
        """A row of the synthesis is finished."""

    def step(self, iteration: int, name: str) -> None:
        """`synthesise`, `train` or `evaluate` begins."""

    def done(self, iteration: Iteration) -> None:
        """An iteration is finished."""


def iterate(plan: Plan, folder: Path, evaluate: Evaluate, steps: Steps | None = None) -> list[Iteration]:
    """Plays all iterations; returns number 0 (before) and one entry an iteration.

    Raises `SettingsError` for a target that cannot be trained here, `RunFolderError` when the folder
    was made with other settings, `TrainingError` when an iteration accepted no pair.
    """
    steps = steps or Steps()
    _check(plan, folder)
    target = plan.settings.target
    base = plan.base or target
    steps.step(0, "evaluate")
    done = [Iteration(0, target, {}, _evaluated(folder / "base", target, 0, evaluate))]
    steps.done(done[0])
    for number in range(1, plan.iterations + 1):
        home = folder / f"iteration-{number}"
        steps.step(number, "synthesise")
        counts = _synthesised(plan, home / "pairs", target, number, steps)
        steps.step(number, "train")
        base = f"hf:{_trained(plan, home, base)}"
        target = _served(plan, number, home / "adapter") if plan.base else base
        steps.step(number, "evaluate")
        done.append(Iteration(number, target, counts, _evaluated(home, target, number, evaluate)))
        steps.done(done[-1])
    return done


def _check(plan: Plan, folder: Path) -> None:
    target = plan.settings.target
    base = plan.base or target
    if base != "smollm2" and not base.startswith("hf:"):
        what = "base" if plan.base else "target"
        raise SettingsError(
            f"{what} {base!r} cannot be trained here; iterate needs smollm2 or hf:ID-or-folder"
            + ("" if plan.base else ", or openai:NAME@URL with --base hf:ID-or-folder")
        )
    if plan.base and not (target.startswith("openai:") and "@" in target):
        raise SettingsError(f"a base is for a target behind a URL, openai:NAME@URL; {target!r} is trained itself")
    note = folder / "plan.json"
    said = {"settings": plan.settings.digest(), "training": plan.training.model_dump(mode="json")}
    said |= {"base": plan.base} if plan.base else {}
    if note.exists() and json.loads(note.read_text(encoding="utf-8")) != said:
        raise RunFolderError(f"{folder} was made with other settings; choose another folder or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def _synthesised(plan: Plan, folder: Path, target: str, number: int, steps: Steps) -> dict[str, int]:
    """Plays the iteration's tasks with the target as it is now; the counts cover resumed rows too."""
    settings = plan.settings.model_copy(update={"target": target, "seed": plan.settings.seed + number - 1})
    run = Synthesis(settings, folder)
    run.play(plan.tasks(number), lambda row: steps.row(number, row))
    unload(run.players.target)
    if run.stopped == INTERRUPT:
        raise KeyboardInterrupt
    if isinstance(run.calls.stopped, BudgetSpent):
        raise run.calls.stopped
    counts: dict[str, int] = json.loads((folder / "run.json").read_text(encoding="utf-8"))["counts"]
    if not counts["accepted"]:
        raise TrainingError(f"iteration {number} accepted no pair ({counts}); see the reasons in {folder}")
    return counts


def _trained(plan: Plan, home: Path, base: str) -> Path:
    adapter = home / "adapter"
    if not (adapter / REPORT).exists():
        train([home / "pairs"], base=base.removeprefix("hf:"), output=adapter, settings=plan.training)
    return adapter


def _served(plan: Plan, number: int, adapter: Path) -> str:
    """The adapter's model string at the target's server. A restarted server gets it again."""
    model, url = plan.settings.target.removeprefix("openai:").split("@", 1)
    # the folder is in the name: another run's adapter of the same number is another model
    name = f"{model}-{stable_hash(str(adapter.resolve()))[:8]}-{number}"
    serve_adapter(url, name, adapter)
    return f"openai:{name}@{url}"


def _evaluated(home: Path, target: str, number: int, evaluate: Evaluate) -> dict[str, EvalResult]:
    file = home / "evaluation.json"
    if file.exists():
        saved: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return {name: EvalResult.model_validate(result) for name, result in saved.items()}
    model = load_model(target)
    home.mkdir(parents=True, exist_ok=True)
    results = dict(evaluate(model, number, home))
    unload(model)
    dumped = {name: result.model_dump(mode="json") for name, result in results.items()}
    file.write_text(json.dumps(dumped, indent=2) + "\n", encoding="utf-8")
    return results


def unload(holder: Any) -> None:
    """Frees the weights of a local model, or of the one a target holds: training needs the memory."""
    model = getattr(holder, "model", holder)
    if hasattr(model, "unload"):
        model.unload()
