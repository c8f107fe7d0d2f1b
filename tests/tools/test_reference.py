from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from anyprefer.core.settings import Settings
from anyprefer.tools import Finding
from anyprefer.tools.reference import reference

Ask = Callable[..., Awaitable[Finding]]


@pytest.mark.parametrize(
    ("gold", "answer", "verdict"),
    [
        ("Lima", "lima.", 1.0),
        ("The Hague", "  hague!", 1.0),
        ("Lima", "Lima, Peru", None),
        ("Lima", "", 0.0),
        ("91", "34 + 57 = 91", 1.0),
        ("91", "91, and 5 more", None),
        (91, "91.0", 1.0),
        ("Natalia sold 48/2 = <<48/2=24>>24.\n#### 72", "She sold 72 clips.", 1.0),
        ("#### 1,200", "#### 1200", 1.0),
        ("$5.50", "5.5", 1.0),
        ("yes", "Yes", 1.0),
        ("1" * 100_000, "1" * 100_000, 1.0),
        ([1, 2], [1, 2], 1.0),
        ("0.0001 %", "0.0001%", 1.0),
        ("0.0001 %", "0.0002%", 0.0),
    ],
)
async def test_gold_answers(ask: Ask, gold: Any, answer: Any, verdict: float) -> None:
    assert (await ask(reference, "?", answer, reference=gold)).verdict == verdict


async def test_without_gold_it_takes_no_side(ask: Ask) -> None:
    assert (await ask(reference, "?", "91")).verdict is None


def test_it_is_not_a_default_tool() -> None:
    assert "reference" not in Settings().tools
