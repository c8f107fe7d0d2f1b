import json
import math

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from anyprefer.core.errors import BudgetSpent, EndpointError, SettingsError, TrainingError
from anyprefer.core.results import EvalResult, wilson
from anyprefer.core.task import Task
from anyprefer.graph import RunSettings
from anyprefer.models.account import current_account
from anyprefer.models.calls import Calls
from anyprefer.models.local.chat import LocalChat
from anyprefer.models.messages import user
from anyprefer.training.evaluation.asking import Asking, calls_of
from anyprefer.training.evaluation.evaluate import evaluate
from tests.pictured import picture
from tests.pixels import URL
from tests.scripted import Scripted

TASKS = [Task(id=str(number), prompt=f"q{number}", reference="yes") for number in range(4)]


def is_correct(task, answer):
    return answer == task.reference


class Broken(GenericFakeChatModel):
    def _generate(self, messages, *args, **kwargs):
        if messages[-1].content == "q2":
            raise ConnectionError("server gone")
        return super()._generate(messages, *args, **kwargs)


def fake(*answers, kind=GenericFakeChatModel):
    return kind(messages=iter(AIMessage(text) for text in answers))


async def test_right_answers_are_counted():
    result = await evaluate(fake("yes", "no", "yes", "yes"), TASKS, is_correct, calls=Calls(slots=1))
    assert (result.n, result.correct, result.unscored, result.accuracy) == (4, 3, 0, 0.75)
    assert result.temperature == 0
    assert (result.metric, result.adapter) == ("accuracy", "")
    assert "anyprefer" in result.versions


async def test_a_failed_call_is_unscored_not_wrong(tmp_path):
    file = tmp_path / "out" / "answers.jsonl"
    result = await evaluate(
        fake("yes", "yes", "no", kind=Broken), TASKS, is_correct, calls=Calls(slots=1), answers=file
    )
    assert (result.n, result.correct, result.unscored) == (3, 2, 1)
    assert "server gone" in result.first_error
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["correct"] for row in rows] == [True, True, None, False]
    assert [row["id"] for row in rows] == ["0", "1", "2", "3"]
    assert result.marks == {"0": True, "1": True, "3": False}


async def test_a_local_model_is_asked_in_batches(tiny):
    model = LocalChat(model=str(tiny), dtype="float32")
    result = await evaluate(model, TASKS, lambda task, answer: bool(answer), max_tokens=3)
    model.unload()
    assert (result.n, result.model, result.max_tokens) == (4, str(tiny), 3)


async def test_a_local_model_that_sees_is_asked_about_pictures(tiny_llava):
    model = LocalChat(model=str(tiny_llava), dtype="float32", device="cpu")
    colours = ("red", "green", "blue")
    told = {c: model.invoke([user("what?", [picture(c)])], temperature=0, max_tokens=4).text for c in colours}
    assert len(set(told.values())) == 3
    tasks = [Task(id=c, prompt="what?", images=(picture(c),), reference=told[c]) for c in colours]
    result = await evaluate(model, tasks, is_correct, max_tokens=4)
    assert (result.n, result.correct, result.first_error) == (3, 3, "")


async def test_an_adapter_is_named_beside_its_base_and_read_back(tiny, tmp_path):
    config = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    base = AutoModelForCausalLM.from_pretrained(tiny)
    get_peft_model(base, config).save_pretrained(tmp_path, save_embedding_layers=False)
    model = LocalChat(model=str(tmp_path), dtype="float32")
    result = await evaluate(model, TASKS, is_correct, max_tokens=3)
    model.unload()
    assert (result.model, result.adapter) == (str(tiny), str(tmp_path))
    saved = json.loads(result.model_dump_json())
    assert saved["interval"] == pytest.approx(result.interval)
    assert EvalResult.model_validate(saved) == result


async def test_a_task_keeps_its_own_system_message():
    seen = []

    class Listening(GenericFakeChatModel):
        def _generate(self, messages, *args, **kwargs):
            seen.append([message.content for message in messages])
            return super()._generate(messages, *args, **kwargs)

    tasks = [Task(id="a", prompt="q"), Task(id="b", prompt="q", system="own")]
    await evaluate(fake("yes", "yes", kind=Listening), tasks, is_correct, system="shared", calls=Calls(slots=1))
    assert seen == [["shared", "q"], ["own", "q"]]


async def test_no_tasks_are_refused():
    with pytest.raises(TrainingError, match="no tasks"):
        await evaluate(fake(), [], is_correct)


def test_wilson_against_published_values():
    """Newcombe 1998, table I, method 3: 81/263 and 15/148."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)


@pytest.mark.parametrize("n", [1, 10, 200])
def test_wilson_stays_in_range(n):
    assert wilson(0, n)[0] == pytest.approx(0)
    assert wilson(n, n)[1] == pytest.approx(1)


def test_nothing_marked_has_no_accuracy():
    empty = EvalResult(model="m", n=0, correct=0, unscored=3, seed=0, temperature=0, max_tokens=1)
    assert math.isnan(empty.accuracy)
    assert empty.interval == (0, 1)


async def test_history_and_images_are_sent_and_thoughts_are_not_marked():
    chat = [{"role": "user", "content": "This is my cup."}, {"role": "assistant", "content": "I see."},
            {"role": "user", "content": "What colour is it?"}]  # fmt: skip
    seen = []

    def answer(call):
        seen.append(call.messages)
        return AIMessage("<think>blue?</think>red", response_metadata={"finish_reason": "length"})

    task = Task(id="1", prompt=chat, images=(URL,), reference="red")
    model = Scripted(sample=answer)
    marked = []
    await evaluate(model, [task], lambda task, said: marked.append(said) or True)
    [messages] = seen
    assert [(m.type, m.text) for m in messages] == [
        ("human", "This is my cup."), ("ai", "I see."), ("human", "What colour is it?")
    ]  # fmt: skip
    assert messages[-1].content[0] == {"type": "image_url", "image_url": {"url": URL}}
    assert marked == ["red"]


async def test_an_evaluation_that_stopped_asks_only_what_is_missing(tmp_path):
    tasks = [Task(id=str(number), prompt=f"q{number}", reference="yes") for number in range(20)]
    gone = [True]

    def answer(call):
        return EndpointError("http://x does not answer") if gone[0] and call.user not in ("q0", "q1") else "yes"

    model, file = Scripted(sample=answer), tmp_path / "answers" / "set.jsonl"
    with pytest.raises(EndpointError, match="does not answer"):
        await evaluate(model, tasks, is_correct, calls=Calls(slots=1), answers=file)
    assert not file.exists()
    asked, gone[0] = len(model.calls), False
    assert asked < 6  # nothing is asked once the server is known to be gone
    result = await evaluate(model, tasks, is_correct, answers=file)
    assert (result.n, result.correct, result.unscored) == (20, 20, 0)
    assert sorted(call.user for call in model.calls[asked:]) == sorted(f"q{number}" for number in range(2, 20))
    assert await evaluate(model, tasks, is_correct, answers=file) == result
    assert len(model.calls) == asked + 18


async def test_other_questions_settings_and_weights_are_asked_anew(tmp_path, monkeypatch):
    model, file = Scripted(sample="yes"), tmp_path / "set.jsonl"

    async def asked(**changes):
        before = len(model.calls)
        await evaluate(model, TASKS, is_correct, answers=file, **changes)
        return len(model.calls) - before

    assert [await asked(), await asked(), await asked(max_tokens=9), await asked(system="Be brief.")] == [4, 0, 4, 4]
    monkeypatch.setattr("anyprefer.training.evaluation.asking.weights_stamp", lambda folder: 7)
    assert [await asked(), await asked()] == [4, 0]


async def test_a_budget_holds_over_resumed_evaluations(tmp_path):
    model, file = Scripted(sample="yes"), tmp_path / "set.jsonl"
    for _ in range(2):
        with pytest.raises(BudgetSpent, match="3 calls"):
            await evaluate(model, TASKS, is_correct, answers=file, calls=calls_of(RunSettings(max_calls=3)))
    assert len(model.calls) == 3
    assert (await evaluate(model, TASKS, is_correct, answers=file, calls=calls_of(RunSettings(max_calls=4)))).n == 4


async def test_a_budget_is_one_for_all_evaluations_of_a_command():
    model, calls = Scripted(sample="yes"), calls_of(RunSettings(max_calls=6))
    assert (await evaluate(model, TASKS, is_correct, calls=calls)).n == 4
    with pytest.raises(BudgetSpent, match="6 calls"):
        await evaluate(model, TASKS, is_correct, calls=calls)
    assert len(model.calls) == 6


async def test_rollouts_are_kept_beside_answers_and_cost_nothing(tmp_path):
    made = []

    async def roll():
        made.append(1)
        return ["left", "right"]

    async def rolled(calls):
        asking = Asking(Scripted(), tmp_path / "kept.db", calls)
        try:
            return await asking.all([("a", lambda: current_account().once("rollout", "a", roll))])
        finally:
            asking.close()

    calls = [calls_of(RunSettings(max_calls=1)) for _ in range(2)]
    assert [await rolled(one) for one in calls] == [[["left", "right"]]] * 2
    assert (made, [one.requests for one in calls]) == ([1], [0, 0])


async def test_a_limit_on_cost_needs_a_price():
    with pytest.raises(SettingsError, match="max_cost needs the price of Scripted"):
        await evaluate(Scripted(), TASKS, is_correct, calls=calls_of(RunSettings(max_cost=1.0)))


async def test_thoughts_are_no_answer_and_an_answer_that_never_came_is_unscored():
    cut = AIMessage("<think>Let me see", response_metadata={"finish_reason": "length"})
    model = Scripted(sample=["<think>no</think>yes", AIMessage("", additional_kwargs={"refusal": "I will not"}), cut])
    result = await evaluate(model, TASKS[:3], is_correct, calls=Calls(slots=1))
    assert (result.correct, result.n, result.unscored) == (1, 2, 1)
    assert "token limit came while it was still thinking; max_tokens is 64" in result.first_error
