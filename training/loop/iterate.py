"""Iterative preference fine-tuning (§2.5): synthesise → train → evaluate → the stronger target plays on.

    iterate(Demo().plan(), Path("runs/loop"), Demo().evaluate)

A folder holds one sub-folder an iteration, each with the run (`pairs/`), the adapter (`adapter/`), the
evaluation (`evaluation.json`) and what the gate said of it (`gate.json`); with `replay` the pairs trained on
again (`replay.jsonl`), with `merge` the whole model (`model/`). Every step that is complete is skipped when the
same command is given again; a half-finished synthesis or evaluation is resumed.

A synthesis most of whose rows failed is not trained on, and an evaluation most of whose tasks could not be asked is not
kept: both stop the loop, and the same command asks again. Single tasks without an answer are asked again until the next
iteration begins.

An iteration that the gate refuses changes nothing: the target before it plays the next one, and is what is
trained further.

A target behind a URL (`openai:NAME@URL`, a vLLM or SGLang server of the plan's `base`) is sampled there and
trained here; each adapter is then served there under a new name, which plays the next iteration.

Departures from the paper: it does not say whether an iteration sees new tasks; ours are given per
iteration. The reference policy of later rounds is `TrainSettings.reference`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel

from anyprefer.core.disk import write_json
from anyprefer.core.errors import RunFolderError, SettingsError
from anyprefer.core.input_rows import BadRow
from anyprefer.core.records import Row
from anyprefer.core.settings import RunSettings
from anyprefer.core.task import Task
from anyprefer.core.values import stable_hash
from anyprefer.graph.dataset_prompts import last_kept
from anyprefer.graph.runs.runner import Synthesis
from anyprefer.models import load_model
from anyprefer.models.load import split_server
from anyprefer.models.traits import unload
from anyprefer.training.evaluation.asking import keys_of, within_limits
from anyprefer.training.evaluation.complete import check_counts, check_ended, check_scored, mostly_unscored
from anyprefer.training.evaluation.evaluate import EvalResult
from anyprefer.training.loop.adoption import judged
from anyprefer.training.loop.serving import serve_adapter
from anyprefer.training.pair_data.earlier import replayed
from anyprefer.training.trainers.merge import merge
from anyprefer.training.trainers.settings import IterateSettings, TrainSettings
from anyprefer.training.trainers.text_dpo import REPORT, train

log = logging.getLogger("anyprefer")

Evaluate = Callable[[BaseChatModel, int, Path], Mapping[str, EvalResult]]
"""Held-out results, by name of the task set, of the target after so many iterations (0: before the
first); the folder is for what should be kept of it."""


PLAN = "plan.json"


@dataclass(frozen=True)
class Plan:
    """What is played and how it is trained."""

    settings: RunSettings
    """Its target is where the first iteration starts: `smollm2`, `hf:…`, or `openai:NAME@URL` with a `base`."""
    training: TrainSettings
    iterations: int
    tasks: Callable[[int], Iterable[Task | BadRow]]
    """The tasks of iteration 1, 2, …"""
    base: str = ""
    """What is trained where the target is a server's: `smollm2` or `hf:…`, the model that server runs."""
    loop: IterateSettings = field(default_factory=IterateSettings)
    """The gate between iterations, what the next one trains, and which pairs it sees again."""
    shares: int = 1
    """Among how many iterations one set of tasks is dealt out; with another number each would play other tasks."""


@dataclass(frozen=True)
class Iteration:
    """What one iteration came to; number 0 is the target before the first."""

    number: int
    target: str
    """Model string of the target that plays on after this iteration: the one before, if this was not adopted."""
    counts: dict[str, int]
    """accepted, rejected, failed rows."""
    results: dict[str, EvalResult]
    """Held-out results by family of what was trained, adopted or not."""
    adopted: bool = True
    reason: str = ""
    """Why it was not adopted."""


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
    was made with other settings, `TrainingError` when an iteration accepted no pair, `RunStopped` when a server is gone,
    a budget is spent, or most of a synthesis or an evaluation failed.
    """
    steps = steps or Steps()
    _check(plan, folder)
    target = plan.settings.target
    base = plan.base or target
    steps.step(0, "evaluate")
    settings = plan.settings
    results = _evaluated(folder / "base", target, 0, evaluate, settings, settled=(folder / "iteration-1").exists())
    check_scored(results, 0)
    standing = Iteration(0, target, {}, results)
    steps.done(standing)
    done, earlier = [standing], list[Path]()
    for number in range(1, plan.iterations + 1):
        home = folder / f"iteration-{number}"
        steps.step(number, "synthesise")
        before = folder / f"iteration-{number - 1}" / "pairs"
        counts = _synthesised(plan, home, standing.target, number, steps, before)
        steps.step(number, "train")
        trained = _trained(plan, home, base, number, earlier)
        candidate = _served(plan, number, trained) if plan.base else f"hf:{trained}"
        steps.step(number, "evaluate")
        settled = (folder / f"iteration-{number + 1}").exists()
        results = _evaluated(home, candidate, number, evaluate, settings, settled)
        check_scored(results, number)
        refusal = _refused(home, standing.results, results) if plan.loop.gate else ""
        done.append(Iteration(number, standing.target if refusal else candidate, counts, results, not refusal, refusal))
        if not refusal:
            standing, base, earlier = done[-1], f"hf:{trained}", [*earlier, home / "pairs"]
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
    if plan.base and not (target.startswith("openai:") and split_server(target.removeprefix("openai:"))[1]):
        raise SettingsError(f"a base is for a target behind a URL, openai:NAME@URL; {target!r} is trained itself")
    if plan.base and plan.loop.adapter == "merge":
        raise SettingsError(
            "a server takes adapters, not merged models; leave adapter at chain for a target behind a URL"
        )
    if (folder / PLAN).exists() and (changed := _changed(plan, folder)):
        raise RunFolderError(
            f"{folder} was made with other settings ({', '.join(changed)}); choose another folder or remove it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / PLAN, _said(plan))


def plays(plan: Plan, folder: Path) -> bool:
    """Whether the folder is of this plan; the number of iterations may differ."""
    return (folder / PLAN).exists() and not _changed(plan, folder)


def _changed(plan: Plan, folder: Path) -> list[str]:
    """What differs from the plan the folder was made with."""
    then: dict[str, Any] = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    now = _said(plan)
    return [name for name in {**then, **now} if then.get(name) != now.get(name)]


def _said(plan: Plan) -> dict[str, Any]:
    said: dict[str, Any] = {
        "settings": plan.settings.digest(),
        "training": plan.training.model_dump(mode="json"),
        "loop": plan.loop.model_dump(mode="json"),
    }
    # how many pairs are trained on: to `synth` it is a budget, which may change when a run is gone on with
    if plan.settings.accept:
        said["accept"] = plan.settings.accept
    if plan.base:
        said["base"] = plan.base
    if plan.shares > 1:
        said["shares"] = plan.shares
    return said


def _synthesised(plan: Plan, home: Path, target: str, number: int, steps: Steps, before: Path) -> dict[str, int]:
    """Plays the iteration's tasks with the target as it is now; the counts cover resumed rows too.

    Pairs that were trained on stay as they are. Prompts shared by all tasks start as the iteration `before` left them.
    """
    folder = home / "pairs"
    if not (home / "adapter" / REPORT).exists():
        settings = plan.settings.model_copy(update={"target": target, "seed": plan.settings.seed + number - 1})
        run = Synthesis(settings, folder)
        if run.shared_prompts:
            run.shared_prompts.start_from(last_kept(before))
        run.play(plan.tasks(number), lambda row: steps.row(number, row))
        for chat in run.players.chats().values():
            unload(chat)
        check_ended(run)
    return check_counts(folder, number)


def _trained(plan: Plan, home: Path, base: str, number: int, earlier: Sequence[Path]) -> Path:
    """The folder of the adapter, or of the model it was merged into."""
    adapter = home / "adapter"
    if not (adapter / REPORT).exists():
        _set_aside(adapter)  # of a run that was killed while it saved
        seed = plan.training.seed + number
        again = replayed(home / "pairs", earlier, plan.loop.replay, seed, home / "replay.jsonl")
        train([home / "pairs", *again], base=base.removeprefix("hf:"), output=adapter, settings=plan.training)
    return merge(adapter, home / "model", plan.training.dtype) if plan.loop.adapter == "merge" else adapter


def _set_aside(folder: Path) -> None:
    """A folder of an unfinished training under another name, said so: what it holds may be all there is of it."""
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()
    elif folder.exists():
        number = next(n for n in count(1) if not folder.with_name(f"{folder.name}.unfinished-{n}").exists())
        aside = folder.rename(folder.with_name(f"{folder.name}.unfinished-{number}"))
        log.warning("%s has no report, so its training did not finish; it is kept as %s", folder, aside)


def _served(plan: Plan, number: int, adapter: Path) -> str:
    """The adapter's model string at the target's server. A restarted server gets it again."""
    model, url = split_server(plan.settings.target.removeprefix("openai:"))
    # the folder is in the name: another run's adapter of the same number is another model
    name = f"{model}-{stable_hash(str(adapter.resolve()))[:8]}-{number}"
    serve_adapter(url, name, adapter, keys_of(plan.settings).of(url))
    return f"openai:{name}@{url}"


def _evaluated(
    home: Path,
    target: str,
    number: int,
    evaluate: Evaluate,
    settings: RunSettings | None = None,
    settled: bool = False,
) -> dict[str, EvalResult]:
    """The kept evaluation, where it is whole, or `settled` because later steps rest on it; else what is asked now. One
    most of whose tasks have no answer is not kept."""
    file = home / "evaluation.json"
    if file.exists():
        saved: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        kept = {name: EvalResult.model_validate(result) for name, result in saved.items()}
        if settled or not any(result.unscored for result in kept.values()):
            return kept
    model = within_limits(target, settings) if settings else load_model(target)
    home.mkdir(parents=True, exist_ok=True)
    try:
        results = dict(evaluate(model, number, home))
    finally:
        unload(model)
    if not mostly_unscored(results):
        write_json(file, {name: result.model_dump(mode="json") for name, result in results.items()})
    return results


def _refused(home: Path, before: Mapping[str, EvalResult], after: Mapping[str, EvalResult]) -> str:
    """Why the gate does not let this iteration pass; empty if it does."""
    verdict = judged(before, after)
    write_json(home / "gate.json", verdict.model_dump(mode="json"))
    return verdict.reason
