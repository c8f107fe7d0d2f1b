"""Whoever listens to tokens hears each candidate's own text."""

import json
from collections import defaultdict

import pytest
from aiohttp import web
from langchain_core.messages import HumanMessage, SystemMessage

from anyprefer.graph import build_graph
from anyprefer.models.answer import read_answer
from anyprefer.models.servers.openai_chat import CompatibleChat
from tests.loopback import Loopback, completion, refusal
from tests.scripted import Scripted, a_task

HELLO = [SystemMessage("Be brief."), HumanMessage("Hello")]


def streamed(*texts, end="stop", **delta):
    """An event stream whose choices' words come in turn."""
    lines = []
    for at in range(max(len(text.split()) for text in texts)):
        for index, text in enumerate(texts):
            word = {"role": "assistant", "content": f"{text.split()[at]} ", **delta}
            choice = {"index": index, "delta": word, "finish_reason": None}
            lines.append(json.dumps({"id": "c", "choices": [choice]}))
    for index in range(len(texts)):
        lines.append(json.dumps({"id": "c", "choices": [{"index": index, "delta": {}, "finish_reason": end}]}))
    text = "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"])
    return web.Response(text=text, content_type="text/event-stream")


def answer(asked, count):
    texts = [f"answer {letter} of {asked['seed']}" for letter in "abcde"[: asked.get("n", 1)]]
    return streamed(*texts) if asked.get("stream") else completion(*texts)


@pytest.fixture
def server():
    with Loopback(answer) as running:
        yield running


@pytest.mark.parametrize("leave_out", ["", "n"])
async def test_langgraph_hears_each_candidate_under_its_own_id(server, leave_out):
    judge = Scripted()
    graph = build_graph(
        target=f"openai:any@{server.url}", judge=judge, tools=[], candidates=3, max_rounds=1, leave_out=leave_out
    )
    heard, state = defaultdict(str), {}
    async for kind, value in graph.astream({"task": a_task()}, stream_mode=["values", "messages"]):
        if kind == "values":
            state = value
        elif "role:sample" in value[1].get("tags", ()):
            heard[value[0].id] += value[0].text
    candidates = [candidate.text for candidate in state["rounds"][0].candidates]
    assert len(candidates) == 3
    assert sorted(text.strip() for text in heard.values() if text.strip()) == sorted(candidates)


async def test_events_tell_each_candidate(server):
    graph = build_graph(target=f"openai:any@{server.url}", judge=Scripted(), tools=[], candidates=3, max_rounds=1)
    events = [event async for event in graph.astream_events({"task": a_task()}, version="v2")]
    told = [event["data"]["chunk"].text for event in events if event["event"] == "on_chat_model_stream"]
    assert {text for text in told if text.startswith("answer")} == {text for text in told if " of " in text}
    assert len({text for text in told if " of " in text}) == 3


async def test_a_stream_that_is_refused_is_answered_whole(server):
    def refusing(asked, count):
        return refusal(400, "Unsupported parameter: 'seed'") if "seed" in asked else completion("Hi.")

    server.answer = refusing
    model = CompatibleChat(model="any", base_url=server.url, api_key="none", max_retries=0)
    for _ in range(3):
        assert [chunk.text async for chunk in model.astream(HELLO, seed=1) if chunk.text] == ["Hi."]
    assert len(server.bodies) == 5


async def test_a_streamed_answer_has_its_thoughts_and_its_end(server):
    server.answer = lambda asked, count: streamed("so it is", end="length", reasoning_content="Hm. ")
    model = CompatibleChat(model="any", base_url=server.url, api_key="none")
    message = None
    async for chunk in model.astream(HELLO):
        message = chunk if message is None else message + chunk
    read = read_answer(message)
    assert (read.text, read.thoughts, read.ended) == ("so it is", "Hm. Hm. Hm.", "length")
