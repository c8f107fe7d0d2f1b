"""The textgrad package behind one small class; its pitfalls are kept in here.

- Importing it would import litellm (seconds, and a look at the network), create ./logs and log
  every prompt: litellm is stubbed while importing, the log folder is temporary, the logger silenced.
- Its optimiser shows the model only the ends of a long prompt: our variable returns all of it.
- Its constraints and gradients go through `str.format` once, as values, so braces survive.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import types
from functools import cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

from anyprefer.graph.errors import ModelError
from anyprefer.graph.models import accepted_settings, redact
from anyprefer.graph.settings import Settings
from anyprefer.graph.state import derive_seed


@cache
def _package() -> Any:
    """textgrad, imported quietly. Keeps the user's own TEXTGRAD_LOG_DIR and an already imported litellm."""
    stubbed = "litellm" not in sys.modules
    if stubbed:
        stub = types.ModuleType("litellm")
        stub.__dict__.update(completion=None, supports_vision=None)
        stub.__getattr__ = lambda name: None  # type: ignore[method-assign]
        sys.modules["litellm"] = stub
    given = os.environ.get("TEXTGRAD_LOG_DIR")
    os.environ.setdefault("TEXTGRAD_LOG_DIR", tempfile.mkdtemp(prefix="textgrad-"))
    try:
        import textgrad
    finally:
        if stubbed:
            sys.modules.pop("litellm", None)
        if given is None:
            os.environ.pop("TEXTGRAD_LOG_DIR", None)
    textgrad.logger.setLevel(logging.CRITICAL)
    return textgrad


class Rewriter:
    """One TextualGradientDescent step on one prompt. `answer` holds what the engine said."""

    def __init__(self, model: BaseChatModel, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.answer = ""

    def step(self, prompt: str, role: str, feedback: str) -> str:
        """The rewritten prompt. Raises `ModelError` when the engine does not answer, `IndexError` without tags."""
        textgrad = _package()

        class Whole(textgrad.Variable):  # type: ignore[name-defined,misc]
            def get_short_value(self, n_words_offset: int = 10) -> str:
                return str(self.value)

        variable = Whole(prompt, role_description=role, requires_grad=True)
        variable.gradients.add(textgrad.Variable(feedback, role_description="feedback", requires_grad=False))
        textgrad.TextualGradientDescent(parameters=[variable], engine=self._engine(textgrad)).step()
        return str(variable.value)

    def _engine(self, textgrad: Any) -> Any:
        ask = self._ask

        class Engine(textgrad.EngineLM):  # type: ignore[misc]
            model_string = "anyprefer"

            def generate(self, prompt: str, system_prompt: str | None = None, **kwargs: Any) -> str:
                return ask(prompt, system_prompt)

            __call__ = generate

        return Engine()

    def _ask(self, prompt: str, system_prompt: str | None) -> str:
        messages = [*([SystemMessage(system_prompt)] if system_prompt else []), HumanMessage(prompt)]
        seed = derive_seed(self.settings.seed, "textgrad", prompt)
        wanted = {"seed": seed, "temperature": 0.0, "max_tokens": self.settings.judge_max_tokens}
        try:
            answer = self.model.invoke(
                messages, {"run_name": "textgrad", "tags": ["role:textgrad"]}, **accepted_settings(self.model, wanted)
            )
        except Exception as error:
            raise ModelError(f"textgrad engine did not answer: {redact(str(error))}") from error
        self.answer = str(answer.text)
        return self.answer
