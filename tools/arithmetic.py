"""Numbers and sums in text, read exactly and without running code; what `calculator` and others build on.

Values are `Fraction`s, so nothing is lost to floating point. Every text is bounded before it is looked
at: expressions of at most 200 characters, numbers of at most 40 digits, exponents of at most 64. What
lies outside is not computed (None), never an error and never slow.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

_LONGEST_TEXT = 20_000
_LONGEST_EXPRESSION = 200
_LONGEST_NUMBER = 40
_LARGEST_EXPONENT = 64
_LARGEST_BITS = 2_000

_NUMBER = r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
_PLAIN = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+")
# Digits and commas are taken whole and looked at afterwards: a pattern that tries each group again is quadratic.
_DIGITS = re.compile(r"[0-9][0-9,]*+")
_WRITTEN_NUMBER = re.compile(r"((?<![\w)])(?<![0-9)] )-)?([0-9][0-9,]*+(?:\.[0-9]++)?|\.[0-9]++)(/[0-9]++)?")
_DECIMAL = re.compile(rf"-?{_NUMBER}")
_RUN = re.compile(r"(?:[0-9]++(?:\.[0-9]++)?|\.[0-9]++|[-+*/()= ])++")
_SPACES = re.compile(" +")
_SCIENTIFIC = re.compile(r"(?<![\w.,])[0-9]{1,9}(?:\.[0-9]{1,9})?e-?[0-9]{1,2}(?![\w.])")
_OTHER_NUMBERS = re.compile(
    r"\b(?:binary|hexadecimal|hex|octal|base|modulo|mod|degrees|o'clock|am|pm|roman)\b", re.IGNORECASE
)
_EQUATES = re.compile(r"=|\b(?:is|equals|makes|gives)\b", re.IGNORECASE)
_GOES_ON = re.compile(
    r"\s*\(?(?:remainder|rem|r|hundred|thousand|million|billion|dozen|percent|and a half)\b", re.IGNORECASE
)
_WRITTEN = (
    (re.compile(r"[×⋅·∗]|\\times|\\cdot"), "*"),
    (re.compile(r"÷|\\div"), "/"),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"\\[()\[\]]|[$€£]"), " "),
    (re.compile(r"\^"), "**"),
    (re.compile(r"\bmultiplied by\b|\btimes\b|(?<=[0-9)]) ?[xX] ?(?=[0-9(])", re.IGNORECASE), "*"),
    (re.compile(r"(?<![\w.,])([0-9]{1,9}),([0-9]{1,2})(?![\w.,])"), r"\1.\2"),
    (re.compile(r"\)\("), ")*("),
    (
        re.compile(r"([-+*/] ?[0-9.]{1,40}\)?) (?:is|equals|makes|gives)(?: equal to)? (?=[-(]?[0-9])", re.IGNORECASE),
        r"\1 = ",
    ),
    (re.compile(r"\bdivided by\b", re.IGNORECASE), "/"),
    (re.compile(r"\bplus\b", re.IGNORECASE), "+"),
    (re.compile(r"\bminus\b", re.IGNORECASE), "-"),
    (re.compile(r"(?<=[0-9])(?:%| percent) of\b", re.IGNORECASE), "/100*"),
    # Bold type, not powers: two stars without a number on both sides.
    (re.compile(r"(?<![0-9) ])\*\*|(?<![0-9)]) \*\*|\*\*(?! ?[-(0-9])"), " "),
)
_OPERATIONS: dict[type[ast.AST], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@lru_cache(maxsize=256)
def plain(text: str) -> str:
    """The first 20,000 characters with arithmetic in one spelling: × and "times" as `*`, − as `-`, no bold."""
    text = text[:_LONGEST_TEXT]
    for pattern, sign in _WRITTEN:
        text = pattern.sub(sign, text)
    if "e" in text:
        text = _SCIENTIFIC.sub(lambda found: format(Decimal(found[0]), "f"), text)
    if "  " in text:
        text = _SPACES.sub(" ", text)
    return _DIGITS.sub(_without_thousands, text) if "," in text else text


def _without_thousands(digits: re.Match[str]) -> str:
    whole = digits[0].rstrip(",")
    return whole.replace(",", "") + digits[0][len(whole) :] if _THOUSANDS.fullmatch(whole) else digits[0]


@lru_cache(maxsize=4096)
def value(expression: str) -> Fraction | None:
    """The exact value of an expression of numbers, + - * / ** and parentheses; None when it is none.

    None as well for a division by zero and for anything beyond the bounds in the module's docstring.
    """
    if len(expression) > _LONGEST_EXPRESSION:
        return None
    if _PLAIN.fullmatch(expression):
        return Fraction(expression) if len(expression) <= _LONGEST_NUMBER else None
    digits = re.sub(_NUMBER, lambda found: found[0].replace(",", "").lstrip("0") or "0", expression.strip())
    try:
        return _evaluate(ast.parse(digits, mode="eval").body, digits)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _evaluate(node: ast.AST, source: str) -> Fraction:
    match node:
        case ast.Constant(value=int() | float()):
            return Fraction(_bounded(ast.get_source_segment(source, node) or ""))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand, source)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _evaluate(operand, source)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_evaluate(left, source), _evaluate(right, source))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _small(_OPERATIONS[type(op)](_evaluate(left, source), _evaluate(right, source)))
    raise ValueError("not arithmetic")


def _bounded(number: str) -> str:
    if len(number) > _LONGEST_NUMBER or not re.fullmatch(_NUMBER, number):
        raise ValueError("no plain number")
    return number


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or abs(exponent) > _LARGEST_EXPONENT:
        raise ValueError("exponent out of bounds")
    return _small(Fraction(base ** int(exponent)))


def _small(result: Fraction) -> Fraction:
    if max(result.numerator.bit_length(), result.denominator.bit_length()) > _LARGEST_BITS:
        raise ValueError("result out of bounds")
    return result


def final_number(text: str) -> str | None:
    """The last number written in a text, in a form that `says` reads; None when there is none.

    Commas between thousands are dropped and a minus counts unless a number stands before it. A fraction is
    taken whole when it is in lowest terms ("3/4"), so that repeating "48/2" does not state 24.
    """
    numbers = _WRITTEN_NUMBER.findall(text[-_LONGEST_TEXT:].replace("−", "-"))
    if not numbers:
        return None
    sign, number, under = map(str, numbers[-1])
    digits, point, decimals = number.rstrip(",").partition(".")
    whole = digits.replace(",", "") if _THOUSANDS.fullmatch(digits) else digits.rpartition(",")[2]
    whole = (sign if whole in (digits, digits.replace(",", "")) else "") + whole + point + decimals
    if not under:
        return whole
    return whole + under if str(value(whole + under)) == whole + under else under[1:]


def says(number: str | None, exact: Fraction) -> bool:
    """Does a written number state an exact value? "91.0" states 91; "3.33" states 10/3.

    A value with no finite decimal form may be rounded or cut off, to two decimals at least.
    """
    stated = value(number) if number else None
    if number is None or stated is None:
        return False
    return stated == exact or (_is_endless(exact) and _is_rounded(number, stated, exact))


def _is_endless(exact: Fraction) -> bool:
    rest = exact.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    return rest != 1


def _is_rounded(number: str, stated: Fraction, exact: Fraction) -> bool:
    decimals = len(number.partition(".")[2])
    if not _DECIMAL.fullmatch(number) or decimals < 2:
        return False
    cut_off = abs(stated) <= abs(exact) and abs(stated - exact) < Fraction(1, 10**decimals) and stated * exact >= 0
    return cut_off or abs(stated - exact) <= Fraction(1, 2 * 10**decimals)


def equations(text: str) -> list[tuple[str, bool]]:
    """Every equation between numbers that a text states, and whether it holds.

    "3 + 4 = 7 = 8" states two. A side that touches a word, a percent sign or a colon ("5 = 2x",
    "1:30 + 2") or is cut off by a word ("apples + 3 = 8") says more than can be checked and is left out;
    nothing is read from a text about numbers of another kind ("in binary").
    """
    if not _EQUATES.search(text):
        return []
    text = plain(text)
    if _OTHER_NUMBERS.search(text):
        return []
    return [found for sides, _ in sides_of(text) for found in _check(sides)]


def is_equation(text: str) -> bool:
    """Is a text nothing but one equation, or several with "and" between them, each side of which can be computed?"""
    parts = re.split(r"[,;\n]|\band\b", plain(text).strip().rstrip("."))
    return all(
        _RUN.fullmatch(part) and "=" in part and all(value(side) is not None for side in _parts(part)) for part in parts
    )


def sides_of(text: str) -> list[tuple[list[str], str]]:
    """The equations of a text in `plain` spelling: each as its sides, "" for one that cannot be read alone, and what
    stands behind it, up to 200 characters."""
    return [(_sides(run, text), text[run.end() : run.end() + 200]) for run in _RUN.finditer(text) if "=" in run[0]]


def _sides(run: re.Match[str], text: str) -> list[str]:
    sides = _parts(run[0])
    if _touches(text[run.start() - 1 : run.start()], run[0][0], ",.") or re.match(r"[+*/]|- ", sides[0]):
        sides[0] = ""
    behind = text[run.end() : run.end() + 2]
    decimal = behind[:1] in (",", ".") and behind[1:].isdigit()
    if decimal or _touches(behind[:1], run[0][-1], "!") or _GOES_ON.match(text, run.end()):
        sides[-1] = ""
    return sides


def _parts(equation: str) -> list[str]:
    return [side.strip() for side in re.sub("={2,}", "=", equation).split("=")]


def _touches(neighbour: str, edge: str, marks: str) -> bool:
    return edge != " " and neighbour != "" and (neighbour.isalnum() or neighbour in "_%:^√±" + marks)


def _check(sides: list[str]) -> list[tuple[str, bool]]:
    if not any(re.search(r"[0-9)] *[-+*/]", side) for side in sides):
        return []
    found = []
    for left, right in pairwise(sides):
        first, second = value(left), value(right)
        if first is not None and second is not None:
            found.append((f"{left} = {right}", says(right, first) or says(left, second)))
    return found
