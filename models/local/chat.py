"""A transformers model in this process, as a LangChain chat model that batches concurrent calls.

    LocalChat(model="smollm2").invoke("What is the capital of Peru?")

Calls made at the same time (many asyncio tasks, many threads) run as one batch. Each keeps its
own seed, so a sample does not depend on its neighbours (see `sampling` for what float noise can do).
A last message that is the assistant's own is continued.
"""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field, PrivateAttr

from anyprefer.core.errors import ModelError
from anyprefer.models.local.adapters import adapter_base
from anyprefer.models.local.batching import Batcher
from anyprefer.models.local.chat_prompts import as_dicts, prompt_of
from anyprefer.models.local.configurations import known_to_see
from anyprefer.models.local.likelihood import mean_logprobs
from anyprefer.models.local.options import option_tokens, weigh
from anyprefer.models.local.prompts import Prompt
from anyprefer.models.local.sampling import Sampling, draw
from anyprefer.models.local.weights import Weights, load_weights, use_threads
from anyprefer.models.traits import SAMPLING, Traits


@dataclass(frozen=True)
class _Given:
    """An answer whose probability is wanted."""

    answer: str


_Job = tuple[list[BaseMessage], Sampling | tuple[str, ...] | _Given]
"""What is asked, and how it is answered: sampled, by the most probable of these options, or by how probable an answer
is."""
_Waiting = tuple[_Job, Future[ChatResult]]


@lru_cache(maxsize=64)
def _traits(name: str, sees: bool) -> Traits:
    """Asked for with every call, so each is made once."""
    return Traits(name, SAMPLING, tools=False, shapes=False, in_process=True, weighs=True, releases=True, sees=sees)


class LocalChat(BaseChatModel):
    """A text or image-text-to-text model run by transformers. Nothing is loaded before the first call.

    `seed`, `temperature`, `top_p`, `max_tokens` and `stop` can be overridden in each call. `options`, each one
    token, are weighed by one forward pass instead of sampling: the answer is the most probable one, and
    `response_metadata["option_logprobs"]` holds each option's natural-log probability among all tokens. Of a `given`
    answer `response_metadata["mean_logprob"]` is the mean natural-log probability a token, its end counted.
    A model that cannot be loaded raises `ModelSetupError` from the first call; images for a text model, and an option
    that is no token, raise `ModelError`; an image that cannot be opened `InputError`.
    """

    model: str
    """`smollm2`, a Hugging Face id, a model folder, or a LoRA adapter folder (its base is found in it)."""
    temperature: float = Field(default=1.0, ge=0)
    """0 is greedy."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=512, ge=1)
    """Longest answer, in tokens."""
    seed: int = 0
    batch_size: int = Field(default=160, ge=1)
    """Most calls in one batch."""
    dtype: str = ""
    """float32, bfloat16 or float16; empty: what the hardware multiplies natively."""
    device: str = ""
    """Empty: cuda, else mps, else cpu."""
    threads: int = Field(default=0, ge=0)
    """CPU threads of torch, for the whole process; 0: as many as the process may use."""
    trust_remote_code: bool = False
    """Run Python code that comes with a model."""

    _weights: Weights | None = PrivateAttr(default=None)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)
    _batcher: Batcher[_Job, ChatResult] = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Make the queue; its thread starts with the first call."""
        super().model_post_init(context)
        self._batcher = Batcher(self._answer)

    @property
    def traits(self) -> Traits:
        """It runs here and weighs options; it takes no tools, and images where its configuration says so."""
        return _traits(self.model, known_to_see(self.model))

    @property
    def _llm_type(self) -> str:
        return "anyprefer-local"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "base": adapter_base(self.model), "dtype": self.dtype}

    def unload(self) -> None:
        """Finish waiting calls, stop the worker thread and free the weights; the next call loads them again."""
        self._batcher.close()
        with self._lock:
            self._weights = None
        gc.collect()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._batcher.submit((messages, self._wanted(stop, kwargs))).result()

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await asyncio.wrap_future(self._batcher.submit((messages, self._wanted(stop, kwargs))))

    def _wanted(self, stop: list[str] | None, given: dict[str, Any]) -> Sampling | tuple[str, ...] | _Given:
        unknown = given.keys() - {*SAMPLING, "options", "given", "ls_structured_output_format"}
        if unknown:
            raise ModelError(f"LocalChat cannot take {', '.join(sorted(unknown))}; tools need the text protocol")
        if given.get("options"):
            return tuple(given["options"])
        if "given" in given:
            return _Given(given["given"])
        return Sampling(
            temperature=given.get("temperature", self.temperature),
            top_p=given.get("top_p", self.top_p),
            seed=given.get("seed", self.seed),
            max_tokens=given.get("max_tokens", self.max_tokens),
            stop=tuple(filter(None, stop or ())),
        )

    def _answer(self, jobs: Sequence[_Waiting]) -> None:
        """Worker thread: settle every job, in batches of like length."""
        weights = self._loaded()
        read: dict[str, Prompt] = {}  # the candidates of a task ask the same
        sampled: list[_Ready[Sampling]] = []
        weighed: list[_Ready[dict[str, int]]] = []
        told: list[_Ready[_Given]] = []
        for (messages, wanted), future in jobs:
            try:
                prompt = _read(weights, messages, read)
                if isinstance(wanted, Sampling):
                    sampled.append((prompt, wanted, future))
                elif isinstance(wanted, _Given):
                    told.append((prompt, wanted, future))
                else:
                    weighed.append((prompt, option_tokens(weights.tokenizer, wanted), future))
            except Exception as error:  # one bad prompt must not fail its neighbours
                future.set_exception(error)
        for batch in _batches(sampled, self.batch_size):
            drawn = draw(weights, [prompt for prompt, _, _ in batch], [sampling for _, sampling, _ in batch])
            for (prompt, _, future), answer in zip(batch, drawn, strict=True):
                ending = {"finish_reason": "stop" if answer.finished else "length"}
                future.set_result(self._result(answer.text, len(prompt.ids), answer.tokens, ending))
        for options in _batches(weighed, self.batch_size, by_beginning=True):
            masses = weigh(weights, [prompt for prompt, _, _ in options], [tokens for _, tokens, _ in options])
            for (prompt, _, future), logprobs in zip(options, masses, strict=True):
                said = {"finish_reason": "stop", "option_logprobs": logprobs}
                future.set_result(self._result(max(logprobs, key=logprobs.__getitem__), len(prompt.ids), 1, said))

        for given in _batches(told, self.batch_size):
            means = mean_logprobs(weights, [prompt for prompt, _, _ in given], [one.answer for _, one, _ in given])
            for (prompt, _, future), mean in zip(given, means, strict=True):
                said = {"finish_reason": "stop", "mean_logprob": mean}
                future.set_result(self._result(f"{mean:.6f}", len(prompt.ids), 1, said))

    def _loaded(self) -> Weights:
        with self._lock:
            if self._weights is None:
                use_threads(self.threads)
                self._weights = load_weights(
                    self.model, dtype=self.dtype, device=self.device, trust_remote_code=self.trust_remote_code
                )
                self._weights.model.eval()
            return self._weights

    def _result(self, text: str, read: int, written: int, said: dict[str, Any]) -> ChatResult:
        message = AIMessage(
            content=text,
            usage_metadata=UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written),
            response_metadata={"model_name": self.model, **said},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


_How = TypeVar("_How")
_Ready = tuple[Prompt, _How, Future[ChatResult]]


def _batches(ready: Sequence[_Ready[_How]], size: int, by_beginning: bool = False) -> Iterator[Sequence[_Ready[_How]]]:
    """Slices of at most `size`: shortest prompts first, so that little is padding, or those together that begin alike."""
    ordered = sorted(ready, key=lambda job: (0 if by_beginning else len(job[0].ids), job[0].pictures, job[0].ids))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def _read(weights: Weights, messages: list[BaseMessage], read: dict[str, Prompt]) -> Prompt:
    """The messages' prompt; what was asked before in this batch is in `read`, where pictures are opened once."""
    chat = as_dicts(messages)
    key = json.dumps(chat, sort_keys=True, default=str)
    if key not in read:
        read[key] = prompt_of(weights, chat)
    return read[key]
