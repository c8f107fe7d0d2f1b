import time
from collections.abc import Awaitable, Callable
from fractions import Fraction

import pytest

from anyprefer.tools import Finding
from anyprefer.tools.calculator import asked_value, calculator

Ask = Callable[..., Awaitable[Finding]]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("What is 34 + 57? Answer with the number only.", 91),
        ("Compute 12*7. Answer with the number only.", 84),
        ("3 × 4 = ?", 12),
        ("What is 3 plus 4 times 2?", 11),
        ("What is 1,200 divided by 3?", 400),
        ("What's 9 − 12?", -3),
        ("Question: what is (2 + 3) ÷ 2?\nAnswer:", Fraction(5, 2)),
        ("What is 15% of 80?", 12),
    ],
)
def test_questions_it_understands(prompt: str, expected: object) -> None:
    asked = asked_value(prompt)
    assert asked is not None
    assert asked[1] == expected


@pytest.mark.parametrize(
    "prompt",
    [
        "What is 3?",
        "What is 34 + 57 apples?",
        "What is 2+2? What is 3+3?",
        "The 2020-2021 season was long. Who won?",
        "What is 9**9**9**9?",
        "Compute 1/0.",
        "",
        "What is " + "1+" * 5000 + "1?",
        "What is {x} + 1?",
    ],
)
def test_questions_it_leaves_alone(prompt: str) -> None:
    assert asked_value(prompt) is None


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("91", 1.0),
        ("34 + 57 = 91", 1.0),
        ("The sum is **91.0**.", 1.0),
        ("82", 0.0),
        ("", 0.0),
        ("ninety-one", 1.0),
        ("91. Here is another one: 12 + 3 = 15", None),
        ("1" * 100_000, None),
    ],
)
async def test_the_one_stated_number_decides(ask: Ask, answer: str, verdict: float | None) -> None:
    found = await ask(calculator, "What is 34 + 57? Answer with the number only.", answer)
    assert found.verdict == verdict
    assert len(found.text) < 1000


async def test_wrong_equations_are_listed(ask: Ask) -> None:
    found = await ask(calculator, "Natalia sold clips. How many?", "48/2 = <<48/2=24>>24, then 48 + 24 = 73 clips")
    assert found.verdict == 0.0
    assert "48 + 24 = 73" in found.text


async def test_without_arithmetic_it_takes_no_side(ask: Ask) -> None:
    assert (await ask(calculator, "Who are you?", "I am 5 years old.")).verdict is None
    assert (await ask(calculator, "Move the cup.", [[0.1, 0.2], [0.3, 0.4]])).verdict is None


async def test_many_wrong_equations_stay_readable(ask: Ask) -> None:
    found = await ask(calculator, "Add.", "1 + 1 = 3. " * 500)
    assert found.verdict == 0.0
    assert "and 495 more" in found.text


async def test_a_huge_answer_is_quick(ask: Ask) -> None:
    started = time.perf_counter()
    await ask(calculator, "9" * 100_000 + " what is 1+1?", "9**9**9**9 = 1 " * 20_000)
    assert time.perf_counter() - started < 2
