import math

import pytest
import torch
from langchain_core.messages import HumanMessage

from anyprefer.core.errors import SettingsError
from anyprefer.core.records import Candidate, Prompts
from anyprefer.core.task import Task
from anyprefer.models.local.chat import LocalChat
from anyprefer.models.local.chat_prompts import as_dicts, prompt_of
from anyprefer.models.local.likelihood import mean_logprobs
from anyprefer.models.local.weights import load_weights
from anyprefer.models.messages import user
from anyprefer.nodes.judges.likelihood import LikelihoodJudge
from tests.pictured import picture
from tests.scripted import Scripted

RED, BLUE = picture("red"), picture("blue", (64, 30))
ASKED = [("what?", [RED]), ("what?", [RED]), ("what is this thing?", [BLUE])]
ANSWERS = ["a red thing", "no", "blue"]


def by_forward(weights, prompt, answer):
    """The mean log-probability of an answer and its end, from one forward pass over all of it."""
    ids = [*weights.tokenizer.encode(answer, add_special_tokens=False), weights.tokenizer.eos_token_id]
    whole = torch.tensor([[*prompt.ids, *ids]])
    with torch.inference_mode():
        logits = weights.model(input_ids=whole, **prompt.inputs).logits[0].float()
    told = torch.log_softmax(logits[len(prompt.ids) - 1 : -1], -1).gather(1, torch.tensor(ids)[:, None])
    return float(told.mean())


def test_answers_about_pictures_are_as_probable_as_one_forward_pass_says(tiny_llava):
    weights = load_weights(str(tiny_llava), dtype="float32", device="cpu")
    prompts = [prompt_of(weights, as_dicts([user(*asked)])) for asked in ASKED]
    alone = [by_forward(weights, prompt, answer) for prompt, answer in zip(prompts, ANSWERS, strict=True)]
    assert mean_logprobs(weights, prompts, ANSWERS) == pytest.approx(alone, abs=1e-4)


def test_a_chat_model_tells_how_probable_a_given_answer_is(tiny):
    chat, weights = LocalChat(model=str(tiny), dtype="float32"), load_weights(str(tiny), dtype="float32")
    told = chat.invoke([HumanMessage("Well?")], given="it is so")
    prompt = prompt_of(weights, as_dicts([HumanMessage("Well?")]))
    assert told.response_metadata["mean_logprob"] == pytest.approx(by_forward(weights, prompt, "it is so"), abs=1e-4)
    chat.unload()


async def test_the_judge_ranks_candidates_by_the_targets_own_probabilities(tiny_llava):
    chat = LocalChat(model=str(tiny_llava), dtype="float32", device="cpu")
    task = Task(id="t", prompt="what?", images=(RED,))
    candidates = [Candidate(index=at, content=text, seed=at) for at, text in enumerate(ANSWERS)]
    state = {"task": task, "candidates": candidates, "prompts": Prompts(target="what?", judge="", tools={})}
    judged = await LikelihoodJudge(chat).score(state)
    expected = [chat.invoke([user("what?", [RED])], given=one).response_metadata["mean_logprob"] for one in ANSWERS]
    assert [one.score for one in judged] == pytest.approx(expected, abs=1e-4)
    assert all(math.isfinite(score) and score < 0 for score in expected)
    chat.unload()


def test_a_model_behind_a_url_cannot_judge_so():
    with pytest.raises(SettingsError, match="likelihood needs a model that runs in this process"):
        LikelihoodJudge(Scripted())
