import time
from fractions import Fraction

import pytest

from anyprefer.tools.arithmetic import equations, final_number, says, value


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("34 + 57", 91),
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4.5", Fraction(45, 2)),
        ("1,200 / 7", Fraction(1200, 7)),
        ("007 + 0.10", Fraction(71, 10)),
        ("-2 ** 2", -4),
        ("2 ** -2", Fraction(1, 4)),
    ],
)
def test_values_are_exact(expression: str, expected: object) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "1 +",
        "1 / 0",
        "9**9**9**9",
        "2**65",
        "1" * 41,
        "1+" * 101 + "1",
        "(" * 199,
        "__import__('os')",
        "1 if 1 else 2",
        "0x10 + 1",
        "1e9",
        "True + 1",
        "1 // 2",
        "3 4",
        "'a' * 3",
    ],
)
def test_what_is_not_plain_arithmetic_has_no_value(expression: str) -> None:
    assert value(expression) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("It is 91.", "91"),
        ("34 + 57 = 91. Next: 12 + 3", "3"),
        ("-5", "-5"),
        ("12 - 5", "5"),
        ("12 -5", "5"),
        ("the answer is −5", "-5"),
        ("1,234.50 dollars", "1234.50"),
        ("1, 2, 3", "3"),
        ("3/4", "3/4"),
        ("48/2", "2"),
        ("<<48/2=24>>24", "24"),
        ("**91**", "91"),
        ("no idea", None),
        ("", None),
    ],
)
def test_final_number(text: str, number: str | None) -> None:
    assert final_number(text) == number


def test_rounding_counts_only_where_there_is_no_finite_decimal() -> None:
    assert says("3.33", Fraction(10, 3))
    assert not says("3.3", Fraction(10, 3))
    assert not says("3.34", Fraction(10, 3))
    assert says("91.0", Fraction(91))
    assert not says("0.12", Fraction(1, 8))
    assert not says(None, Fraction(1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("48/2 = <<48/2=24>>24 clips", [("48/2 = 24", True)]),
        ("3 + 4 = 7 = 8", [("3 + 4 = 7", True), ("7 = 8", False)]),
        ("**34 + 57** = **92**", [("34 + 57 = 92", False)]),
        ("1. 3 × 4 = 12.\n2. $8 ÷ $2 = $4", [("3 * 4 = 12", True), ("8 / 2 = 4", True)]),
        ("two times: 3 times 4 equals 12; 2 plus 2 = 5", [("3 * 4 = 12", True), ("2 + 2 = 5", False)]),
        ("20% of 50 = 10", [("20/100* 50 = 10", True)]),
    ],
)
def test_stated_equations_are_found(text: str, expected: list[tuple[str, bool]]) -> None:
    assert equations(text) == expected


@pytest.mark.parametrize(
    "text",
    ["x = 3", "apples + 3 = 8", "5 = 2x", "1:30 + 2 = 3:30", "2 + y = 5", "50% = 0.5", "9**9**9**9 = 1", "= 4 ="],
)
def test_what_cannot_be_read_alone_is_left_out(text: str) -> None:
    assert equations(text) == []


@pytest.mark.parametrize(
    "part", ["9**9**9**9=1 ", "1", "(", "1+", "=", "1,", "-", " ", "1 x ", "**", "1=1=", "0.", "1,000,", "a1", "\n1=1"]
)
def test_hostile_texts_take_no_time(part: str) -> None:
    text = part * (200_000 // len(part))
    started = time.perf_counter()
    equations(text)
    final_number(text)
    value(text)
    assert time.perf_counter() - started < 2
