"""What a person says of a pair (Appendix D.3): the levels, and a mark of them."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

Better = Literal["chosen", "rejected", "neither"]
Satisfaction = Literal["satisfied", "okay", "dissatisfied"]
Difficulty = Literal["very easy", "easy", "medium", "hard"]
LONGEST_NOTE = 5_000
LEVELS: dict[str, tuple[str, ...]] = {
    "better": get_args(Better),
    "satisfaction": get_args(Satisfaction),
    "difficulty": get_args(Difficulty),
}
"""What may be said; a note is any text."""


class Mark(BaseModel):
    """What one person says of one pair, as it stands now; None where nothing was said."""

    model_config = ConfigDict(frozen=True)

    better: Better | None = None
    """Which answer is the better one, said before the judge's order was shown."""
    satisfaction: Satisfaction | None = None
    difficulty: Difficulty | None = None
    note: str = ""
