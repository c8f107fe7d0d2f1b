"""Iterative preference fine-tuning (§2.5): synthesise → train → evaluate → the stronger target plays on.

    iterate(Plan(settings, trainer("text_dpo"), 2, tasks), Path("runs/loop"), evaluation(["sums"], settings))

The target is a string (a model, a policy of your own) and so is what training it comes to, a checkpoint: what that is
and how it is made the trainer knows (`core.roles.Trainer`), and how it is measured the evaluation.

Models that are built on this machine (`scenes`, `scene_detector`) and are not there yet are built first.

A folder holds one sub-folder an iteration, each with the run (`pairs/`), what was trained (`adapter/` of a language
model), the checkpoint (`trained.json`), the evaluation (`evaluation.json`) and what the gate said of it (`gate.json`);
with `replay` the pairs trained on again (`replay.jsonl`). Every step that is complete is skipped when the same command
is given again; a half-finished synthesis or evaluation is resumed.

A synthesis most of whose rows failed is not trained on, and an evaluation most of whose tasks could not be asked is not
kept: both stop the loop, and the same command asks again. Single tasks without an answer are asked again until the next
iteration begins.

An iteration that the gate refuses changes nothing: the target before it plays the next one, and is what is
trained further.

Departures from the paper: it does not say whether an iteration sees new tasks; ours are given per
iteration.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anyprefer.core.background_loop import run_blocking
from anyprefer.core.disk import write_json
from anyprefer.core.errors import RunFolderError
from anyprefer.core.input_rows import BadRow
from anyprefer.core.records import Row
from anyprefer.core.results import EvalResult
from anyprefer.core.roles import Evaluate, Trainer, closed, opened
from anyprefer.core.settings import RunSettings
from anyprefer.core.task import Task
from anyprefer.graph.dataset_prompts import last_kept
from anyprefer.graph.players import assemble, load_target
from anyprefer.graph.runs.runner import Synthesis
from anyprefer.training.bases.by_name import ensure, missing
from anyprefer.training.evaluation.complete import check_counts, check_ended, check_scored, mostly_unscored
from anyprefer.training.loop.adoption import judged
from anyprefer.training.loop.settings import IterateSettings
from anyprefer.training.pair_data.earlier import replayed

PLAN, TRAINED = "plan.json", "trained.json"


@dataclass(frozen=True)
class Plan:
    """What is played and how it is trained."""

    settings: RunSettings
    """Its target plays the first iteration."""
    trainer: Trainer
    iterations: int
    tasks: Callable[[int], Iterable[Task | BadRow]]
    """The tasks of iteration 1, 2, …"""
    start: str = ""
    """What is trained first where it is not the target's own string, such as the model that a server runs."""
    loop: IterateSettings = field(default_factory=IterateSettings)
    """The gate between iterations, and which pairs the next one sees again."""
    shares: int = 1
    """Among how many iterations one set of tasks is dealt out; with another number each would play other tasks."""
    samples: Path | str = ""
    """A file of the target's answers that several plans share."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What traces are found by, such as `application` and `arm`; the iteration joins them."""


@dataclass(frozen=True)
class Iteration:
    """What one iteration came to; number 0 is the target before the first."""

    number: int
    target: str
    """String of the target that plays on after this iteration: the one before, if this was not adopted."""
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
        """`synthesise`, `train` or `evaluate` begins, or before the first `build NAME` of a model that is made here."""

    def done(self, iteration: Iteration) -> None:
        """An iteration is finished."""


def iterate(plan: Plan, folder: Path, evaluate: Evaluate, steps: Steps | None = None) -> list[Iteration]:
    """Plays all iterations; returns number 0 (before) and one entry an iteration.

    Raises `SettingsError` for a target that cannot be trained here, `RunFolderError` when the folder
    was made with other settings, `TrainingError` when an iteration accepted no pair, `RunStopped` when a server is gone,
    a budget is spent, or most of a synthesis or an evaluation failed.
    """
    steps = steps or Steps()
    for name in missing(plan.settings):
        steps.step(0, f"build {name}")
        ensure(name)
    _check(plan, folder)
    settings, start = plan.settings, plan.start or plan.settings.target
    steps.step(0, "evaluate")
    settled = (folder / "iteration-1").exists()
    results = _evaluated(folder / "base", settings.target, 0, evaluate, settings, settled)
    check_scored(results, 0)
    standing = Iteration(0, settings.target, {}, results)
    steps.done(standing)
    done, earlier = [standing], list[Path]()
    for number in range(1, plan.iterations + 1):
        home = folder / f"iteration-{number}"
        steps.step(number, "synthesise")
        before = folder / f"iteration-{number - 1}" / "pairs"
        counts = _synthesised(plan, home, standing.target, number, steps, before)
        steps.step(number, "train")
        checkpoint = _trained(plan, home, start, number, earlier)
        candidate = plan.trainer.target(checkpoint, settings)
        steps.step(number, "evaluate")
        settled = (folder / f"iteration-{number + 1}").exists()
        results = _evaluated(home, candidate, number, evaluate, settings, settled)
        check_scored(results, number)
        refusal = _refused(home, standing.results, results) if plan.loop.gate else ""
        done.append(Iteration(number, standing.target if refusal else candidate, counts, results, not refusal, refusal))
        if not refusal:
            standing, start, earlier = done[-1], checkpoint, [*earlier, home / "pairs"]
        steps.done(done[-1])
    return done


def _check(plan: Plan, folder: Path) -> None:
    plan.trainer.check(plan.start or plan.settings.target, plan.settings)
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
        "trainer": plan.trainer.name,
        "training": plan.trainer.settings.model_dump(mode="json"),
        "loop": plan.loop.model_dump(mode="json"),
    }
    # how many pairs are trained on: to `synth` it is a budget, which may change when a run is resumed
    if plan.settings.accept:
        said["accept"] = plan.settings.accept
    if plan.start:
        said["start"] = plan.start
    if plan.shares > 1:
        said["shares"] = plan.shares
    return said


def _synthesised(plan: Plan, home: Path, target: str, number: int, steps: Steps, before: Path) -> dict[str, int]:
    """Plays the iteration's tasks with the target as it is now; the counts cover resumed rows too.

    Pairs that were trained on stay as they are. Prompts shared by all tasks start as the iteration `before` left them.
    """
    folder = home / "pairs"
    if not (home / TRAINED).exists():
        settings = plan.settings.model_copy(update={"target": target, "seed": plan.settings.seed + number - 1})
        labels = {**plan.labels, "iteration": str(number)}
        run = Synthesis(settings, folder, assemble(settings, samples=plan.samples), labels=labels)
        if run.shared_prompts:
            run.shared_prompts.start_from(last_kept(before))
        run.play(plan.tasks(number), lambda row: steps.row(number, row))
        check_ended(run)
    return check_counts(folder, number)


def _trained(plan: Plan, home: Path, start: str, number: int, earlier: Sequence[Path]) -> str:
    """The checkpoint that training came to, now or before."""
    file, output, seed = home / TRAINED, home / plan.trainer.folder, plan.settings.seed
    if file.exists():
        said: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
        return said["checkpoint"].replace(said["home"], str(home))  # the folder may have been moved since
    again = replayed(home / "pairs", earlier, plan.loop.replay, seed + number, home / "replay.jsonl")
    checkpoint = plan.trainer.train([home / "pairs", *again], start, output, seed)
    write_json(file, {"checkpoint": checkpoint, "home": str(home)})
    return checkpoint


def _evaluated(
    home: Path, target: str, number: int, evaluate: Evaluate, settings: RunSettings, settled: bool = False
) -> dict[str, EvalResult]:
    """The kept evaluation, where it is whole, or `settled` because later steps rest on it; else what is asked now. One
    most of whose tasks have no answer is not kept."""
    file = home / "evaluation.json"
    if file.exists():
        saved: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        kept = {name: EvalResult.model_validate(result) for name, result in saved.items()}
        if settled or not any(result.unscored for result in kept.values()):
            return kept
    home.mkdir(parents=True, exist_ok=True)
    results = _measured(target, number, evaluate, settings, home)
    if not mostly_unscored(results):
        write_json(file, {name: result.model_dump(mode="json") for name, result in results.items()})
    return results


def _measured(target: str, number: int, evaluate: Evaluate, settings: RunSettings, home: Path) -> dict[str, EvalResult]:
    player = load_target(target, settings)
    try:
        run_blocking(opened(player))
        return dict(evaluate(player, number, home))
    finally:
        run_blocking(closed(player))


def _refused(home: Path, before: Mapping[str, EvalResult], after: Mapping[str, EvalResult]) -> str:
    """Why the gate does not let this iteration pass; empty if it does."""
    verdict = judged(before, after)
    write_json(home / "gate.json", verdict.model_dump(mode="json"))
    return verdict.reason
