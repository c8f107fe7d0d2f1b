"""What a tool that knows the regions of a picture says of them, and of a candidate beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from anyprefer.core.mentions import Agreement, Vocabulary
from anyprefer.core.records import Candidate
from anyprefer.core.regions import Region, regions_data
from anyprefer.core.task import Task
from anyprefer.tools.base import Finding
from anyprefer.tools.vision.questions import asks_description, asks_presence, says_present

SHOWN = 40
"""Regions that are listed in words; all are in `Finding.data`."""


@dataclass(frozen=True)
class Seen:
    """The regions of one picture, and whose they are in words: "the detector"."""

    regions: Sequence[Region]
    size: tuple[int, int]
    """Width, height of the picture in pixels."""
    by: str


def listed(seen: Seen) -> Finding:
    """The regions for the judge: as text, numbered as they are drawn, and as data."""
    lines = [f"{number}. {_told(region)}" for number, region in enumerate(seen.regions[:SHOWN], 1)]
    more = [f"and {len(seen.regions) - SHOWN} more"] if len(seen.regions) > SHOWN else []
    width, height = seen.size
    head = f"In the picture ({width} x {height} pixels; boxes are x0, y0, x1, y1) {seen.by} sees"
    return Finding(f"{head}: {'; '.join([*lines, *more]) or 'nothing'}.", data=regions_data(seen.regions, seen.size))


def compared(task: Task, candidate: Candidate, seen: Seen, vocabulary: Vocabulary) -> Finding:
    """How far the candidate agrees with what was seen.

    The verdict is 1 or 0 where the question is whether a thing is there and the answer says so or not; F1 of the
    mentions, 0..1, where a description is asked for; else None.
    """
    found = list(dict.fromkeys(region.label for region in seen.regions))
    label = asks_presence(task.question, vocabulary)
    data = regions_data(seen.regions, seen.size)
    if label is not None:
        said = says_present(candidate.text, label, vocabulary)
        there = label in found
        verdict = None if said is None else float(said == there)
        text = f"{_cap(seen.by)} {'sees' if there else 'does not see'} {label}; the answer {_SAID[said]}."
        return Finding(text, verdict=verdict, data={**data, "named": [label]})
    agreement = vocabulary.agreement(candidate.text, (region.label for region in seen.regions))
    named = [*agreement.right, *agreement.wrong]
    verdict = agreement.f1 if asks_description(task.question) else None
    return Finding(_sentence(agreement, seen.by), verdict=verdict, data={**data, "named": named})


_SAID = {True: "says that it is there", False: "says that it is not there", None: "does not say"}


def _sentence(found: Agreement, by: str) -> str:
    parts = [
        _part(f"The answer names, as {by} sees", found.right),
        _part(f"It names, but {by} does not see", found.wrong),
        _part(f"{_cap(by)} sees, but the answer does not name", found.missed),
        _part("Named again", found.repeated),
        _part("With another number than seen", found.miscounted),
    ]
    told = " ".join(part for part in parts if part) or f"The answer names nothing, and {by} sees nothing."
    return f"{told} Agreement (F1): {found.f1:.2f}."


def _part(head: str, labels: Iterable[str]) -> str:
    listed = ", ".join(labels)
    return f"{head}: {listed}." if listed else ""


def _told(region: Region) -> str:
    box = ", ".join(f"{at:.0f}" for at in region.box)
    sure = "" if region.score is None else f" ({region.score:.2f})"
    return f"{' '.join(region.label.split())}{sure} at {box}"


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:]
