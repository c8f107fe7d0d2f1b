from collections.abc import Awaitable, Callable

import pytest

from anyprefer.tools import Finding
from anyprefer.tools.answer_form import answer_form

Ask = Callable[..., Awaitable[Finding]]


@pytest.mark.parametrize(
    ("prompt", "answer", "verdict"),
    [
        ("What is 3 + 4? Answer with the number only.", "7", 1.0),
        ("What is 3 + 4? Answer with the number only.", "3 + 4 = 7", 0.6),
        ("What is 3 + 4? Answer with the number only.", "seven", 1.0),
        ("What is 3 + 4? Answer with the number only.", "", 0.0),
        ("What is 3 + 4? Answer with the number only.", "7 " * 50, 0.0),
        ("Who? Answer with the name only.", "Port of Spain", 1.0),
        ("Give only the symbol of iron.", "Fe", 1.0),
        ("Give the symbol of iron only. Give the symbol only.", "It is Fe", 0.8),
        ("Is it hot? Please answer yes or no.", "Yes", 1.0),
    ],
)
async def test_the_form_asked_for(ask: Ask, prompt: str, answer: str, verdict: float) -> None:
    found = await ask(answer_form, prompt, answer)
    assert found.verdict == pytest.approx(verdict)
    assert found.weight == 0.5


@pytest.mark.parametrize(
    "prompt",
    [
        "Tell me about Lima.",
        "With 60 lollipops, Al has half the number of Bo. How many?",
        "She only completed half the number.",
        "",
    ],
)
async def test_no_form_no_side(ask: Ask, prompt: str) -> None:
    assert (await ask(answer_form, prompt, "Lima is big.")).verdict is None


async def test_a_huge_prompt_is_harmless(ask: Ask) -> None:
    assert (await ask(answer_form, "give only " * 50_000, "x " * 100_000)).verdict is None
