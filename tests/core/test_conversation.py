"""Conversations as tasks: one normal form, and what each player is shown of it."""

import json

import pytest
from pydantic import ValidationError

from anyprefer.core.inputs import read_tasks
from anyprefer.core.records import Prompts, Row
from anyprefer.core.task import Task
from anyprefer.graph import synth
from anyprefer.graph.runs.row_files import digest
from anyprefer.models.messages import task_messages
from tests.pixels import URL
from tests.scripted import Scripted, play

HISTORY = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "My name is Ada."},
    {"role": "assistant", "content": "Hello Ada."},
    {"role": "user", "content": "What is my name?"},
]


def a_conversation(**values):
    return Task(id="c", prompt=HISTORY, **values)


def test_a_conversation_of_one_user_message_is_its_text():
    task = Task(id="1", prompt=[{"role": "user", "content": "2+2?"}])
    assert task == Task(id="1", prompt="2+2?")
    assert digest(task) == digest(Task(id="1", prompt="2+2?"))


def test_system_turns_and_text_of_a_conversation():
    task = a_conversation()
    assert (task.system, task.question) == ("Be brief.", "What is my name?")
    assert task.text == "User: My name is Ada.\n\nAssistant: Hello Ada.\n\nUser: What is my name?"
    assert task.messages() == HISTORY


def test_a_conversation_survives_json():
    row = Row(id="c", outcome="failed", task=a_conversation())
    assert Row.model_validate_json(row.model_dump_json()) == row


def test_p_t_takes_the_last_user_turns_place_alone():
    asked = a_conversation().messages("Say my name.")
    assert asked == [*HISTORY[:-1], {"role": "user", "content": "Say my name."}]
    tool = [
        *HISTORY,
        {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "Ada"},
    ]
    assert [m["content"] for m in Task(id="c", prompt=tool).messages("N?")][-3:] == ["N?", "", "Ada"]


async def test_target_judge_reward_and_engine_see_the_history():
    model = Scripted(reward=["Alike. 2/10", "Better. 9/10"])
    row = await play(model, a_conversation(), max_rounds=2)
    assert row.outcome == "accepted"
    first = model.asked("sample")[0].messages
    assert [(m.type, m.text) for m in first] == [
        ("system", "Be brief."), ("human", "My name is Ada."), ("ai", "Hello Ada."), ("human", "What is my name?")
    ]  # fmt: skip
    later = [m.text for m in model.asked("sample")[-1].messages]
    assert later[:3] == ["Be brief.", "My name is Ada.", "Hello Ada."]
    assert later[3].startswith("rewritten")
    for role in ("judge", "reward", "textgrad"):
        assert (
            "User: My name is Ada.\n\nAssistant: Hello Ada.\n\nUser: What is my name?" in model.asked(role)[0].user
        ), role


def test_images_stand_where_the_conversation_has_them():
    parts = [{"type": "image_url", "image_url": {"url": URL}}, {"type": "text", "text": "And this?"}]
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Which cup?"}]},
            {"role": "assistant", "content": "Red."}, {"role": "user", "content": parts}]  # fmt: skip
    task = Task(id="1", prompt=chat, images=["https://a/1.png", "https://a/2.png"])
    assert task.images == ("https://a/1.png", URL, "https://a/2.png")
    assert task.text == "User: [image]\nWhich cup?\n\nAssistant: Red.\n\nUser: [image]\nAnd this?"
    urls = [[part["image_url"]["url"] for part in m.content if part["type"] == "image_url"]
            for m in task_messages(task, "p_t") if m.type == "human"]  # fmt: skip
    assert urls == [["https://a/1.png"], ["https://a/2.png", URL]]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ([{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}], "must end with the user's"),
        ([{"role": "system", "content": "Q"}], "no user message"),
        ([{"role": "narrator", "content": "Q"}], "message 1 of the conversation has the role 'narrator'"),
        ([{"role": "user", "content": "Q"}, "then"], "message 2 of the conversation is of type str"),
        ([{"role": "user", "content": " "}], "message 1 of the conversation, by the user, is empty"),
        ([{"role": "user", "content": [{"type": "video"}]}], "part of type 'video'"),
        ([{"role": "user", "content": [{"type": "image"}]}], "places for 1 images, and the row has 0"),
        ([], "no user message"),
        ([{"role": "user", "content": []}], "message 1 of the conversation, by the user, is empty"),
        ([{"role": "user", "content": [{"type": "text", "text": " "}]}], "by the user, is empty"),
        ([*HISTORY, {"role": "assistant", "content": "", "tool_calls": "w()"}, HISTORY[1]], "message 5 .* tool_calls"),
        ([*HISTORY, {"role": "assistant", "content": "", "tool_calls": ["w()"]}, HISTORY[1]], "no list of objects"),
    ],
)
def test_what_is_no_conversation_is_refused_with_its_place(prompt, words):
    with pytest.raises(ValidationError, match=words):
        Task(id="1", prompt=prompt)


def test_two_system_messages_must_agree():
    assert a_conversation(system="Be brief.").system == "Be brief."
    with pytest.raises(ValidationError, match="keep one of them"):
        a_conversation(system="Be long.")


def test_rows_of_messages_are_tasks():
    tasks = list(read_tasks([{"id": "a", "prompt": HISTORY}, {"id": "b", "prompt": []}]))
    assert tasks[0] == Task(id="a", prompt=HISTORY)
    assert "no user message" in tasks[1].error


@pytest.mark.parametrize("column", ["messages", "conversations", "conversation"])
def test_conversations_in_any_common_form_are_tasks(column):
    share = [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "My name is Ada."},
             {"from": "gpt", "value": "Hello Ada."}, {"from": "human", "value": "What is my name?"}]  # fmt: skip
    nulls = [{**message, "tool_calls": None, "name": None} for message in HISTORY]
    tasks = list(read_tasks([{"id": "c", column: chat} for chat in (share, HISTORY, nulls)]))
    assert tasks[0] == Task(id="c", prompt=HISTORY)
    assert [task.prompt for task in read_tasks([{column: chat} for chat in (share, nulls)])] == [tasks[0].prompt] * 2


def test_the_answer_a_conversation_ends_with_is_left_out_and_said_once(caplog):
    ended = [*HISTORY, {"role": "assistant", "content": "Ada."}]
    tasks = list(read_tasks([{"messages": ended}, {"messages": ended}]))
    assert [task.messages() for task in tasks] == [HISTORY, HISTORY]
    assert [record.getMessage() for record in caplog.records] == [
        "input: conversations that end with the assistant's answer are asked without it"
    ]


def test_a_prompt_column_comes_before_messages():
    [task] = read_tasks([{"prompt": "Q", "messages": HISTORY}])
    assert (task.prompt, task.meta) == ("Q", {"messages": HISTORY})


def test_pairs_of_a_run_are_tasks_again(tmp_path):
    given = {"target": Scripted(), "judge": Scripted(), "tools": [], "candidates": 3}
    tasks = [a_conversation(), Task(id="s", prompt="Q", system="S")]
    list(synth(tasks, folder=tmp_path / "run", **given))
    again = {task.id: task for task in read_tasks(tmp_path / "run" / "pairs.jsonl")}
    assert {key: (task.prompt, task.system) for key, task in again.items()} == {
        task.id: (task.prompt, task.system) for task in tasks
    }


def test_tool_turns_are_sent_as_such_where_they_name_their_call():
    call = {"id": "1", "type": "function", "function": {"name": "w", "arguments": "{}"}}
    for named, kind in (({"tool_call_id": "1"}, "tool"), ({}, "human")):
        chat = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "content": "sun", **named}]  # fmt: skip
        sent = task_messages(Task(id="1", prompt=chat), "p_t")
        assert [(m.type, m.text) for m in sent] == [("human", "p_t"), ("ai", ""), (kind, "sun")]
        assert sent[1].tool_calls[0]["name"] == "w"


@pytest.mark.parametrize(
    "call",
    [{"function": {"name": "w", "arguments": {"a": 1}}}, {"id": "1", "function": {"name": "w", "arguments": "{"}}],
)
def test_tool_calls_that_the_protocol_cannot_carry_are_sent_as_text(call):
    chat = [HISTORY[1], {"role": "assistant", "content": "Look:", "tool_calls": [call]}, HISTORY[1]]
    sent = task_messages(Task(id="1", prompt=chat), "p_t")[1]
    assert sent.tool_calls == []
    assert sent.text == "Look:\n" + json.dumps(call["function"])


def test_tool_calls_may_stand_as_json_text():
    calls = [{"id": "1", "type": "function", "function": {"name": "w", "arguments": "{}"}}]
    chat = [HISTORY[1], {"role": "assistant", "content": "", "tool_calls": json.dumps(calls)}, HISTORY[1]]
    assert Task(id="1", prompt=chat).prompt[1]["tool_calls"] == calls


def test_a_content_part_without_a_type_is_text():
    assert Task(id="1", prompt=[{"role": "user", "content": [{"text": "Q"}]}]).prompt == "Q"


def test_a_shared_instruction_goes_before_the_last_user_turn():
    prompts = Prompts(target="Be exact.", judge="", tools={}, shared=True)
    assert prompts.asked(a_conversation()) == "Be exact.\n\nWhat is my name?"
