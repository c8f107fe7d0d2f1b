import json
import time
from collections import deque
from collections.abc import Sequence

import pytest

from anyprefer.core.errors import InputError, ModelSetupError
from anyprefer.graph import Candidate, Task, asynth, build_graph
from anyprefer.models.tape import Tape
from anyprefer.tools import Finding, ToolFailure, tool
from tests import folder
from tests.scripted import Scripted, ScriptedWithTools, play
from tests.server import OpenAIServer

TASKS = [Task(id=str(n), prompt=f"Ann has {n} apples and buys {n * 7 % 5} more. How many?") for n in range(8)]
RUNS: list[str] = []


@tool
def look(query: str) -> Finding:
    """Looks things up."""
    RUNS.append("look")
    return Finding(f"seen {query}", data={"urls": ("a", "b")})


@tool
def weigh(candidate: Candidate, task: Task, candidates: Sequence[Candidate]) -> Finding:
    """Weighs an answer."""
    RUNS.append("weigh")
    return Finding(f"weighed among {len(candidates)}", verdict=len(candidate.text) % 10 / 10)


@tool
def broken(query: str) -> str:
    """Breaks."""
    raise ToolFailure("The site is closed.")


@tool
def odd(query: str) -> Finding:
    """Claims too much."""
    return Finding("x", verdict=3)


@tool
def hangs(query: str) -> str:
    """Hangs."""
    time.sleep(60)
    return ""


@tool
def times_out(query: str) -> str:
    """Meets a socket's own time limit."""
    raise TimeoutError("read timed out")


TOOLS = [look, weigh, broken, odd, times_out]


async def rows_of(spec, **values):
    given = {"target": spec, "judge": spec, "tools": TOOLS, "tool_timeout": 1, "threshold": 9, **values}
    rows = [row async for row in asynth(TASKS, **given)]
    return sorted((row.model_dump() for row in rows), key=lambda row: row["id"])


def either(rows):
    return [{**row, "reason": row["reason"].replace("select_tools", "sample")} for row in rows]


@pytest.mark.parametrize("faults", [(), ("no_tools", "no_schema"), ("garbage_judge",), ("400",)])
async def test_a_recorded_run_plays_back_as_the_same_rows_with_the_server_shut_down(tmp_path, faults):
    tape = str(tmp_path / "deep" / "tape.jsonl")
    with OpenAIServer(0, *faults) as server:
        recorded = await rows_of(f"openai:any@{server.url}", record=tape)
    RUNS.clear()
    # of two calls at the same time either may be the first that is refused
    assert either(await rows_of(f"replay:{tape}")) == either(recorded)
    assert RUNS == []
    if not faults:
        assert {row["outcome"] for row in recorded} == {"accepted", "rejected"}
        assert max(len(row["rounds"]) for row in recorded) == 3
        found = {k["tool"]: k for k in recorded[0]["rounds"][0]["knowledge"]}
        assert found["look"]["data"] == {"urls": ["a", "b"]}
        assert found["broken"]["error"] == "The site is closed."
        assert found["times_out"]["error"] == "TimeoutError: read timed out"
        assert "verdict" in found["odd"]["error"]
    elif faults[0] == "no_tools":
        assert {row["outcome"] for row in recorded} <= {"accepted", "rejected"}
    else:
        assert {row["outcome"] for row in recorded} == {"failed"}


async def test_a_model_given_as_an_object_is_recorded_with_its_traits(tmp_path):
    tape = str(tmp_path / "tape.jsonl")
    for kind in (Scripted, ScriptedWithTools):
        model = kind(select_tools="[]", sample=lambda call: str(call.seed))
        row = await play(model, tools=[look], record=f"{tape}.{kind.__name__}")
        played = f"replay:{tape}.{kind.__name__}"
        assert await play(played, tools=[look]) == row
        assert row.models["target"] == kind.__name__


def test_invoke_is_recorded_and_played_too(tmp_path):
    tape = str(tmp_path / "tape.jsonl")
    model = Scripted(reward=["2/10", "9/10"])
    given = {"tools": [], "candidates": 2}
    state = build_graph(target=model, judge=model, record=tape, **given).invoke({"task": TASKS[0]})
    assert len(state["rounds"]) == 2
    assert build_graph(target=f"replay:{tape}", judge=f"replay:{tape}", **given).invoke({"task": TASKS[0]}) == state


async def test_the_same_question_asked_twice_is_answered_in_order_and_the_last_answer_stays(tmp_path):
    tape = Tape.new(tmp_path / "tape.jsonl")
    first, second = {"error": "1"}, {"error": "2"}
    for value in (first, second):
        tape.record({"q": "same"}, value)
    played = Tape.load(tape.path)
    assert [played.play({"q": "same"}) for _ in range(3)] == [first, second, second]


async def test_a_call_that_was_never_recorded_fails_its_task_by_name(tmp_path):
    tape = str(tmp_path / "tape.jsonl")
    await play(Scripted(), record=tape)
    row = await play(f"replay:{tape}", seed=1)
    assert row.outcome == "failed"
    assert "tape.jsonl holds no answer to this call; replay needs the recorded settings" in row.reason


async def test_a_recording_is_never_overwritten(tmp_path):
    path = tmp_path / "tape.jsonl"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists; choose another file, or play it with replay:"):
        await play(Scripted(), record=str(path))
    with pytest.raises(InputError, match="cannot be written"):
        await play(Scripted(), record=str(path / "below"))
    assert path.read_text() == "mine"


async def test_a_tape_is_one_json_object_a_line(tmp_path):
    path = tmp_path / "tape.jsonl"
    await play(Scripted(), tools=[look], record=str(path))
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(set(entry) == {"key", "value"} for entry in entries)


async def test_a_tool_that_hung_is_not_waited_for_again(tmp_path):
    tape = str(tmp_path / "tape.jsonl")
    model = Scripted(select_tools='["hangs"]')
    row = await play(model, tools=[hangs], tool_timeout=0.2, record=tape)
    assert row.rounds[0].knowledge[0].error == "no answer within 0.2 s"
    assert await play(f"replay:{tape}", tools=[hangs], tool_timeout=0.2) == row


TRAITS = {"name": "m", "fields": ["seed"], "tools": False, "shapes": False}
ANSWER = {"type": "ai", "data": {"content": "4", "type": "ai"}}
FINDING = {"text": "x", "verdict": 1.0, "weight": 1.0, "data": None, "seconds": 0.0}


@pytest.mark.parametrize(
    "value", [TRAITS, ANSWER, {"finding": FINDING}, {"failure": "ModelError", "words": "w"}, {"error": "e"}]
)
def test_what_is_recorded_is_loaded(tmp_path, value):
    (tmp_path / "tape").write_text(json.dumps({"key": "k", "value": value}) + "\n\n")
    assert Tape.load(tmp_path / "tape")._answers == {"k": deque([value])}


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        "\x00\x01",
        json.dumps({"key": [1], "value": ANSWER}),
        json.dumps({"key": "k"}),
        *(
            json.dumps({"key": "k", "value": value})
            for value in (
                5,
                None,
                [1],
                {},
                {"name": "m"},
                {**TRAITS, "evil": 1},
                {**TRAITS, "name": 5},
                {"type": "evil", "data": {}},
                {"type": "remove", "data": {"id": "x"}},
                {"type": "human", "data": {"content": "4", "type": "human"}},
                {"type": "ai", "data": {"content": 5}},
                {"type": "ai", "data": 5},
                {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {}, "data": {}},
                {"failure": "System\nExit", "words": "x"},
                {"failure": 5, "words": "x"},
                {"failure": "E", "words": 5},
                {"error": 5},
                {"finding": [1]},
                {"finding": {**FINDING, "evil": 1}},
                {"finding": {**FINDING, "verdict": "1"}},
                {"finding": {**FINDING, "text": 5}},
            )
        ),
    ],
)  # fmt: skip
def test_a_tape_that_no_run_has_recorded_is_refused_with_its_line(tmp_path, line):
    good = json.dumps({"key": "k", "value": TRAITS})
    (tmp_path / "tape").write_text(f"{good}\n{line}\n")
    with pytest.raises(ModelSetupError, match=r"tape, line 2: not a recorded call \("):
        Tape.load(tmp_path / "tape")
    with pytest.raises(ModelSetupError, match="cannot be read: Is a directory"):
        Tape.load(tmp_path)


def test_a_run_that_records_can_be_resumed_and_its_tape_is_that_of_one_run(tmp_path):
    tape, path = tmp_path / "tape.jsonl", tmp_path / "run"
    folder.run(path, folder.mixed(False), folder.TASKS[:3], record=str(tape))
    with tape.open("a") as file:
        file.write('{"key": "cut sho')
    assert len(folder.run(path, folder.mixed(False), record=str(tape))) == 3
    folder.run(tmp_path / "whole", folder.mixed(False), record=str(tmp_path / "whole.jsonl"))
    assert sorted(tape.read_text().splitlines()) == sorted((tmp_path / "whole.jsonl").read_text().splitlines())
    with pytest.raises(InputError, match="exists; choose another file"):
        folder.run(tmp_path / "other", folder.mixed(False), record=str(tape))
    assert not (tmp_path / "other").exists()
