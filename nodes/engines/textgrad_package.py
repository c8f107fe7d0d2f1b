"""The textgrad package as it is needed here: its optimizer with our calls, and its pitfalls kept in this file."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import sys
import tempfile
import threading
import types
from functools import cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

from anyprefer.core.errors import AnswerError
from anyprefer.core.settings import Settings
from anyprefer.core.values import derive_seed
from anyprefer.models.answer import read_answer
from anyprefer.models.ask import call

_LITELLM = "textgrad.engine_experimental.litellm"

_IMPORTING = threading.Lock()


class _LiteLLM:
    """In place of textgrad's engine on litellm, whose import takes seconds (BerriAI/litellm#7605): the real one where
    somebody makes one."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """The real one."""
        return importlib.import_module(_LITELLM).LiteLLMEngine(*args, **kwargs)


@cache
def _package() -> Any:
    """textgrad, imported quietly: without litellm, and without a folder of logs where the process stands
    (zou-group/textgrad#152)."""
    with _IMPORTING:
        stub: Any = None if "textgrad" in sys.modules else types.ModuleType(_LITELLM)
        if stub is not None:
            stub.LiteLLMEngine = _LiteLLM
            sys.modules[_LITELLM] = stub
        given = os.environ.get("TEXTGRAD_LOG_DIR")
        os.environ.setdefault("TEXTGRAD_LOG_DIR", tempfile.mkdtemp(prefix="textgrad-"))
        try:
            import textgrad
        finally:
            if stub is not None:
                del sys.modules[_LITELLM]  # whoever imports it now gets the real one
            if given is None:
                os.environ.pop("TEXTGRAD_LOG_DIR", None)
    textgrad.logger.setLevel(logging.CRITICAL)
    return textgrad


async def step_answer(model: BaseChatModel, settings: Settings, prompt: str, role: str, feedback: str) -> str:
    """What the model says to one TextualGradientDescent step on a prompt.

    textgrad calls its engine synchronously in the middle of a step. So the step is taken up to where it asks, and no
    thread waits for a model. Raises `ModelError` where the model does not answer.
    """
    if not _package.cache_info().currsize:
        await asyncio.to_thread(_package)  # its import takes seconds
    question, system = _question(prompt, role, feedback)
    answer = await call(
        model,
        [*([SystemMessage(system)] if system else []), HumanMessage(question)],
        "textgrad",
        seed=derive_seed(settings.seed, "textgrad", question),
        temperature=0.0,
        max_tokens=settings.judge_max_new_tokens,
    )
    said = read_answer(answer)
    if said.flaw:
        raise AnswerError(said.flaw, said.text)
    return said.text


class _Asked(Exception):
    def __init__(self, prompt: str, system: str | None) -> None:
        self.prompt, self.system = prompt, system


def _question(prompt: str, role: str, feedback: str) -> tuple[str, str | None]:
    """What textgrad's own step asks, and its system prompt."""
    textgrad = _package()
    variable_type, engine_type = _classes()
    variable = variable_type(prompt, role_description=role, requires_grad=True)
    variable.gradients.add(textgrad.Variable(feedback, role_description="feedback", requires_grad=False))
    try:
        textgrad.TextualGradientDescent(parameters=[variable], engine=engine_type()).step()
    except _Asked as asked:
        return asked.prompt, asked.system
    raise AssertionError("unreachable")


@cache
def _classes() -> tuple[Any, Any]:
    """A variable of textgrad's that is shown whole, and an engine that tells what it is asked."""
    textgrad = _package()

    class Whole(textgrad.Variable):  # type: ignore[name-defined,misc]
        def get_short_value(self, n_words_offset: int = 10) -> str:  # else both ends alone: zou-group/textgrad#156
            return str(self.value)

    class Engine(textgrad.EngineLM):  # type: ignore[name-defined,misc]
        model_string = "anyprefer"

        def generate(self, prompt: str, system_prompt: str | None = None, **kwargs: Any) -> str:
            raise _Asked(prompt, system_prompt)

        __call__ = generate

    return Whole, Engine
