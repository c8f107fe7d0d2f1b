"""Our chat model against LangChain's own, on the same server and the same calls."""

import asyncio
import json
import subprocess
import sys
import textwrap

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI
from pydantic import BaseModel

from anyprefer.core.background_loop import run_blocking
from anyprefer.models.answer import Answer, read_answer
from anyprefer.models.packing import packed, unpacked
from anyprefer.models.servers.openai_chat import CompatibleChat, OpenAIChat
from tests.loopback import Loopback, completion

HELLO = [SystemMessage("Be brief."), HumanMessage("Hello")]
TOOL = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}}
CALL = {"name": "look", "args": {"at": "it"}, "id": "call_1"}
PIXEL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "n", "strict": True, "schema": {"type": "object", "properties": {}}},
}


def called(*arguments):
    calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": "look", "arguments": a}}
        for n, a in enumerate(arguments)
    ]
    return completion(None, tool_calls=calls)


CALLS = {
    "text": (HELLO, {}),
    "settings": (HELLO, {"seed": 3, "temperature": 0.0, "top_p": 0.5, "max_tokens": 9, "stop": ["x"]}),
    "more settings": (
        HELLO,
        {"presence_penalty": 1.0, "user": "u", "extra_body": {"top_k": 4}},
    ),
    "unicode": ([HumanMessage('Grüße \u2028 "{answer}" 🎉')], {}),
    "images": ([HumanMessage([PIXEL, {"type": "text", "text": "What?"}])], {}),
    "langchain's own image": ([HumanMessage([{"type": "image", "base64": "AAAA", "mime_type": "image/png"}])], {}),
    "names": ([HumanMessage("Hi", name="ann"), AIMessage("Yes?", name="bob"), HumanMessage("No")], {}),
    "a turn of ours": ([*HELLO, AIMessage("Hi.", additional_kwargs={"refusal": None}), HumanMessage("Again")], {}),
    "tools": (HELLO, {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False}),
    "tool turn": (
        [*HELLO, AIMessage("", tool_calls=[CALL]), ToolMessage("seen", tool_call_id="call_1")],
        {"tools": [TOOL]},
    ),
    "another role": ([ChatMessage("Hi", role="critic")], {}),
    "schema": (HELLO, {"response_format": SCHEMA}),
    "json mode": (HELLO, {"response_format": {"type": "json_object"}}),
    "logit bias": (HELLO, {"logit_bias": {50256: -100}}),
    "logprobs": (HELLO, {"logprobs": True}),
    "null": (HELLO, {"seed": None}),
}
ANSWERS = {
    "text": completion("Hi."),
    "empty": completion(""),
    "refused": completion(None, refusal="I cannot."),
    "tool calls": called('{"at": "it"}', "{broken", ""),
    "cached tokens": completion("Hi.", usage={
        "prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 1},
    }),
    "no usage": {**completion("Hi."), "usage": None},
    "cut": {**completion("Hi"), "choices": [{"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": "Hi"}}]},
    "a tier": {**completion("Hi."), "service_tier": "flex", "system_fingerprint": "fp"},
    "function call": completion(None, function_call={"name": "look", "arguments": "{}"}),
}  # fmt: skip
PAIRS = [(OpenAIChat, ChatOpenAI), (CompatibleChat, BaseChatOpenAI)]


@pytest.fixture
def server():
    with Loopback(lambda asked, count: completion("Hi.")) as running:
        yield running


def made(kind, server, **given):
    return kind(**{"model": "any", "base_url": server.url, "api_key": "key-of-a-test", "max_retries": 0, **given})


def seen(message):
    metadata = message.response_metadata
    return {
        "content": message.content,
        "tool_calls": message.tool_calls,
        "invalid_tool_calls": [{**call, "error": ""} for call in message.invalid_tool_calls],
        "usage_metadata": message.usage_metadata,
        "additional_kwargs": message.additional_kwargs,
        **{
            key: metadata.get(key)
            for key in ("finish_reason", "model_name", "id", "system_fingerprint", "model_provider")
        },
    }


async def check_same(pair, server, messages, **kwargs):
    """The message both gave, after comparing what they sent and what they made of the answer."""
    server.bodies.clear()
    mine, reference = [await made(kind, server).ainvoke(messages, **kwargs) for kind in pair]
    assert server.bodies[0] == server.bodies[1]
    assert seen(mine) == seen(reference)
    return mine


@pytest.mark.parametrize("pair", PAIRS, ids=["openai", "compatible"])
@pytest.mark.parametrize("case", CALLS)
async def test_requests_are_langchains(server, pair, case):
    messages, kwargs = CALLS[case]
    await check_same(pair, server, messages, **kwargs)


@pytest.mark.parametrize("case", ANSWERS)
async def test_answers_are_langchains(server, case):
    server.answer = lambda asked, count: ANSWERS[case]
    await check_same(PAIRS[0], server, HELLO)


THOUGHT = {"reasoning_content": "Hm.", "refusal": None}
ENDINGS = {
    "thoughts": {"finish_reason": "length", "message": {"role": "assistant", "content": None, **THOUGHT}},
    "a refusal": {"finish_reason": "stop", "message": {"role": "assistant", "content": None, "refusal": "No."}},
    "no message": {"finish_reason": "content_filter"},
    "null": {"finish_reason": "error", "message": None},
    "whole": {"finish_reason": "stop", "message": {"role": "assistant", "content": "Hi.", "reasoning": "Hm."}},
}
READ = {
    "thoughts": Answer("", "length", thoughts="Hm."),
    "a refusal": Answer("", "stop", refusal="No."),
    "no message": Answer("", "filter"),
    "null": Answer("", "error"),
    "whole": Answer("Hi.", "stop", thoughts="Hm."),
}


@pytest.mark.parametrize("listeners", [0, 1], ids=["alone", "traced"])
async def test_every_choice_says_how_it_ended_what_it_refused_and_thought(server, listeners):
    choices = [{"index": n, **choice} for n, choice in enumerate(ENDINGS.values())]
    server.answer = lambda asked, count: {**completion("Hi."), "choices": choices}
    config = {"callbacks": [Listener() for _ in range(listeners)]}
    messages = await made(OpenAIChat, server).achoices(HELLO, config, n=len(choices))
    for kept in (messages, unpacked(packed(messages))):
        assert dict(zip(ENDINGS, map(read_answer, kept), strict=True)) == READ
    for case, choice in ENDINGS.items():
        server.answer = lambda asked, count, choice=choice: {**completion("Hi."), "choices": [choice]}
        message = await made(OpenAIChat, server).ainvoke(HELLO, config)
        assert read_answer(unpacked(packed([message]))[0]) == READ[case]


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"at": "it"}, {"at": "it"}),
        (json.dumps(json.dumps({"at": "it"})), {"at": "it"}),
        ("", {}),
        (None, {}),
        ({}, {}),
        ("{'at': 'it'}", None),
        ('{"at": "i', None),
        ("[1]", None),
        (7, None),
    ],
)
async def test_tool_arguments_are_read_as_servers_write_them(server, given, read):
    server.answer = lambda asked, count: called(given)
    message = await made(OpenAIChat, server).ainvoke(HELLO)
    assert [call["args"] for call in message.tool_calls] == ([] if read is None else [read])
    assert len(message.invalid_tool_calls) == (read is None)


@pytest.mark.parametrize("call", [None, "look", {}, {"function": None}, {"function": {"name": None}}, {"function": {}}])
async def test_a_tool_call_of_no_known_form_is_kept_as_one_that_cannot_be_read(server, call):
    server.answer = lambda asked, count: completion(None, tool_calls=[call])
    message = await made(OpenAIChat, server).ainvoke(HELLO)
    assert (message.tool_calls, len(message.invalid_tool_calls)) == ([], 1)


async def test_the_schema_of_a_class_is_left_to_langchain(server):
    class Colour(BaseModel):
        name: str

    server.answer = lambda asked, count: completion('{"name": "red"}')
    answers = [await made(kind, server).with_structured_output(Colour).ainvoke("Which?") for kind in PAIRS[0]]
    assert answers == [Colour(name="red")] * 2
    assert server.bodies[0] == server.bodies[1]


@pytest.mark.parametrize("schema", [{"title": "colour", "type": "object", "properties": {"name": {"type": "string"}}}])
@pytest.mark.parametrize("method", ["json_schema", "json_mode", "function_calling"])
async def test_structured_output(server, schema, method):
    server.answer = lambda asked, count: (
        completion(
            None if "tools" in asked else '{"name": "red"}',
            tool_calls=[
                {"id": "c", "type": "function", "function": {"name": "colour", "arguments": '{"name": "red"}'}}
            ],
        )
        if "tools" in asked
        else completion('{"name": "red"}')
    )
    answers = [
        await made(kind, server).with_structured_output(schema, method=method).ainvoke("Which?") for kind in PAIRS[0]
    ]
    assert answers == [{"name": "red"}] * 2
    assert server.bodies[0] == server.bodies[1]


async def test_streams_are_left_to_langchain(server):
    from aiohttp import web

    lines = 'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi."}}]}\n\ndata: [DONE]\n\n'
    server.answer = lambda asked, count: web.Response(text=lines, content_type="text/event-stream")
    assert [chunk.content async for chunk in made(OpenAIChat, server).astream(HELLO) if chunk.content] == ["Hi."]
    assert (await made(OpenAIChat, server, streaming=True).ainvoke(HELLO)).content == "Hi."


FIELDS = {
    "model's settings": {"temperature": 0.3, "seed": 1, "max_tokens": 5, "stop": ["y"], "reasoning_effort": "low"},
    "model_kwargs": {"model_kwargs": {"user": "u", "parallel_tool_calls": None}},
    "extra_body": {"extra_body": {"min_p": 0.1}},
    "an o-series model": {"model": "o3-mini"},
    "headers": {"default_headers": {"X-Team": "blue"}, "organization": "org-1"},
    "a key that is called": {"api_key": lambda: "key-of-a-test"},
    "headers in the answer": {"include_response_headers": True},
    "a query": {"default_query": {"api-version": "1"}},
    "seconds": {"timeout": 5},
    "n": {"n": 2},
}


@pytest.mark.parametrize("case", FIELDS)
async def test_configuration_is_langchains(server, case):
    mine, reference = [await made(kind, server, **FIELDS[case]).ainvoke(HELLO) for kind in PAIRS[0]]
    assert server.bodies[0] == server.bodies[1]
    assert seen(mine) == seen(reference)
    sent, wanted = ({name.lower(): value for name, value in headers.items()} for headers in server.headers)
    for name in ("authorization", "openai-organization", "x-team", "content-type"):
        assert sent.get(name) == wanted.get(name)


async def test_a_model_that_is_changed_asks_differently(server):
    model = made(OpenAIChat, server, model_kwargs={"user": "a"})
    await model.ainvoke("Hi")
    model.temperature = 0.5
    model.model_kwargs["user"] = "b"
    await model.ainvoke("Hi")
    await model.model_copy(update={"model_name": "other"}).ainvoke("Hi")
    assert [body.get("temperature") for body in server.bodies] == [None, 0.5, 0.5]
    assert [body["user"] for body in server.bodies] == ["a", "b", "b"]
    assert [body["model"] for body in server.bodies] == ["any", "any", "other"]


@pytest.mark.parametrize("kind", PAIRS[0])
async def test_n_gives_as_many_generations(server, kind):
    server.answer = lambda asked, count: completion(*"abcde"[: asked["n"]])
    result = await made(kind, server).agenerate([HELLO], n=5)
    assert [generation.text for generation in result.generations[0]] == list("abcde")
    assert server.bodies[0]["n"] == 5
    assert (await made(kind, server).ainvoke(HELLO, n=2)).content == "a"


class Listener(AsyncCallbackHandler):
    def __init__(self):
        self.heard = []

    async def on_chat_model_start(self, serialized, messages, **kwargs):
        self.heard.append("start")

    async def on_llm_end(self, response, **kwargs):
        self.heard.append(response.llm_output["token_usage"]["total_tokens"])


async def test_whoever_listens_hears(server):
    model = made(OpenAIChat, server)
    given, own, inherited = Listener(), Listener(), Listener()
    await model.ainvoke(HELLO, {"callbacks": [given]})
    await made(OpenAIChat, server, callbacks=[own]).ainvoke(HELLO)

    async def step(text):
        return await model.ainvoke(text)

    await RunnableLambda(step).ainvoke("Hi", {"callbacks": [inherited]})
    assert given.heard == own.heard == inherited.heard == ["start", 8]


async def test_nobody_listens_nothing_is_started(server, monkeypatch):
    async def never(*args, **kwargs):
        raise AssertionError("LangChain's machinery was entered")

    monkeypatch.setattr(BaseChatOpenAI, "agenerate", never)
    assert (await made(OpenAIChat, server).ainvoke(HELLO)).content == "Hi."


async def test_langsmith_is_heard_of(server, monkeypatch):
    from langsmith.utils import get_env_var, get_tracer_project

    for cached in (get_env_var, get_tracer_project):
        cached.cache_clear()
    model = made(OpenAIChat, server)
    assert not model._attended(None)
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    monkeypatch.setenv("LANGSMITH_API_KEY", "none")
    get_env_var.cache_clear()
    assert model._attended(None)
    get_env_var.cache_clear()


async def test_cache_and_rate_limiter_are_kept_to(server):
    cached = made(OpenAIChat, server, cache=InMemoryCache())
    await cached.ainvoke("Hi")
    await cached.ainvoke("Hi")
    assert len(server.bodies) == 1
    limited = made(OpenAIChat, server, rate_limiter=InMemoryRateLimiter(requests_per_second=10, max_bucket_size=1))
    begun = asyncio.get_running_loop().time()
    await limited.ainvoke("Hi")
    await limited.ainvoke("Hi")
    assert asyncio.get_running_loop().time() - begun > 0.1


def test_from_synchronous_code(server):
    model = made(OpenAIChat, server)
    assert model.invoke(HELLO).content == "Hi."
    assert [answer.content for answer in model.batch(["a", "b"])] == ["Hi.", "Hi."]

    async def on_the_background_loop():
        return model.invoke("Hi").content

    assert run_blocking(on_the_background_loop()) == "Hi."


PROGRAM = """
    import asyncio, sys, warnings
    warnings.simplefilter("always", ResourceWarning)
    from anyprefer.core.background_loop import run_blocking
    from anyprefer.models.servers.openai_chat import CompatibleChat

    model = CompatibleChat(model="any", base_url=sys.argv[1], api_key="none")

    async def both():
        await asyncio.gather(model.ainvoke("Hi"), model.ainvoke("Hi"))

    asyncio.run(both())
    asyncio.run(both())
    run_blocking(both())
    {loop}
"""
LOOPS = {
    "all closed": "",
    "a loop left open": "loop = asyncio.new_event_loop(); loop.run_until_complete(both())",
    "a loop closed with its session": "loop = asyncio.new_event_loop(); loop.run_until_complete(both()); loop.close()",
}


@pytest.mark.parametrize("case", LOOPS)
def test_no_session_is_left_unclosed(server, case):
    program = textwrap.dedent(PROGRAM).replace("{loop}", LOOPS[case])
    done = subprocess.run([sys.executable, "-c", program, server.url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "nclosed c" not in done.stderr
    if case == "all closed":
        assert done.stderr == ""
    assert len(server.bodies) >= 6
