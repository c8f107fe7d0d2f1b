import math

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from anyprefer.graph.calls import packed, unpacked
from anyprefer.graph.errors import AnswerError, ModelError
from anyprefer.graph.models.local import LocalChat
from anyprefer.graph.models.openai_chat import CompatibleChat
from anyprefer.nodes.probabilities import TOP, option_logprobs, option_probabilities
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
