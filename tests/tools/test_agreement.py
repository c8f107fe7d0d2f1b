"""What `agreement` says of hand-made rounds: which answers are the same, which state none, and what the lead is worth."""

import time
from collections.abc import Sequence
from typing import Any

import pytest

from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.graph.build import build_graph
from anyprefer.tools import Finding, load_tools
from anyprefer.tools.agreement import agreement
from anyprefer.tools.base import QUICK_TEXT

COUNTED = "Tom has 3 apples and buys 4. How many apples has he?"
SUM = "What is 34 + 57? Answer with the number only."
CAPITAL = "What is the capital of Peru?"
CHOICES = "What is the capital of Peru?\nA) Cusco\nB) Lima\nC) Quito\nAnswer with one of the choices."


def findings(prompt: str, *answers: Any) -> list[Finding]:
    given = tuple(Candidate(index=n, content=one, seed=n) for n, one in enumerate(answers))
    task = Task(id="t", prompt=prompt)
    return [agreement.function(task=task, candidate=one, candidates=given) for one in given]


def verdicts(prompt: str, *answers: Any) -> list[float | None]:
    found = [one.verdict for one in findings(prompt, *answers)]
    return [one if one is None else round(one, 3) for one in found]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (("7", "7", "7", "8"), [0.75, 0.75, 0.75, 0.25]),
        (("7", "7", "8", "8"), [0.5, 0.5, 0.5, 0.5]),
        (("7", "8", "9"), [0.5, 0.5, 0.5]),
        (("7", "7", "8", "9"), [0.667, 0.667, 0.333, 0.333]),
        (("7", "7", "7"), [1.0, 1.0, 1.0]),
        (("7", "7", "7", "7", "8"), [0.8, 0.8, 0.8, 0.8, 0.2]),
    ],
)
def test_the_verdict_is_the_share_beside_the_strongest_other_answer(
    answers: tuple[str, ...], expected: list[float]
) -> None:
    assert verdicts(SUM, *answers) == expected


SAME_NUMBER = (
    "7", "7.", "7.0", "seven", "Seven.", "**7**", "７", "\\boxed{7}", "#### 7", "The answer is 7.", "A: 7", "14/2", "$7", "He has 7 apples.",
    "3 + 4 = 7", "First 3.\nThen 4 more.\nA: 7", "He did not eat any.\nThree and four make 7.\nSo the answer is 7.", "It is not 8.\n**Answer:** 7",
    "3 + 4 = <<3+4=7>>7 apples\nA: 7", "Is it 8? No.\n#### 7",
    "Answer: 7\n\nBecause three and four, not five, make it.", "A: 7\nA: 7", "$$\\boxed{7}$$",
)  # fmt: skip


@pytest.mark.parametrize("answer", SAME_NUMBER)
def test_a_number_is_the_same_in_every_spelling(answer: str) -> None:
    assert verdicts(COUNTED, answer, "7", "8") == [0.667, 0.667, 0.333]


@pytest.mark.parametrize(
    ("answer", "same"),
    [("1,200", "1200"), ("1 million", "1000000"), ("-3", "\u22123"), ("minus 3", "-3"), ("0.5", "1/2"), ("ninety-one", "91")],
)  # fmt: skip
def test_numbers_are_compared_by_value(answer: str, same: str) -> None:
    assert verdicts(COUNTED, answer, same, "8") == [0.667, 0.667, 0.333]


@pytest.mark.parametrize("answer", ["-7", "70", "7.5", "7/8", "7 thousand", "seventeen", "0.7"])
def test_other_numbers_are_other_answers(answer: str) -> None:
    assert verdicts(COUNTED, answer, "7", "7") == [0.333, 0.667, 0.667]


NONE_STATED = (
    "", "  ", "7 or 8", "not 7", "7?", "about 7", "between 6 and 8", "6, 7, 8", "I don't know.", "I'm sorry, but I cannot help with that.",
    "As an AI language model I count 7 rules.", "3 + 4 =", "A: 7 or 8", "A: 8\nWait, it is 7.", "A: 7\nQ: And with 5?\nA: 8", "7%", "and", "1" * 41,
)  # fmt: skip


@pytest.mark.parametrize("answer", NONE_STATED)
def test_what_states_no_one_answer_has_no_side_and_no_vote(answer: str) -> None:
    assert verdicts(COUNTED, answer, "7", "7", "8") == [None, 0.667, 0.667, 0.333]


def test_what_is_cut_off_has_no_side_and_no_vote() -> None:
    whole = [Candidate(index=n, content=text, seed=n) for n, text in enumerate(("7", "8"))]
    cut = Candidate(index=2, content="He has 7 apples and 7", seed=2, ended="length")
    refused = Candidate(index=3, content="7", seed=3, refusal="policy")
    given, task = (*whole, cut, refused), Task(id="t", prompt=COUNTED)
    found = [agreement.function(task=task, candidate=one, candidates=given).verdict for one in given]
    assert found == [0.5, 0.5, None, None]


@pytest.mark.parametrize(
    "answers", [("7",), ("7", "no idea"), ("", ""), ("not 7", "7?"), ({"path": [1, 2]}, {"path": [1, 2]})]
)
def test_it_takes_no_side_where_no_two_answers_can_be_compared(answers: tuple[Any, ...]) -> None:
    assert verdicts(COUNTED, *answers) == [None] * len(answers)


def test_choices_are_the_same_by_letter_and_by_text() -> None:
    same = (
        "B",
        "(B)",
        "Lima",
        "b) Lima",
        "The answer is B",
        "Lima is in Peru, and Cusco is not its capital.\nAnswer: B",
    )
    assert verdicts(CHOICES, *same, "A", "Quito") == [0.857] * 6 + [0.143] * 2
    assert verdicts(CHOICES, "B", "B", "A or B", "A) Lima", "Madrid") == [1.0, 1.0, None, None, None]


def test_words_are_the_same_without_case_accents_articles_and_what_introduces_them() -> None:
    assert verdicts("Which city?", "Bogotá", "bogota.", "The answer is Bogota", "It is Bogotá.", "Lima") == [
        0.8
    ] * 4 + [0.2]
    assert verdicts(CAPITAL, "Lima", "The capital of Peru is Lima.", "**Lima**", "Quito") == [0.75] * 3 + [0.25]
    assert verdicts("Which languages?", "C++", "C", "C#") == [0.5, 0.5, 0.5]


def test_a_number_in_a_sentence_is_no_answer_to_a_question_of_words() -> None:
    assert verdicts("Who won the World Cup?", "Italy won in 2006", "France won in 2006") == [None, None]


def test_words_that_may_mean_what_more_say_have_no_side() -> None:
    assert verdicts(CAPITAL, "Lima", "Lima", "Lima, Peru", "Quito") == [
        0.667,
        0.667,
        None,
        0.333,
    ]
    assert verdicts(CAPITAL, "Lima", "Lima, Peru") == [None, None]


def test_a_long_text_is_not_compared_word_by_word() -> None:
    essay = "Peru has had several seats of government in its long and very varied history of towns"
    assert verdicts(CAPITAL, essay, essay, "Lima", "Lima", "Quito") == [
        None,
        None,
        0.667,
        0.667,
        0.333,
    ]


def test_the_judge_reads_how_many_share_each_answer() -> None:
    first, *_, last = findings(COUNTED, "seven", "7", "8", "9", "nobody knows?")
    assert first.text == "Final answer: 7, as in 2 of the 4 answers that state one; 1 say 8; 1 say 9."
    assert first.data == {
        "answers": [{"answer": "7", "count": 2}, {"answer": "8", "count": 1}, {"answer": "9", "count": 1}]
    }
    assert (last.verdict, last.data) == (None, None)
    assert findings(COUNTED, "7", "?")[0].text == "Final answer: 7. No other answer states one."


def test_long_texts_are_refused_fast() -> None:
    begun = time.thread_time()
    assert verdicts(COUNTED, "1 " * 500_000, "7 apples. " * 100_000, "7", "8") == [None, None, 0.5, 0.5]
    assert time.thread_time() - begun < 1.0  # a hundred times what it takes; what looks at all of it takes minutes


def test_only_short_rounds_are_looked_at_in_the_event_loop() -> None:
    task, short = Task(id="t", prompt=COUNTED), Candidate(index=0, content="7", seed=0)
    long = Candidate(index=1, content="7" * QUICK_TEXT, seed=1)
    assert agreement.at_once({"task": task, "candidate": short, "candidates": (short, short)})
    assert not agreement.at_once({"task": task, "candidate": short, "candidates": (short, long)})


def test_it_is_found_by_its_name() -> None:
    [found] = load_tools(["agreement"])
    assert (found.looks_at, found.wants) == ("candidate", ("task", "candidate", "candidates"))


async def test_the_evidence_judge_ranks_by_it_without_gold() -> None:
    class Target:
        name = "given"

        async def sample(self, task: Task, prompt: str, seeds: Sequence[int]) -> list[str]:
            return ["8", "seven", "He has 7 apples.", "3 + 4 = 7", "9"]

    graph = build_graph(target=Target(), judge="evidence", reward="evidence", tools=("agreement",), max_rounds=1)
    state = await graph.ainvoke({"task": Task(id="t", prompt=COUNTED)})
    assert [one.score for one in state["judgments"]] == [3.25, 7.75, 7.75, 7.75, 3.25]
    assert state["pair"].rejected in ("8", "9")
