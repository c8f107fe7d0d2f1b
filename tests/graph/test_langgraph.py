"""What LangGraph offers behaves alike in a run and in a compiled graph of the user's own."""

from operator import add
from typing import Annotated

import pytest
from langchain_core.messages import AIMessageChunk
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.types import Command, RetryPolicy, interrupt

from anyprefer.core.game_state import GameState
from anyprefer.graph import asynth, state_graph
from tests.scripted import Scripted, a_task


class Noted(GameState, total=False):
    notes: Annotated[list[str], add]


def with_node(node, model=None, **policies):
    """The game with a node of the user's own between `use_tools` and `judge`."""
    model = model or Scripted(reward=["Alike. 4/10", "Good. 9/10"])
    graph = state_graph(target=model, judge=model, tools=[], candidates=3)
    graph.edges.remove(("use_tools", "judge"))
    graph.add_node("look_again", node, **policies)
    graph.add_edge("use_tools", "look_again")
    graph.add_edge("look_again", "judge")
    return graph


async def in_a_run(graph):
    [row] = [row async for row in asynth([a_task()], graph=graph)]
    return row


def untold(rounds):
    return [one.model_copy(update={"usage": {}}) for one in rounds]


async def test_a_reducer_on_a_key_of_ones_own():
    seen = []

    async def node(state: Noted):
        seen.append(list(state["notes"]))
        return {"notes": [f"after {len(state['rounds'])}"], "context": "seen"}

    state = await with_node(node).compile().ainvoke({"task": a_task()})
    row = await in_a_run(with_node(node))
    assert seen == [[], ["after 0"]] * 2
    assert untold(row.rounds) == state["rounds"]
    assert [one.context for one in row.rounds] == ["seen", "seen"]


async def test_a_plain_function_is_a_node_too():
    def node(state):
        return {"context": "plain"}

    assert (await in_a_run(with_node(node))).rounds[1].context == "plain"


@pytest.mark.parametrize("default", [False, True])
async def test_a_nodes_retry_policy(default):
    tried = []

    async def node(state: GameState):
        tried.append(1)
        if len(tried) % 3:
            raise ValueError("not yet")

    policy = RetryPolicy(initial_interval=0.001, jitter=False, max_attempts=3, retry_on=ValueError)
    graph = with_node(node, **({} if default else {"retry_policy": policy}))
    if default:
        graph.set_node_defaults(retry_policy=policy)
    row = await in_a_run(graph)
    assert (row.outcome, len(tried)) == ("accepted", 6), row.reason
    state = await graph.compile().ainvoke({"task": a_task()})
    assert (state["outcome"], len(tried)) == ("accepted", 9)


async def test_a_default_error_handler_of_the_users_own_is_played():
    async def node(state: GameState):
        raise ValueError("never")

    async def handler(state: GameState):
        return Command(update={"context": "handled"}, goto="judge")

    row = await in_a_run(with_node(node).set_node_defaults(error_handler=handler))
    assert (row.outcome, row.rounds[0].context) == ("accepted", "handled"), row.reason


async def test_a_stream_writer_and_what_astream_gives():
    async def node(state: GameState):
        get_stream_writer()({"looked": len(state["candidates"])})

    graph = with_node(node)
    parts = [
        part
        async for part in graph.compile().astream({"task": a_task()}, stream_mode=["updates", "messages", "custom"])
    ]
    assert [told for mode, told in parts if mode == "custom"] == [{"looked": 3}, {"looked": 3}]
    steps = [step for mode, update in parts if mode == "updates" for step in update]
    assert [step for step in steps if step not in ("sample", "select_tools")] == [
        "start", "use_tools", "look_again", "judge", "reward",
        "update_prompts", "use_tools", "look_again", "judge", "reward",
    ]  # fmt: skip
    messages = [told for mode, told in parts if mode == "messages"]
    assert {about["langgraph_node"] for _, about in messages} == {"sample", "judge", "reward", "update_prompts"}
    assert all(message.text or isinstance(message, AIMessageChunk) for message, _ in messages)
    assert any(message.text == "Good. 9/10" for message, _ in messages)
    assert (await in_a_run(with_node(node))).outcome == "accepted"


async def test_an_interrupt_asks_the_user_of_a_graph_and_fails_a_task_of_a_run():
    async def node(state: GameState):
        return {"context": interrupt("may I?")}

    graph, thread = with_node(node).compile(InMemorySaver()), {"configurable": {"thread_id": "1"}}
    state = await graph.ainvoke({"task": a_task()}, thread)
    assert state["__interrupt__"][0].value == "may I?"
    await graph.ainvoke(Command(resume="you may"), thread)
    assert (await graph.aget_state(thread)).values["rounds"][0].context == "you may"
    row = await in_a_run(with_node(node))
    assert row.outcome == "failed"
    assert "a node asks 'may I?' (interrupt), and in a run nobody answers" in row.reason
    assert len(row.rounds[0].candidates) == 3


async def test_a_checkpointer_changes_nothing():
    async def node(state: GameState):
        return {"context": "seen"}

    thread = {"configurable": {"thread_id": "1"}}
    state = await with_node(node).compile(InMemorySaver()).ainvoke({"task": a_task()}, thread)
    assert untold((await in_a_run(with_node(node))).rounds) == state["rounds"]
