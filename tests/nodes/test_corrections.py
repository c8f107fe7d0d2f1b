"""Pair builders that change an answer: RLHF-V's corrections, POVID's edits."""

import pytest

from anyprefer.core.records import Candidate, Judgment, Knowledge
from anyprefer.nodes.pair_builders.corrected import corrected
from anyprefer.nodes.pair_builders.edited import edited
from anyprefer.nodes.pair_builders.removal import without
from tests.scripted import a_task

SEEN = ["red circle", "blue star", "white ring"]


def compared(index, named, seen=SEEN, verdict=0.5):
    regions = [{"label": label, "box": [0, 0, 9, 9]} for label in seen]
    data = {"regions": regions, "size": [128, 128], "named": named}
    return Knowledge(tool="detector", candidate=index, verdict=verdict, data=data)


def a_round(*answers, knowledge, scores=(), **task):
    return {
        "task": a_task(**task),
        "rounds": [],
        "candidates": [Candidate(index=at, content=text, seed=at) for at, text in enumerate(answers)],
        "judgments": [Judgment(candidate=at, score=score) for at, score in enumerate(scores or [5] * len(answers))],
        "candidate_knowledge": knowledge,
    }


@pytest.mark.parametrize(
    ("text", "wrong", "left"),
    [
        ("a red circle, a green heart and a white ring.", ["green heart"], "a red circle and a white ring."),
        ("a red circle, a white ring and a green heart.", ["green heart"], "a red circle and a white ring."),
        ("a green heart and a red circle.", ["green heart"], "a red circle."),
        ("There is a dog, a cat and a bed.", ["dog"], "There is a cat and a bed."),
        ("A dog and a cat. The sofa is red.", ["dog", "cat"], "The sofa is red."),
        ("The bed is made. A dog sleeps on it.", ["dog"], "The bed is made."),
        ("a dog.", ["dog"], ""),
        ("a cat, a dog, a bird", ["dog"], "a cat, a bird"),
        ("A cat", [], "A cat"),
    ],
)
def test_parts_that_name_something_are_taken_out(text, wrong, left):
    spans = [(text.index(word), text.index(word) + len(word)) for word in wrong]
    assert without(text, spans) == left


def test_the_best_answer_with_a_fault_is_set_against_itself_without_it():
    answers = ["a red circle.", "a red circle and a green heart.", "a green heart, a blue star and a blue star."]
    named = [["red circle"], ["red circle", "green heart"], ["green heart", "blue star"]]
    knowledge = [compared(at, labels) for at, labels in enumerate(named)]
    pair = corrected(a_round(*answers, knowledge=knowledge, scores=(9, 6, 7)))
    assert (pair.chosen, pair.rejected, pair.rejected_index) == ("a blue star.", answers[2], 2)
    pair = corrected(a_round(*answers, knowledge=knowledge, scores=(9, 8, 7)))
    assert (pair.chosen, pair.rejected_score, pair.chosen_score) == ("a red circle.", 8, None)


@pytest.mark.parametrize(
    "knowledge",
    [[], [compared(0, ["red circle"])], [compared(0, ["green heart"], verdict=None)], [Knowledge(tool="other", candidate=0, verdict=1.0, data={"regions": 3})]],
)  # fmt: skip
def test_nothing_to_correct_is_said(knowledge):
    assert "nothing to correct" in corrected(a_round("a red circle.", knowledge=knowledge))


def test_what_the_target_made_up_is_written_into_the_gold_answer():
    gold = "a red circle, a blue star and a white ring."
    answers = ["a red circle and a green heart.", "a blue star."]
    knowledge = [compared(0, ["red circle", "green heart"]), compared(1, ["blue star"])]
    pair = edited(a_round(*answers, knowledge=knowledge, reference={"answer": gold, "objects": []}))
    assert pair.chosen == gold
    assert pair.rejected in {gold.replace(label, "green heart") for label in SEEN}
    assert edited(a_round(*answers, knowledge=knowledge, reference={"answer": gold, "objects": []})) == pair
    assert "nothing to write into it" in edited(
        a_round(answers[1], knowledge=[compared(0, ["blue star"])], reference=gold)
    )
    assert "no reference text" in edited(a_round(*answers, knowledge=knowledge))
