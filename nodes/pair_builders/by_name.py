"""The pair builder that a setting names."""

from __future__ import annotations

import re

from anyprefer.core.errors import SettingsError
from anyprefer.core.roles import Builder
from anyprefer.nodes.pair_builders.ranks import best_worst, ranks
from anyprefer.nodes.pair_builders.reference import reference_chosen


def pair_builder(name: str, candidates: int) -> Builder:
    """The builder a setting names: `best_worst`, `ranks(i,j)` or `reference_chosen`.

    Raises `SettingsError` for anything else and for ranks outside 1..candidates.
    """
    if name == "best_worst":
        return best_worst
    if name == "reference_chosen":
        return reference_chosen
    match = re.fullmatch(r"ranks\((\d+),\s*(\d+)\)", name)
    if match is None:
        raise SettingsError(f"setting 'pair': {name!r} is none of best_worst, ranks(i,j), reference_chosen")
    better, worse = int(match[1]), int(match[2])
    if not 1 <= better < worse <= candidates:
        raise SettingsError(f"setting 'pair': {name!r} needs 1 <= i < j <= {candidates}, the number of candidates")
    return ranks(better, worse)
