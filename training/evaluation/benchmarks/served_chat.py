"""A served chat model as lm-eval takes one, asked as a run asks its models instead of by lm-eval's client: limits,
retries, budget, and answers kept as they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import convert_to_messages
from lm_eval.api.model import LM

from anyprefer.core.background_loop import run_blocking
from anyprefer.models.answer import read_answer
from anyprefer.models.ask import call
from anyprefer.models.traits import model_name
from anyprefer.training.evaluation.asking import Asking


class ServedChat(LM):  # type: ignore[misc]  # lm-eval has no types
    """Answers `generate_until` of a task that is asked through the chat template."""

    def __init__(self, model: BaseChatModel, asking: Asking, at_once: int, seed: int) -> None:
        """`at_once`: requests in flight."""
        super().__init__()
        self._model, self._asking, self._seed = model, asking, seed
        self._slots = asyncio.Semaphore(at_once)

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Greedy answers in order. Raises what `models.ask.call` raises, once the others are back."""
        works = ((str(one.doc_id), partial(self._answer, *one.args)) for one in requests)
        return run_blocking(self._asking.all(works))

    async def _answer(self, asked: str, generation: Mapping[str, Any]) -> str:
        messages = convert_to_messages(json.loads(asked))
        sampling = {"temperature": 0.0, "max_tokens": generation["max_gen_toks"], "seed": self._seed}
        async with self._slots:
            said = read_answer(await call(self._model, messages, "evaluate", **sampling)).text
        for mark in generation["until"]:
            said = said.partition(mark)[0]
        return said

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The messages as JSON: the server has the template."""
        return json.dumps(chat_history, ensure_ascii=False)

    def chat_template(self, chat_template: bool | str = False) -> str:
        """None is known."""
        return ""

    @property
    def tokenizer_name(self) -> str:
        """The model's name."""
        return model_name(self._model)

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """A chat server returns no likelihoods."""
        raise NotImplementedError("a chat server returns no likelihoods of given texts")

    loglikelihood_rolling = loglikelihood
