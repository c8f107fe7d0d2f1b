import math

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from anyprefer.core.errors import AnswerError, ModelError
from anyprefer.models.local.chat import LocalChat
from anyprefer.models.option_probabilities import TOP, option_logprobs, option_probabilities
from anyprefer.models.packing import packed, unpacked
from anyprefer.models.servers.openai_chat import CompatibleChat
from tests.loopback import Loopback, completion
from tests.scripted import Scripted

ASK = [HumanMessage("Yes or no?")]


def told(*likeliest):
    """A server's answer with the (token, probability) of its likeliest next tokens."""
    answer = completion(likeliest[0][0])
    tops = [{"token": token, "logprob": math.log(p), "bytes": None} for token, p in likeliest]
    answer["choices"][0]["logprobs"] = {"content": [{**tops[0], "top_logprobs": tops}], "refusal": None}
    return answer


async def at_a_server(answer, options):
    with Loopback(lambda asked, count: answer) as server:
        model = CompatibleChat(model="m", base_url=server.url, api_key="none")
        return await option_probabilities(model, ASK, options, "judge"), server


async def test_a_local_model_weighs_the_options(tiny):
    model = LocalChat(model=str(tiny), dtype="float32")
    shares = await option_probabilities(model, ASK, ["a", "b", "c"], "judge")
    said = (await model.ainvoke(ASK, options=("a", "b", "c"))).response_metadata["option_logprobs"]
    total = sum(map(math.exp, said.values()))
    assert shares == pytest.approx({option: math.exp(said[option]) / total for option in "abc"})
    model.unload()


async def test_an_option_of_several_tokens_is_named(tiny):
    model = LocalChat(model=str(tiny), dtype="float32")
    with pytest.raises(ModelError, match="option 'ab' is 2 tokens"):
        await option_probabilities(model, ASK, ["a", "ab"], "judge")
    model.unload()


async def test_a_servers_likeliest_tokens_are_read_and_normalised():
    shares, server = await at_a_server(told(("B", 0.5), (" A", 0.1), ("A", 0.15), ("no", 0.2)), ["A", "B", "C"])
    assert shares == pytest.approx({"A": 0.25 / 0.75, "B": 0.5 / 0.75, "C": 0})
    body = server.bodies[0]
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, TOP, 1)


async def test_no_option_among_the_likeliest_is_no_answer():
    with pytest.raises(AnswerError, match="none of A, B"):
        await at_a_server(told(("Well", 0.9), ("So", 0.1)), ["A", "B"])


@pytest.mark.parametrize("said", ["B", " B.", "**B** it is"])
async def test_a_model_that_tells_no_probabilities_is_taken_at_its_word(said):
    shares = await option_probabilities(Scripted(sample=said), ASK, ["A", "B"], "judge")
    assert shares == {"A": 0, "B": 1}


async def test_a_word_that_is_no_option_is_no_answer():
    with pytest.raises(AnswerError, match="I cannot say"):
        await option_probabilities(Scripted(sample="I cannot say"), ASK, ["A", "B"], "judge")


def test_the_answer_is_read_the_same_from_the_ledger():
    answer = AIMessage("a", response_metadata={"option_logprobs": {"a": -0.5, "b": -2.25}})
    assert option_logprobs(unpacked(packed([answer]))[0], ["a", "b"]) == {"a": -0.5, "b": -2.25}


SPELLED = {
    "space": {"token": " 7"},
    "byte-level": {"token": "Ġ7"},
    "sentencepiece": {"token": "▁7"},
    "line": {"token": "Ċ7"},
    "a single byte": {"token": "<0x37>"},
    "bytes alone": {"token": "token_id:22", "bytes": [55]},
    "bytes with a space": {"token": "?", "bytes": [32, 55]},
    "full width": {"token": "７"},
}


@pytest.mark.parametrize("case", SPELLED)
def test_tokens_are_read_as_servers_spell_them(case):
    entry = {**SPELLED[case], "logprob": -0.5}
    other = {"token": "8", "logprob": -1.0, "bytes": [56]}
    answer = AIMessage(
        "7", response_metadata={"logprobs": {"content": [{**entry, "top_logprobs": [entry, other, None, {}]}]}}
    )
    assert option_logprobs(answer, ["7", "8", "9"]) == pytest.approx({"7": -0.5, "8": -1.0, "9": None})


@pytest.mark.parametrize(
    "told",
    [
        {"content": [{"token": "<|assistant|>", "logprob": 0.0}, {"token": "\n", "logprob": 0}, {"token": "7", "logprob": -1.0}]},
        {"content": [{"token": "7", "logprob": -1.0, "top_logprobs": []}]},
        {"tokens": ["7"], "token_logprobs": [-1.0], "top_logprobs": None},
        {"tokens": ["▁7"], "token_logprobs": [None], "top_logprobs": [{"▁7": -1.0, "▁8": -2.0}]},
    ],
)  # fmt: skip
def test_other_forms_of_probabilities_are_read(told):
    found = option_logprobs(AIMessage("7", response_metadata={"logprobs": told}), ["7", "9"])
    assert found == pytest.approx({"7": -1.0, "9": None})


@pytest.mark.parametrize("told", [None, {}, {"content": None}, {"content": [None]}, {"content": [{"token": None}]},
                                  {"content": [{"token": "7", "logprob": float("nan")}]}, {"tokens": 3}])  # fmt: skip
def test_what_tells_nothing_is_taken_at_its_word(told):
    answer = AIMessage("<think>8 or 9?</think>7.", response_metadata={"logprobs": told})
    assert option_logprobs(answer, ["7", "8"]) == {"7": 0.0, "8": None}


async def test_probabilities_that_are_no_numbers_are_no_answer():
    answer = AIMessage("A", response_metadata={"option_logprobs": {"A": math.nan, "B": -1.0}})
    with pytest.raises(AnswerError, match="none of A, B"):
        await option_probabilities(Scripted(sample=answer), ASK, ["A", "B"], "judge")
