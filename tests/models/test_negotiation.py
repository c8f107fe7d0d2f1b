"""What a server refuses of a request is found out once, whatever its words and status."""

import asyncio
import itertools
import json

import pytest
from aiohttp import web
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from anyprefer.core.errors import EndpointError, PartRefused
from anyprefer.core.server_settings import ServerSettings
from anyprefer.models.servers.endpoint import Endpoint
from anyprefer.models.servers.failures import HTTPStatusError
from anyprefer.models.servers.openai_chat import CompatibleChat, OpenAIChat
from anyprefer.models.system_role import merged_system
from tests.loopback import Loopback, completion
from tests.refusing import PARTS, SILENT, WORDS, refused

HELLO = [SystemMessage("Be brief."), HumanMessage("Hello")]
TOOLS = [{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "title": "Scores"}}}
SAMPLE = {"temperature": 0.7, "top_p": 0.9, "seed": 3, "max_tokens": 9, "n": 5}
JUDGE = {"temperature": 0.0, "seed": 3, "max_tokens": 20, "response_format": SCHEMA}
WEIGH = {"temperature": 0.0, "seed": 3, "max_tokens": 1, "logprobs": True, "top_logprobs": 20}
FORMS = (SAMPLE, JUDGE, WEIGH)


def at(server, **limits):
    return CompatibleChat(
        model="any",
        base_url=server.url,
        api_key="none",
        endpoint=Endpoint(server.url, ServerSettings(patience=1, **limits)),
    )


def answers(asked, parts, status, words):
    return refused(asked, parts, status, words) or completion(*["Hi."] * asked.get("n", 1))


async def play(model, times):
    """The three kinds of request without tools, several times over and at once."""
    for _ in range(times):
        for form in FORMS:
            said = await asyncio.gather(*(model.ainvoke(HELLO, **form) for _ in range(3)))
            assert {message.content for message in said} == {"Hi."}
    return times * len(FORMS) * 3


async def extra(parts, status, words, times=1):
    """Requests beyond those that a server that refuses nothing gets."""
    with Loopback(lambda asked, count: answers(asked, parts, status, words)) as server:
        calls = await play(at(server), times)
        return len(server.bodies) - calls


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("status", [400, 404, 422, 500])
async def test_a_refused_part_costs_at_most_two_requests(words, status):
    for part in PARTS:
        assert 0 < await extra([part], status, words) <= 2 or part == "tools"
    assert await extra(PARTS, status, words) <= 2 * len(PARTS)


@pytest.mark.parametrize("status", [400, 404, 422, 500])
async def test_a_refusal_that_names_nothing_is_found_out_too(status):
    for part in PARTS:
        assert 0 < await extra([part], status, SILENT, times=3) <= 2 or part == "tools"
    for pair in itertools.pairwise(PARTS):
        assert await extra(pair, status, SILENT, times=3) <= 4


async def test_many_calls_at_once_wait_for_the_first():
    with Loopback(lambda asked, count: answers(asked, ["temperature", "seed"], 400, "openai")) as server:
        model = at(server)
        await asyncio.gather(*(model.ainvoke(HELLO, **SAMPLE) for _ in range(60)))
    assert len(server.bodies) == 62


async def test_what_is_taken_is_still_sent():
    with Loopback(lambda asked, count: answers(asked, ["seed"], 400, SILENT)) as server:
        model = at(server)
        for _ in range(8):
            await model.ainvoke(HELLO, **SAMPLE)
    body = server.bodies[-1]
    assert {name: body[name] for name in SAMPLE if name != "seed"} == {n: v for n, v in SAMPLE.items() if n != "seed"}
    assert "seed" not in body
    assert body["messages"][0]["role"] == "system"


async def test_another_temperature_is_sent_when_one_is_refused():
    def only_one(asked, count):
        return refused(asked, ["temperature"], 400, "openai") if asked.get("temperature", 1) != 1 else completion("Hi.")

    with Loopback(only_one) as server:
        model = at(server)
        for temperature in (1.0, 0.0, 1.0, 0.0):
            await model.ainvoke(HELLO, temperature=temperature)
    assert [body.get("temperature") for body in server.bodies] == [1.0, 0.0, None, 1.0, None]
    assert list(model.terms.said) == ["temperature=0.0"]


@pytest.mark.parametrize(("kind", "refuses", "takes"), [
    (CompatibleChat, "max_tokens", "max_completion_tokens"), (OpenAIChat, "max_completion_tokens", "max_tokens"),
])  # fmt: skip
async def test_max_tokens_goes_by_its_other_name(kind, refuses, takes):
    def answer(asked, count):
        said = {"error": {"message": f"Unrecognized request argument supplied: {refuses}"}}
        return web.json_response(said, status=400) if refuses in asked else completion("Hi.")

    with Loopback(answer) as server:
        model = kind(model="any", base_url=server.url, api_key="none")
        for _ in range(2):
            await model.ainvoke("Hi", max_tokens=7)
    assert [body.get(takes) for body in server.bodies] == [None, 7, 7]


async def test_a_schema_goes_into_the_text_before_it_is_given_up():
    def answer(asked, count):
        if asked.get("response_format", {}).get("type") == "json_schema":
            return refused(asked, ["response_format"], 400, "openai")
        return completion("{}")

    with Loopback(answer) as server:
        await at(server).ainvoke(HELLO, response_format=SCHEMA)
    assert server.bodies[1]["response_format"] == {"type": "json_object"}
    assert json.dumps(SCHEMA["json_schema"]["schema"]) in server.bodies[1]["messages"][-1]["content"]
    assert server.bodies[1]["messages"][-1]["content"].startswith("Hello\n")


async def test_fewer_probabilities_are_asked_for():
    def answer(asked, count):
        many = asked.get("top_logprobs", 0) > 5
        said = {"error": {"message": "top_logprobs must be at most 5"}}
        return web.json_response(said, status=400) if many else completion("7")

    with Loopback(answer) as server:
        await at(server).ainvoke(HELLO, logprobs=True, top_logprobs=20)
    assert [body["top_logprobs"] for body in server.bodies] == [20, 5]


async def test_a_system_message_becomes_a_developers_where_the_server_says_so():
    def answer(asked, count):
        said = {"error": {"message": "'system' is not supported with this model; use the 'developer' role instead"}}
        return web.json_response(said, status=400) if asked["messages"][0]["role"] == "system" else completion("Hi.")

    with Loopback(answer) as server:
        await at(server).ainvoke(HELLO)
    assert server.bodies[1]["messages"] == [
        {"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hello"}
    ]  # fmt: skip


@pytest.mark.parametrize(("messages", "merged"), [
    ([("system", "A"), ("user", "B")], [("user", "A\n\nB")]),
    ([("system", "A"), ("assistant", "B"), ("user", "C")], [("assistant", "B"), ("user", "A\n\nC")]),
    ([("system", "A"), ("system", "B"), ("user", "C"), ("user", "D")], [("user", "A\n\nB\n\nC"), ("user", "D")]),
    ([("system", "A"), ("user", [{"type": "text", "text": "B"}])],
     [("user", [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}])]),
    ([("system", "A")], [("user", "A")]),
])  # fmt: skip
def test_a_system_text_goes_before_the_first_user_message(messages, merged):
    given = [{"role": role, "content": content} for role, content in messages]
    assert merged_system(given) == [{"role": role, "content": content} for role, content in merged]


@pytest.mark.parametrize("words", [*WORDS, SILENT])
@pytest.mark.parametrize("status", [400, 404, 422, 500])
async def test_tools_are_asked_for_in_another_form(words, status):
    with Loopback(lambda asked, count: answers(asked, ["tools"], status, words)) as server:
        model = at(server)
        for _ in range(2):
            with pytest.raises(PartRefused):
                await model.ainvoke(HELLO, tools=TOOLS, temperature=0.0)
        await model.ainvoke(HELLO, temperature=0.0)
        assert not model.terms.takes("tools")
        assert len(server.bodies) <= 3


async def test_a_refusal_that_stays_teaches_nothing():
    """A first prompt at which the server breaks, in words that speak of parts."""
    said = {"error": {"message": "the temperature of the seed was n tokens; tools failed"}}

    def answer(asked, count):
        poison = "poison" in json.dumps(asked["messages"])
        return web.json_response(said, status=400) if poison else completion(*["Hi."] * asked.get("n", 1))

    with Loopback(answer) as server:
        model = at(server)
        for _ in range(5):
            with pytest.raises(HTTPStatusError, match="the temperature of the seed"):
                await model.ainvoke([SystemMessage("x"), HumanMessage("poison")], **SAMPLE)
        await model.ainvoke(HELLO, **SAMPLE)
        before = len(server.bodies)
        for _ in range(20):
            with pytest.raises(HTTPStatusError):
                await model.ainvoke("poison", **SAMPLE)
        assert len(server.bodies) - before <= 20 + 2 * len(SAMPLE)
        await model.ainvoke(HELLO, **SAMPLE)
    assert not model.terms.said
    assert server.bodies[-1].keys() == {"model", "messages", "stream", *SAMPLE}


async def test_a_broken_prompt_does_not_cost_the_tools():
    def answer(asked, count):
        poison = "poison" in json.dumps(asked["messages"])
        return web.json_response({"error": {"message": "Bad Request"}}, status=400) if poison else completion("Hi.")

    with Loopback(answer) as server:
        model = at(server)
        with pytest.raises(PartRefused):
            await model.ainvoke("poison", tools=TOOLS, temperature=0.0)
        with pytest.raises(HTTPStatusError):
            await model.ainvoke("poison by text", temperature=0.0)
        assert model.terms.takes("tools")
        await model.ainvoke(HELLO, tools=TOOLS, temperature=0.0)
    assert "tools" in server.bodies[-1]


async def test_a_prompt_that_is_too_long_keeps_its_limit():
    said = {"error": {"message": "This model's maximum context length is 9 tokens. Please reduce max_tokens."}}

    def answer(asked, count):
        return web.json_response(said, status=400) if "long" in str(asked["messages"]) else completion("Hi.")

    with Loopback(answer) as server:
        model = at(server)
        await model.ainvoke("Hi", max_tokens=5)
        with pytest.raises(HTTPStatusError, match="maximum context length"):
            await model.ainvoke("long", max_tokens=5)
        assert len(server.bodies) == 2


@pytest.mark.parametrize("status", [401, 402, 429])
async def test_keys_accounts_and_limits_are_no_parts(status):
    said = {"error": {"message": "insufficient_quota for this temperature"}}
    with Loopback(lambda asked, count: web.json_response(said, status=status)) as server:
        with pytest.raises((EndpointError, HTTPStatusError)):
            await at(server).ainvoke("Hi", temperature=0.0)
        assert {body["temperature"] for body in server.bodies} == {0.0}


async def test_a_part_that_is_left_out_beforehand_is_never_sent(caplog):
    with Loopback(lambda asked, count: completion("Hi.")) as server:
        model = at(server, leave_out=("seed", "temperature", "system"))
        await model.ainvoke(HELLO, **JUDGE)
        body = server.bodies[0]
    assert body.keys() == {"model", "messages", "stream", "max_tokens", "response_format"}
    assert [message["content"] for message in body["messages"]] == ["Be brief.\n\nHello"]
    assert not caplog.records


async def test_values_that_ask_for_nothing_are_not_sent():
    with Loopback(lambda asked, count: completion("Hi.")) as server:
        await at(server).ainvoke(HELLO, top_p=1.0, n=1, presence_penalty=0, temperature=1.0)
    assert server.bodies[0].keys() == {"model", "messages", "stream", "temperature"}


async def test_each_refused_part_is_said_once(caplog):
    with Loopback(lambda asked, count: answers(asked, ["seed", "n"], 422, "mistral")) as server:
        model = at(server)
        await play(model, 2)
    assert set(model.terms.said) == {"seed", "n"}
    said = [record.getMessage() for record in caplog.records if "refuses" in record.getMessage()]
    assert len(said) == 2
    assert "cannot be repeated" in said[0]


async def test_a_server_that_is_away_does_not_make_the_others_wait():
    begun = []

    async def slow(asked, count):
        begun.append(count)
        while len(begun) < 6:
            await asyncio.sleep(0.01)
        return completion("Hi.")

    def answer(asked, count):
        return web.Response(status=503) if count == 1 else slow(asked, count)

    with Loopback(answer) as server:
        model = at(server)
        said = await asyncio.gather(*(model.ainvoke(HELLO, temperature=0.0) for _ in range(6)))
    assert said == [AIMessage("Hi.")] * 6 or {message.content for message in said} == {"Hi."}


async def test_extra_parameters_are_parts_too():
    def answer(asked, count):
        said = {"error": {"message": "Unrecognized request argument supplied: reasoning_effort"}}
        return web.json_response(said, status=400) if "reasoning_effort" in asked else completion("Hi.")

    with Loopback(answer) as server:
        model = at(server)
        await model.ainvoke(HELLO, reasoning_effort="low", extra_body={"top_k": 5})
    assert server.bodies[-1]["top_k"] == 5
    assert "reasoning_effort" not in server.bodies[-1]


async def test_another_value_waits_with_the_one_that_is_held_back():
    """What is refused without a name when the target asks first, and the judge before that is found out."""
    with Loopback(lambda asked, count: answers(asked, ["temperature"], 400, SILENT)) as server:
        model = at(server)
        for form in (SAMPLE, JUDGE, SAMPLE, JUDGE, SAMPLE, WEIGH, SAMPLE, JUDGE):
            await model.ainvoke(HELLO, **form)
    assert len(server.bodies) == 8 + 2
