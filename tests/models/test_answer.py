import pytest
from langchain_core.messages import AIMessage

from anyprefer.models.answer import Answer, read_answer, split_thoughts


@pytest.mark.parametrize(
    ("text", "answer", "thoughts"),
    [
        ("91", "91", ""),
        ("<think>34 + 57 is 81, no, 91</think>\n\n91", "91", "34 + 57 is 81, no, 91"),
        ("34 + 57 is 91\n</think>\n91", "91", "34 + 57 is 91"),
        ("<think>it goes on and on", "", "it goes on and on"),
        ("<THINKING>a</THINKING> b <thinking>c</thinking> d", "b  d", "a\n\nc"),
        ("[THINK]a[/THINK]b", "b", "a"),
        ("<think>he wrote <thinking> there</think>b", "b", "he wrote <thinking> there"),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>91<|return|>",
            "91",
            "hm",
        ),
        ("Write `<think>` first. 91", "Write `<think>` first. 91", ""),
        ("<think>a</think>Write <think> first", "Write <think> first", "a"),
        ("a < b and <b>bold</b>", "a < b and <b>bold</b>", ""),
    ],
)
def test_thoughts_are_no_answer(text, answer, thoughts):
    assert split_thoughts(text) == (answer, thoughts)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_beside_the_text_are_kept(name):
    message = AIMessage("91", additional_kwargs={name: "34 + 57"})
    assert read_answer(message) == Answer("91", thoughts="34 + 57")


def test_thoughts_in_content_parts_are_kept():
    message = AIMessage([{"type": "thinking", "thinking": "34 + 57"}, {"type": "text", "text": "91"}])
    assert read_answer(message) == Answer("91", thoughts="34 + 57")


@pytest.mark.parametrize(
    ("metadata", "ended", "complete"),
    [
        ({"finish_reason": "stop"}, "stop", True),
        ({"finish_reason": "tool_calls"}, "stop", True),
        ({"finish_reason": "length"}, "length", False),
        ({"stop_reason": "max_tokens"}, "length", False),
        ({"finish_reason": "MAX_TOKENS"}, "length", False),
        ({"done_reason": "length"}, "length", False),
        ({"finish_reason": "content_filter"}, "filter", False),
        ({"finish_reason": "SAFETY"}, "filter", False),
        ({"finish_reason": "error"}, "error", False),
        ({"finish_reason": None}, "", True),
        ({"finish_reason": "odd"}, "", True),
        ({"finish_reason": 7}, "", True),
        ({}, "", True),
    ],
)
def test_how_an_answer_ended_in_any_providers_words(metadata, ended, complete):
    answer = read_answer(AIMessage("a", response_metadata=metadata))
    assert (answer.ended, answer.complete) == (ended, complete)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer("91"), ""),
        (Answer(""), "empty"),
        (Answer("", thoughts="hm"), "only thought"),
        (Answer("", "length", thoughts="hm"), "still thinking"),
        (Answer("9", "length"), "cut off at the token limit"),
        (Answer("", refusal="I can't help"), "I can't help"),
        (Answer("", "filter"), "content filter"),
        (Answer("9", "error"), "server ended"),
    ],
)
def test_why_there_is_no_whole_answer(answer, words):
    assert words in answer.flaw if words else answer.flaw == ""


def test_a_long_text_of_marks_is_read_in_linear_time():
    assert split_thoughts("<think>" * 100_000)[0] == ""
    assert split_thoughts("</think>" * 100_000) == ("", "")
