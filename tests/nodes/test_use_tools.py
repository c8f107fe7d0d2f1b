import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from anyprefer.core.records import Candidate, Knowledge, Selection
from anyprefer.core.task import Task
from anyprefer.graph import synth
from anyprefer.nodes.use_tools import knowledge_lines, use_candidate_tools, use_task_tools
from anyprefer.tools import Finding, ToolFailure, limited, tool
from anyprefer.tools.base import QUICK_TEXT
from anyprefer.tools.time_limits import STUCK
from tests.scripted import Scripted, a_task, play


async def use(made, **arguments):
    """What the tool found about the task."""
    state = {"task": a_task(), "selected": [Selection(tool=made.name, arguments=arguments)]}
    return (await use_task_tools([limited(made, 0.2)])(state))["task_knowledge"][0]


@tool
def look(query: str) -> str:
    """Looks."""
    return f"seen {query}"


@tool
def measure(candidate: Candidate, by: float = 1.0) -> Finding:
    """Measures an answer."""
    return Finding(f"{len(candidate.text)} signs", verdict=0.5, weight=2, data={"box": [1, 2]})


@tool
def hangs(query: str) -> str:
    """Hangs in a blocking call."""
    time.sleep(60)
    return ""


@tool
async def waits(query: str) -> str:
    """Never comes back."""
    await asyncio.Event().wait()
    return ""


async def test_a_task_tool_runs_once_with_the_prompt_as_its_query():
    found = await use(look)
    assert found == Knowledge(tool="look", text="seen What is 2 + 2?", seconds=found.seconds)


async def test_the_judges_arguments_are_passed_and_kept():
    found = await use(look, query="four")
    assert found.text == "seen four"
    assert found.arguments == {"query": "four"}


async def test_a_candidate_tool_runs_on_every_candidate_with_its_findings_kept():
    candidates = [Candidate(index=0, content="ab", seed=1), Candidate(index=1, content="abcd", seed=2)]
    state = {"task": a_task(), "selected": [Selection(tool="measure", arguments={"by": 2})], "candidates": candidates}
    found = (await use_candidate_tools([measure, look])(state))["candidate_knowledge"]
    assert [(k.candidate, k.text, k.verdict, k.weight, k.data) for k in found] == [
        (0, "2 signs", 0.5, 2, {"box": [1, 2]}),
        (1, "4 signs", 0.5, 2, {"box": [1, 2]}),
    ]
    assert found[0].arguments == {"by": 2}


async def test_a_candidate_tool_may_compare_all_candidates():
    @tool
    def rank(candidate: Candidate, candidates: Sequence[Candidate]) -> str:
        """Ranks an answer by its length."""
        return str(sorted(len(one.text) for one in candidates).index(len(candidate.text)))

    three = [Candidate(index=n, content="x" * n, seed=n) for n in (3, 1, 2)]
    state = {"task": a_task(), "selected": [Selection(tool="rank")], "candidates": three}
    found = (await use_candidate_tools([rank])(state))["candidate_knowledge"]
    assert [(k.text, k.arguments) for k in found] == [("2", {}), ("0", {}), ("1", {})]


@pytest.mark.parametrize("made", [hangs, waits])
async def test_a_tool_that_hangs_is_left_behind_and_the_round_goes_on(made):
    model = Scripted(select_tools=f'["{made.name}", "look"]')
    row = await play(model, tools=[made, look], tool_timeout=0.2)
    late, seen = row.rounds[0].knowledge
    assert late.error == "no answer within 0.2 s"
    assert late.text == ""
    assert seen.text.startswith("seen")
    assert row.outcome == "accepted"
    assert f"[{made.name}] failed: no answer within 0.2 s" in model.asked("aggregate")[0].user


LEAVES = """
import time
from anyprefer.graph import synth
from anyprefer.tools import tool
from tests.scripted import Scripted

@tool
def hangs(query: str) -> str:
    "Hangs."
    time.sleep(600)

model = Scripted(select_tools='["hangs"]')
[row] = synth(["What?"], target=model, judge=model, tools=[hangs], tool_timeout=0.1)
print(row.outcome)
"""


async def test_waiting_for_a_turn_is_not_running_out_of_time(monkeypatch):
    monkeypatch.setattr("anyprefer.tools.time_limits.THREADS", 1)

    @tool
    def slow(candidate) -> str:
        """Takes its time."""
        time.sleep(0.3)
        return "done"

    row = await play(Scripted(select_tools='["slow"]'), tools=[slow], candidates=5, tool_timeout=1.0)
    assert [item.error for item in row.rounds[0].knowledge] == [None] * 5


async def test_a_tool_whose_uses_hang_is_not_started_again_until_they_return():
    begun, returns = [], threading.Event()

    @tool
    def stuck(candidate) -> str:
        """Hangs until it is let go."""
        begun.append(threading.current_thread())
        returns.wait(60)
        return "back"

    model = Scripted(select_tools='["stuck"]')
    errors = []
    for _ in range(3):
        row = await play(model, tools=[stuck], candidates=5, tool_timeout=0.05)
        errors += [item.error for item in row.rounds[0].knowledge]
    assert len(begun) == STUCK
    assert errors[:STUCK] == ["no answer within 0.05 s"] * STUCK
    assert all("3 earlier uses of stuck still hang" in error for error in errors[STUCK:])
    returns.set()
    for thread in begun:
        thread.join(10)
    row = await play(model, tools=[stuck], candidates=5, tool_timeout=30)
    assert [item.text for item in row.rounds[0].knowledge] == ["back"] * 5


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("kind", ["async", "quick", "thread"])
def test_a_tool_that_leaves_python_ends_no_run(kind, raised):
    async def leaves(query: str) -> str:
        """Leaves."""
        raise raised

    def exits(query: str) -> str:
        """Exits."""
        raise raised

    made = {"async": tool(leaves), "quick": tool(quick=True)(exits), "thread": tool(exits)}[kind]
    model = Scripted(select_tools=f'["{made.name}"]')
    [row] = synth(["What?"], target=model, judge=model, tools=[made], max_rounds=1)
    assert row.outcome == "accepted"
    assert row.rounds[0].knowledge[0].error == f"RuntimeError: tool {made.name} raised {raised.__name__}"


async def test_a_quick_tool_reads_long_texts_in_a_thread():
    @tool(quick=True)
    def where(task: Task) -> str:
        """Says where it runs."""
        return threading.current_thread().name

    short, long = a_task(prompt="x"), a_task(prompt="x" * (QUICK_TEXT + 1))
    here = threading.current_thread().name
    names = [await limited(where, 5).ainvoke({"task": task}) for task in (short, long)]
    assert (names[0] == here, names[1]) == (True, "anyprefer-tool-where")


def test_a_hanging_tool_does_not_keep_the_process_alive():
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", LEAVES], cwd=root, capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.returncode) == ("accepted\n", 0), done.stderr


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (ValueError("no such page"), "ValueError: no such page"),
        (ToolFailure("The site is closed."), "The site is closed."),
        (TimeoutError("read timed out"), "TimeoutError: read timed out"),
        (KeyError("x"), "KeyError: 'x'"),
    ],
)
async def test_a_tool_that_raises_is_named_with_its_reason(raised, words):
    @tool
    def broken(query: str) -> str:
        """Breaks."""
        raise raised

    found = await use(broken)
    assert found.error == words
    assert found.text == ""
    assert found.verdict is None


async def test_a_tool_that_leaves_python_is_only_an_error():
    @tool
    def exits(query: str) -> str:
        """Exits."""
        raise SystemExit(3)

    assert "SystemExit" in (await use(exits)).error


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        (Finding("x", verdict=1.5), "less than or equal to 1"),
        (Finding("x", verdict=-0.1), "greater than or equal to 0"),
        (Finding("x", verdict=float("nan")), "verdict"),
        (Finding("x", weight=0), "greater than 0"),
        (Finding("x", data={1, 2}), "not JSON serializable"),
        (Finding("x", data=float("nan")), "JSON compliant"),
        (object(), "not JSON serializable"),
    ],
)
async def test_a_finding_outside_its_ranges_is_an_error_and_no_evidence(finding, words):
    @tool
    def odd(query: str) -> Finding:
        """Odd."""
        return finding

    found = await use(odd)
    assert words in found.error
    assert (found.text, found.verdict, found.data) == ("", None, None)


async def test_arguments_the_tool_does_not_have_are_an_error_the_judge_can_read():
    assert "Extra inputs" in (await use(look, query="a", wrong=1)).error


async def test_structured_findings_are_kept_as_json():
    @tool
    def boxes(query: str) -> dict:
        """Boxes."""
        return {"cup": (1, 2)}

    found = await use(boxes)
    assert found.data == {"cup": [1, 2]}
    assert found.text == '{"cup": [1, 2]}'


async def test_a_stated_latency_is_kept():
    @tool
    def timed(query: str) -> Finding:
        """Timed."""
        return Finding("x", seconds=12.5)

    assert (await use(timed)).seconds == 12.5


def test_the_knowledge_base_names_tool_answer_and_failure():
    lines = knowledge_lines(
        [
            Knowledge(tool="look", text="four"),
            Knowledge(tool="measure", candidate=1, text="short"),
            Knowledge(tool="web", error="offline"),
        ]
    )
    assert lines == "[look] four\n[measure about answer 2] short\n[web] failed: offline"


async def test_uses_of_a_model_that_answers_one_at_a_time_take_turns() -> None:
    running, most = threading.Semaphore(1), list[bool]()

    @tool(alone=True)
    def look(task: Task, *, url: str = "") -> str:
        """Looks."""
        free = running.acquire(blocking=False)
        time.sleep(0.05)
        most.append(free)
        if free:
            running.release()
        return "seen"

    one = limited(look, 60)
    task = Task(id="t", prompt="?")
    assert await asyncio.gather(*(one.ainvoke({"task": task}) for _ in range(16))) == ["seen"] * 16
    assert most == [True] * 16
