"""What the tools that judge say of answers whose truth is known, and how long they take for hostile ones."""

import time

import pytest

from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.tools import load_tools
from anyprefer.tools.agreement import final_answers
from anyprefer.tools.answer_form import answer_form
from anyprefer.tools.calculator import calculator
from anyprefer.tools.fact_check import fact_check
from anyprefer.tools.knowledge_search import question_of
from anyprefer.tools.multiple_choice import multiple_choice
from anyprefer.tools.reference import agrees, reference
from anyprefer.tools.stated import stated_number, stated_text
from anyprefer.training.evaluation.families import FAMILIES
from tests.tools.verdict_rows import ALL, Rows

LARGE = 100_000
CPU_SECONDS = 2.0
"""Ten times what the slowest takes here; what is quadratic takes minutes."""


def verdicts(rows: Rows, answers: tuple[str, ...]) -> dict[str, float | None]:
    [tool] = load_tools([rows.tool])
    task = Task(id="t", prompt=rows.prompt, reference=rows.reference)
    return {
        answer: tool.function(task=task, candidate=Candidate(index=0, content=answer, seed=0)).verdict
        for answer in answers
    }


@pytest.mark.parametrize(
    "rows", [pytest.param(rows, id=f"{kind}-{rows.prompt[:40]!r}") for kind in ALL for rows in ALL[kind]]
)
def test_a_tool_takes_the_right_side_or_none(rows: Rows) -> None:
    assert [answer for answer, one in verdicts(rows, rows.right).items() if one is not None and one < 0.5] == []
    assert [answer for answer, one in verdicts(rows, rows.wrong).items() if one is not None and one >= 0.5] == []
    assert [answer for answer, one in verdicts(rows, rows.unclear).items() if one is not None] == []


@pytest.mark.parametrize("kind", ALL)
def test_it_takes_a_side_on_most_answers_that_state_one(kind: str) -> None:
    found = [one for rows in ALL[kind] for one in verdicts(rows, rows.right + rows.wrong).values()]
    assert sum(one is not None for one in found) >= 0.95 * len(found)
    assert sum(len(rows.right + rows.wrong + rows.unclear) for rows in ALL[kind]) >= 100


def test_the_calculator_and_the_familys_rule_never_disagree() -> None:
    rows = ALL["arithmetic"][0]
    task = Task(id="t", prompt=rows.prompt, reference="75")
    for answer, verdict in verdicts(rows, rows.right + rows.wrong).items():
        assert verdict is None or verdict == FAMILIES["sums"].is_correct(task, answer), answer


PIECES = (
    "\n", " ", ".", "1", "1,", ",111", "(", "=", "1+1=2 ", "and answer ", ",give only", ",give number ", "- x\n", "A) a\n", "**", "what is ", "a", "The ",
    "not ", "<<", "[", "\\boxed{", "#### ", "-a", "_", "1 to ", "9**9=", ". ", ".!? ", "\u00bd", "\u00b2", "\u200b", "x\u0301", "1e5 ", "1/2 ", "seven ", "because ",
    "and is ", "%", "1%", ";:", "\t", "\r\n", "1-", "1.1.", "answer is ", "is ", "Answer 1 Answer 2 ", "<think>", "{\"a\":",
)  # fmt: skip


def _uses() -> dict[str, object]:
    def asked(tool: object, prompt: str, answer: str, gold: str = "7") -> None:
        task = Task(id="t", prompt=prompt, reference=gold)
        tool.function(task=task, candidate=Candidate(index=0, content=answer, seed=0))  # type: ignore[attr-defined]

    def agreeing(prompt: str, text: str) -> None:
        texts = (text, text[:20_000], text[:19_000], "7")
        final_answers(prompt, [Candidate(index=n, content=one, seed=n) for n, one in enumerate(texts)])

    sums, facts = "What is 3 + 4? Answer with the number only.", "What is the capital of Peru?"
    choices, fact = "Which?\n- copper\n- wood", FAMILIES["facts"].is_correct
    return {
        "calculator answer": lambda text: asked(calculator, sums, text),
        "calculator word problem": lambda text: asked(calculator, "How many?", "1+1=2 " + text),
        "calculator prompt": lambda text: asked(calculator, text, "7"),
        "answer_form": lambda text: (asked(answer_form, sums, text), asked(answer_form, text, "7")),
        "fact_check": lambda text: (asked(fact_check, facts, text), asked(fact_check, text, "Lima")),
        "multiple_choice": lambda text: (asked(multiple_choice, choices, text), asked(multiple_choice, text, "copper")),
        "reference": lambda text: (
            asked(reference, facts, text),
            asked(reference, facts, "7", text),
            agrees(text, text),
        ),
        "stated": lambda text: (stated_number(text[:20_000], bare=False), stated_text(text[:20_000])),
        "agreement": lambda text: (agreeing(facts, text), agreeing(choices, text), agreeing(text, "7")),
        "question": question_of,
        "families": lambda text: (
            fact(Task(id="t", prompt="", reference="Lima"), f"Lima{text}"),
            FAMILIES["sums"].is_correct(Task(id="t", prompt="", reference="7"), text),
        ),
    }


@pytest.mark.parametrize("use", _uses())
def test_hostile_texts_take_linear_time(use: str) -> None:
    slow = {}
    for piece in PIECES:
        text = f"x {piece * (LARGE // len(piece))} x"
        begun = time.thread_time()
        _uses()[use](text)  # type: ignore[operator]
        slow[piece] = time.thread_time() - begun
    assert {piece: seconds for piece, seconds in slow.items() if seconds > CPU_SECONDS} == {}
