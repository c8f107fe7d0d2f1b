"""Plays what studies need and writes their report; arms that are complete are not played again.

reproduce(["table4"], load_application("natural-language"), "embedded", Path("runs/reproduce"), seeds=(0, 1, 2))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from anyprefer.core.errors import InputError, RunStopped, SettingsError, TrainingError
from anyprefer.training.analysis.report import Note, Report, write_report
from anyprefer.training.applications.application import Application
from anyprefer.training.applications.arms import arm
from anyprefer.training.experiments.lab import Lab, Outcome
from anyprefer.training.experiments.outcomes import Results
from anyprefer.training.experiments.scores import ablation
from anyprefer.training.experiments.studies import Study, study
from anyprefer.training.loop.iterate import Steps
from anyprefer.training.pair_data.any_data_set import Sample, read_samples


class Watch(Steps):
    """`Steps` that are told which arm and seed begins and which one has no outcome."""

    def arm(self, name: str, seed: int) -> None:
        """An arm begins."""

    def failed(self, name: str, seed: int, reason: str) -> None:
        """An arm came to nothing; the others continue."""


def reproduce(
    names: Sequence[str],
    lab: Lab,
    seeds: Sequence[int],
    against: Mapping[str, str | Path] | None = None,
    watch: Watch | None = None,
    play: bool = True,
) -> Path:
    """The report of the named studies (`STUDIES`, `MADE_WITH`), each once; returns the path of its REPORT.md.

    `against` are other pairs by name, as `read_samples` takes them, for Table 16 and Figure 6. Without `play` the report
    is made from what is complete. An arm that fails is a row that says why. Raises `SettingsError` for an unknown name
    and `InputError` for other pairs that cannot be read, both before anything is played.
    """
    chosen = list({id(found): found for found in map(study, names)}.values())
    others = {name: read_samples(source) for name, source in (against or {}).items()}
    results = _played(lab, _wanted(chosen, seeds, lab.app.scale(lab.scale).iterations), others, watch or Watch(), play)
    report = Report(", ".join(one.title for one in chosen), _about(lab))
    for one in chosen:
        try:
            report.add(*one.make(results))
        except InputError as error:
            report.add(Note(f"{one.title} could not be made: {error}."))
    return write_report(report, lab.folder / "report")


def ablate(arms: Sequence[str], lab: Lab, seeds: Sequence[int], iterations: int, watch: Watch | None = None) -> Path:
    """The named arms side by side, the first being what the others are held against; returns REPORT.md's path."""
    wanted = {arm(name).name: (iterations, seeds) for name in arms}
    results = _played(lab, wanted, {}, watch or Watch(), play=True)
    report = Report(f"Ablation: {', '.join(wanted)}", _about(lab))
    report.add(*ablation(results, list(wanted), iterations))
    return write_report(report, lab.folder / "ablation")


def _wanted(studies: Sequence[Study], seeds: Sequence[int], most: int) -> dict[str, tuple[int, Sequence[int]]]:
    """Each arm's iterations and seeds, the most that any of the studies needs."""
    wanted: dict[str, tuple[int, Sequence[int]]] = {}
    for one in studies:
        for name, iterations in one.arms.items():
            few, many = (seeds[:1] if name in one.one_seed else seeds), wanted.get(name, (0, ()))
            wanted[name] = (max(iterations or most, many[0]), max(few, many[1], key=len))
    return wanted


def _played(
    lab: Lab,
    wanted: Mapping[str, tuple[int, Sequence[int]]],
    against: Mapping[str, Sequence[Sample]],
    watch: Watch,
    play: bool,
) -> Results:
    outcomes: dict[str, list[Outcome]] = {}
    failures: dict[str, str] = {}
    left_out = lab.app.scale(lab.scale).left_out
    for name, (iterations, seeds) in wanted.items():
        if name in left_out:
            failures[name] = left_out[name]
            continue
        for seed in seeds:
            count = iterations if play else min(iterations, lab.finished(arm(name), seed))
            if not count:
                failures[name] = "not played yet"
                continue
            watch.arm(name, seed)
            try:
                outcomes.setdefault(name, []).append(lab.run(arm(name), seed, count, watch))
            except RunStopped:
                raise
            except (TrainingError, SettingsError) as error:
                failures[name] = f"seed {seed}: {error}"
                watch.failed(name, seed, str(error))
    return Results(lab, {name: some for name, some in outcomes.items() if some}, failures, against)


def _about(lab: Lab) -> str:
    app: Application = lab.app
    scale = app.scale(lab.scale)
    sources = ", ".join(f"{source.tasks} of {source.family or source.name}" for source in scale.sources)
    return (
        f"{app.title}, {lab.scale} scale: target {scale.target}, judge {scale.judge}; tasks of an iteration: {sources}. "
        "Intervals are 95%; held-out tasks are the same for every arm and seed and share no entity with trained ones."
    )
