"""Arms of one application, played with the same tasks, seeds and samples, each in a folder of its own.

    lab = Lab(load_application("natural-language"), "embedded", Path("runs/lab"))
    outcome = lab.run(arm("self-rewarding"), seed=0, iterations=1)

| path | holds |
|---|---|
| `lab.json` | what is played and measured; a folder of other tasks is refused |
| `samples.db` | the target's answers, so that arms judge identical candidates (`nodes/targets/cached.py`) |
| `before/SCALE.json` | the target before any training, evaluated once; one a seed where each seed has its own |
| `ARM/seed-N/` | an `iterate` folder: pairs, adapters, evaluations; arms that come to the same settings share one |
| `fluency.json` | beside each evaluation: the perplexity of the scale's `fluency` texts, where it has some |

Everything that is complete is skipped when it is asked for again, by whichever table or figure. A seed decides
which tasks are played, how they are sampled and how training runs; held-out tasks are the same for all seeds.
The gate between iterations is off, so that each arm's numbers are its own.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from anyprefer.core.disk import write_json
from anyprefer.core.errors import RunFolderError
from anyprefer.core.input_rows import BadRow
from anyprefer.core.results import EvalResult
from anyprefer.core.roles import Evaluate, Target
from anyprefer.core.settings import RunSettings
from anyprefer.core.task import Task
from anyprefer.models.traits import traits_of
from anyprefer.training.applications.application import Application
from anyprefer.training.applications.arms import Arm
from anyprefer.training.evaluation.complete import mostly_unscored
from anyprefer.training.evaluation.fluency import Fluency, fluency
from anyprefer.training.loop.iterate import Iteration, Plan, Steps, iterate, plays
from anyprefer.training.loop.settings import IterateSettings

FLUENCY = "fluency.json"
HELDOUT_SEED = 0
"""Held-out tasks are drawn with this seed in every arm."""


@dataclass(frozen=True)
class Outcome:
    """What one arm came to with one seed."""

    arm: Arm
    seed: int
    iterations: Sequence[Iteration]
    """Number 0 is the target before training."""
    folder: Path

    def marks(self, benchmark: str, iteration: int) -> Mapping[str, bool]:
        """Whether each held-out answer was right after an iteration, by task id."""
        return self.iterations[iteration].results[benchmark].marks

    def pairs(self, iteration: int) -> Path:
        """The run folder of an iteration's pairs, from 1."""
        return self.folder / f"iteration-{iteration}" / "pairs"


class Lab:
    """A folder of arms."""

    def __init__(self, app: Application, scale: str, folder: Path, tasks: int = 0, heldout: int = 0) -> None:
        """`tasks` of each source in an iteration and `heldout` of each benchmark; 0: the application's."""
        self.app = app.with_tasks(scale, tasks) if tasks else app
        self.scale = scale
        self.folder = folder
        self.heldout = heldout

    def run(self, arm: Arm, seed: int, iterations: int, steps: Steps | None = None) -> Outcome:
        """Plays, trains and evaluates what of it is not there yet.

        Raises `RunFolderError` when the folder's other arms had other tasks, and what `iterate` raises.
        """
        self._check()
        home = self._home(arm, seed)
        done = iterate(self.plan(arm, seed, iterations), home, self._evaluate(seed), steps)
        return Outcome(arm, seed, done, home)

    def finished(self, arm: Arm, seed: int) -> int:
        """How many iterations are complete."""
        home, number = self._home(arm, seed), 0
        while (home / f"iteration-{number + 1}" / "evaluation.json").exists():
            number += 1
        return number

    def fluency(self, outcome: Outcome, iteration: int) -> Fluency | None:
        """The likelihood of the scale's fluency texts after an iteration; None where it was not measured."""
        file = outcome.folder / f"iteration-{iteration}" / FLUENCY if iteration else self._fluency_before
        return Fluency.model_validate_json(file.read_text(encoding="utf-8")) if file.exists() else None

    def _check(self) -> None:
        note, scale = self.folder / "lab.json", self.app.scale(self.scale)
        said = {
            "application": self.app.name,
            "scale": self.scale,
            "sources": [source.model_dump(mode="json") for source in scale.sources],
            "benchmarks": list(self.app.measured(self.scale)),
            "heldout": self.heldout,
        }
        if note.exists():
            before: dict[str, object] = json.loads(note.read_text(encoding="utf-8"))
            if other := [key for key in said if before.get(key) != said[key]]:
                raise RunFolderError(
                    f"{self.folder} compares arms of other tasks: it was made with {other[0]} = {before.get(other[0])}, "
                    f"not {said[other[0]]}; choose another folder or remove it"
                )
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(note, said)

    def _home(self, arm: Arm, seed: int) -> Path:
        """The arm's folder, or that of an arm which comes to the same settings and was there before."""
        own = self.folder / arm.name / f"seed-{seed}"
        plan = self.plan(arm, seed, 1)
        same = [home for home in sorted(self.folder.glob(f"*/seed-{seed}")) if plays(plan, home)]
        return own if own in same or not same else same[0]

    def plan(self, arm: Arm, seed: int, iterations: int) -> Plan:
        """What `iterate` plays for an arm."""
        settings = self.settings(arm, seed)
        chosen = self.app.scale(self.scale)
        return Plan(
            settings,
            self.app.trainer(self.scale, **self.app.arm_changes(self.scale, arm.name)[1]),
            iterations,
            lambda number: self.tasks(number, seed),
            chosen.base,
            IterateSettings(gate=False),
            samples=self.folder / "samples.db",
            labels={"application": f"{self.app.name}-{self.scale}", "arm": arm.name},
        )

    def settings(self, arm: Arm, seed: int) -> RunSettings:
        """The application's settings with the arm's changes, and the scale's for that arm.

        An arm without tools may need another judge, which then rates no pairs; options are of tools that are there.
        """
        shared = {"seed": seed, "tool_options": {}}
        scale = self.app.scale(self.scale)
        bare = scale.judge_without_tools
        judge = {"judge": bare, "reward": "accept"} if bare and arm.settings.get("tools") == () else {}
        changes = {**judge, **arm.settings, **self.app.arm_changes(self.scale, arm.name)[0], **shared}
        settings = self.app.settings(self.scale, **changes)
        options = self.app.values(self.scale)["tool_options"]
        return settings.model_copy(
            update={"tool_options": {name: given for name, given in options.items() if name in settings.tools}}
        )

    def tasks(self, iteration: int, seed: int) -> list[Task | BadRow]:
        """An iteration's tasks, shuffled: where `accept` ends a run early, every source has had its share."""
        tasks = self.app.tasks(self.scale, iteration, seed)
        random.Random(seed).shuffle(tasks)
        return tasks

    def _evaluate(self, seed: int) -> Evaluate:
        """The application's benchmarks; what the target could before any training is measured once for all arms, of
        targets that are other ones with other seeds once a target."""
        settings = self.app.settings(self.scale, seed=HELDOUT_SEED)
        ask = self.app.evaluation(self.scale, settings, self.heldout)
        few = f"-{self.heldout}" if self.heldout else ""
        own = f"-seed-{seed}" if "{seed}" in self.app.scale(self.scale).target else ""
        before = self.folder / "before" / f"{self.scale}{few}{own}.json"

        def evaluate(target: Target, iteration: int, home: Path) -> Mapping[str, EvalResult]:
            self._measure_fluency(target, home / FLUENCY if iteration else self._fluency_before)
            if iteration:
                return ask(target, iteration, home)
            if not before.exists():
                found = ask(target, iteration, before.parent)
                if mostly_unscored(found):  # an outage: `iterate` stops, and the next call asks again
                    return found
                write_json(before, {name: result.model_dump(mode="json") for name, result in found.items()})
            saved = json.loads(before.read_text(encoding="utf-8"))
            return {name: EvalResult.model_validate(result) for name, result in saved.items()}

        return evaluate

    @property
    def _fluency_before(self) -> Path:
        return self.folder / "before" / f"{self.scale}-{FLUENCY}"

    def _measure_fluency(self, target: Target, file: Path) -> None:
        """Of the scale's texts, if it has some, with a model that runs here."""
        texts, model = self.app.scale(self.scale).fluency, getattr(target, "model", None)
        if not texts or model is None or not traits_of(model).in_process or file.exists():
            return
        tasks = texts.tasks_of(1, 1, HELDOUT_SEED)[: self.heldout or None]
        found = fluency(traits_of(model).name, tasks, self.app.settings(self.scale).system)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, found.model_dump(mode="json"))
