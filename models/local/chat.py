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
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import lru_cache
from typing import Any

import torch
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field, PrivateAttr

from anyprefer.core.errors import ModelError
from anyprefer.models.local.adapters import adapter_base
from anyprefer.models.local.answers import WAYS, Given, Options, Reply, Wanted, Way
from anyprefer.models.local.batching import Batcher
from anyprefer.models.local.chat_prompts import as_dicts, prompt_of
from anyprefer.models.local.configurations import known_to_see
from anyprefer.models.local.features import Features
from anyprefer.models.local.options import option_tokens
from anyprefer.models.local.prompts import Prompt
from anyprefer.models.local.sampling import Sampling
from anyprefer.models.local.weights import Weights, load_weights, use_threads
from anyprefer.models.traits import SAMPLING, Traits

_Job = tuple[list[BaseMessage], Sampling | Given | tuple[str, ...]]
"""What is asked, and how it is answered; a tuple holds options."""
_Waiting = tuple[_Job, Future[ChatResult]]
_Ready = tuple[Prompt, Wanted, Future[ChatResult]]


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
    _features: Features | None = PrivateAttr(default=None)
    _fits: int = PrivateAttr(default=sys.maxsize)
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
            self._weights = self._features = None
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

    def _wanted(self, stop: list[str] | None, given: dict[str, Any]) -> Sampling | Given | tuple[str, ...]:
        unknown = given.keys() - {*SAMPLING, "options", "given", "ls_structured_output_format"}
        if unknown:
            raise ModelError(f"LocalChat cannot take {', '.join(sorted(unknown))}; tools need the text protocol")
        if given.get("options"):
            return tuple(given["options"])
        if "given" in given:
            return Given(given["given"])
        return Sampling(
            temperature=given.get("temperature", self.temperature),
            top_p=given.get("top_p", self.top_p),
            seed=given.get("seed", self.seed),
            max_tokens=given.get("max_tokens", self.max_tokens),
            stop=tuple(filter(None, stop or ())),
        )

    def _answer(self, jobs: Sequence[_Waiting]) -> None:
        """Worker thread: settle every job, in batches of one kind and like length."""
        weights = self._loaded()
        self._features = self._features or Features(weights.model)
        ready = _prepared(weights, self._features, jobs)
        for kind, way in WAYS.items():
            chosen = [job for job in ready if isinstance(job[1], kind)]
            for batch in _batches(chosen, min(self.batch_size, self._fits), by_beginning=kind is Options):
                for (prompt, _, future), reply in zip(batch, self._replies(weights, way, batch), strict=True):
                    future.set_result(self._result(reply, len(prompt.ids)))

    def _replies(self, weights: Weights, way: Way, batch: Sequence[_Ready]) -> list[Reply]:
        """The batch's, in halves where the memory does not hold it; later batches are no larger."""
        try:
            return way(weights, [prompt for prompt, _, _ in batch], [wanted for _, wanted, _ in batch])
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
            self._fits = len(batch) // 2
        parts = [batch[start : start + self._fits] for start in range(0, len(batch), self._fits)]
        return [reply for part in parts for reply in self._replies(weights, way, part)]

    def _loaded(self) -> Weights:
        with self._lock:
            if self._weights is None:
                use_threads(self.threads)
                self._weights = load_weights(
                    self.model, dtype=self.dtype, device=self.device, trust_remote_code=self.trust_remote_code
                )
                self._weights.model.eval()
            return self._weights

    def _result(self, reply: Reply, read: int) -> ChatResult:
        written = reply.tokens
        message = AIMessage(
            content=reply.text,
            usage_metadata=UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written),
            response_metadata={"model_name": self.model, **reply.said},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


def _prepared(weights: Weights, features: Features, jobs: Sequence[_Waiting]) -> list[_Ready]:
    """The jobs' prompts, pictures looked at, so that no more than one's pixels are held; one that cannot be read fails
    its own call alone."""
    read: dict[str, Prompt] = {}  # the candidates of a task ask the same: its pictures are opened once
    ready: list[_Ready] = []
    for (messages, wanted), future in jobs:
        try:
            chat = as_dicts(messages)
            key = json.dumps(chat, sort_keys=True, default=str)
            if key not in read:
                read[key] = features.seen(prompt_of(weights, chat))
            how = Options(option_tokens(weights.tokenizer, wanted)) if isinstance(wanted, tuple) else wanted
            ready.append((read[key], how, future))
        except Exception as error:
            future.set_exception(error)
    return ready


def _batches(ready: Sequence[_Ready], size: int, by_beginning: bool) -> Iterator[Sequence[_Ready]]:
    """Slices of at most `size`: shortest prompts first, so that little is padding, or those together that begin alike."""
    ordered = sorted(ready, key=lambda job: (0 if by_beginning else len(job[0].ids), job[0].pictures, job[0].ids))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]
