from uuid import uuid4

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from anyprefer.graph.state import Usage
from anyprefer.graph.usage import Meter, total


def result(*used):
    messages = [AIMessage("a", usage_metadata=u) for u in used]
    return LLMResult(generations=[[ChatGeneration(message=message) for message in messages]])


def tokens(given, taken):
    return {"input_tokens": given, "output_tokens": taken, "total_tokens": given + taken}


def test_calls_and_tokens_are_counted_per_role():
    meter = Meter()
    for tags, used in [(["role:judge"], tokens(3, 4)), (["x", "role:judge"], tokens(5, 6)), (None, tokens(7, 8))]:
        call = uuid4()
        meter.on_chat_model_start({}, [[]], run_id=call, tags=tags)
        meter.on_llm_end(result(used), run_id=call)
    assert meter.usage() == {
        "judge": Usage(calls=2, input_tokens=8, output_tokens=10),
        "other": Usage(calls=1, input_tokens=7, output_tokens=8),
    }


def test_a_model_that_reports_no_tokens_still_counts_its_calls():
    meter = Meter()
    meter.on_llm_end(result(None), run_id=uuid4())
    meter.on_llm_end(LLMResult(generations=[[Generation(text="a")]]), run_id=uuid4())
    assert meter.usage() == {"other": Usage(calls=2)}


def test_usages_add_up():
    one = {"judge": Usage(calls=1, input_tokens=2, output_tokens=3)}
    other = {"judge": Usage(calls=4), "sample": Usage(output_tokens=5)}
    assert total([one, other, {}]) == {
        "judge": Usage(calls=5, input_tokens=2, output_tokens=3),
        "sample": Usage(output_tokens=5),
    }
