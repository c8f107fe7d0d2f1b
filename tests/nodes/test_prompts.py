import re
from importlib.resources import files

import pytest

from anyprefer.nodes import prompts

SLOTS = {
    "aggregate": {"knowledge", "previous", "query", "answers"},
    "evidence_hint": {"query", "known", "form"},
    "expected": {"answer", "context", "examples", "query"},
    "expected_policy": {"task_field"},
    "expected_reward_policy": {"task_field"},
    "meta_analysis": {"answer", "context", "examples", "number", "query"},
    "meta_judge": {"answer", "first", "query", "second"},
    "meta_policy": {"task_field"},
    "meta_score": set(),
    "pointwise": {"answer", "context", "examples", "number", "query"},
    "feedback": {"query", "positive", "negative", "score", "analysis"},
    "feedback_other": {"player", "prompt"},
    "judge": {"examples", "context", "query", "answers", "count"},
    "judge_policy": {"task_field"},
    "reward": {"examples", "context", "query", "positive", "negative"},
    "reward_policy": {"task_field"},
    "role_instruction": set(),
    "role_judge": set(),
    "role_target": set(),
    "role_tool": {"tool"},
    "select_tools": {"tools", "feedback", "query", "form"},
    "select_tools_form": set(),
}


def test_every_prompt_file_is_listed_here():
    assert {
        file.name.removesuffix(".txt") for file in files("anyprefer.nodes").iterdir() if ".txt" in file.name
    } == set(SLOTS)


@pytest.mark.parametrize("name", SLOTS)
def test_a_prompt_file_has_exactly_its_slots(name):
    assert set(re.findall(r"\{([a-z_]+)\}", prompts.text(name))) == SLOTS[name]


@pytest.mark.parametrize("hostile", ["{answers}", '{"a": {"b": [1, 2]}}', "{0} {} {{x}}", r"\1 \g<0> \n", "%s $x"])
def test_what_is_filled_in_survives_as_it_is(hostile):
    filled = prompts.fill("Query: {query}\n\nAnswers: {answers}", query=hostile, answers="A")
    assert filled == f"Query: {hostile}\n\nAnswers: A"


def test_an_empty_slot_leaves_no_gap():
    assert prompts.fill("{a}\n\n{b}\n\nend", a="", b="B") == "B\n\nend"


def test_a_slot_nobody_fills_raises():
    with pytest.raises(KeyError, match="query"):
        prompts.fill("{query}", answers="")


def test_answers_are_numbered_from_one():
    assert prompts.numbered(["x", "y"]) == "Answer 1:\nx\n\nAnswer 2:\ny"
