"""TextGrad rewrites prompts: the default engine, and the textgrad package with its pitfalls kept in here.

The round's feedback is the textual gradient; each prompt gets one optimiser step.

- Importing it would import litellm (seconds, and a look at the network), create ./logs (its issue 152) and log
  every prompt: its one module on litellm is left out, the log folder is temporary, the logger silenced.
- Its optimiser shows the model only the ends of a long prompt: our variable returns all of it.
- Its constraints and gradients go through `str.format` once, as values, so braces survive.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import sys
import tempfile
import threading
import types
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

from anyprefer.graph.errors import AnswerError, AnypreferError, RunStopped
from anyprefer.graph.models import model_name
from anyprefer.graph.models.answer import read_answer
from anyprefer.graph.roles import Played
from anyprefer.graph.settings import Settings
from anyprefer.graph.state import Prompts, Round, Task, as_text, derive_seed
from anyprefer.nodes import prompts as texts
from anyprefer.nodes.ask import call

_OPEN, _CLOSE = "<IMPROVED_VARIABLE>", "</IMPROVED_VARIABLE>"
MAX_GROWTH = 4
"""A rewrite longer than this many times the old prompt plus 2000 characters is refused."""


class TextGrad:
    """An engine that asks a chat model, through the textgrad package."""

    def __init__(self, model: BaseChatModel, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.name = model_name(model)

    async def rewrite(self, name: str, prompts: Prompts, played: Played) -> tuple[str, str]:
        """One call. The old prompt and the reason where the answer is of no use."""
        old = prompts.of(name)
        rewriter = Rewriter(self.model, self.settings)
        try:
            await rewriter.step(old, _role(name, prompts.shared), self._gradient(name, prompts, played))
        except RunStopped:
            raise
        except AnypreferError as error:
            return old, str(error)
        except IndexError:
            return old, _untagged(rewriter.answer)
        return usable(rewriter.answer, old, [as_text(one) for _, closed in played for one in _shown(closed)])

    def _gradient(self, name: str, prompts: Prompts, played: Played) -> str:
        """The rounds' feedback; when players are optimised jointly, also the other's prompt as it now is."""
        others = [other for other in ("target", "judge") if other != name and self.settings.feedback_mode == "joint"]
        told = [texts.fill(texts.text("feedback_other"), player=one, prompt=prompts.of(one)) for one in others]
        return "\n\n".join([*(feedback_text(*one) for one in played), *told])


class NoEngine:
    """Stands where nobody rewrites prompts."""

    name = "none"

    async def rewrite(self, name: str, prompts: Prompts, played: Played) -> tuple[str, str]:
        """The old prompt."""
        return prompts.of(name), "no engine rewrites prompts in this run"


def _role(name: str, shared: bool) -> str:
    """What the prompt is for, as TextGrad's optimiser is told."""
    kind, _, tool = name.partition(".")
    if shared and kind == "target":
        return texts.text("role_instruction")
    return texts.fill(texts.text("role_tool"), tool=tool) if kind == "tools" else texts.text(f"role_{kind}")


def feedback_text(task: Task, played: Round) -> str:
    """The gradient: the pair that was rated, its reward and the reward's analysis."""
    pair = played.pair
    fence = texts.Fence(derive_seed(task.id, played.number, "textgrad"), [task.text, *map(as_text, _shown(played))])
    return texts.fill(
        texts.text("feedback"),
        notice=fence.notice,
        query=fence.around("Query: ", task.text),
        positive=fence.around("Positive response: ", as_text(pair.chosen)) if pair else "",
        negative=fence.around("Negative response: ", as_text(pair.rejected)) if pair else "",
        score=f"{played.reward.score:g}/10" if played.reward else "none, no pair could be formed",
        analysis=texts.inert(played.feedback),
    )


def _shown(played: Round) -> list[Any]:
    """What a round's feedback holds of others."""
    return [*([played.pair.chosen, played.pair.rejected] if played.pair else ()), played.feedback]


def usable(answer: str, old: str, shown: Sequence[str] = ()) -> tuple[str, str]:
    """(the prompt to go on with, why it is the old one or "").

    Models mention the tags before they use them, so the last tagged text at the end of a line counts. Tagged text
    that stands in what was `shown` is a quotation, and several different texts, none at a line's end, are no answer.
    """
    found = [(text, last) for text, last in _tagged(answer) if text and not _quoted(text, shown)]
    new = next((text for text, last in reversed(found) if last), found[-1][0] if found else "")
    if not new:
        return old, _untagged(answer)
    if len({text for text, last in found}) > 1 and not any(last for _, last in found):
        return old, f"several improved texts in the answer: {answer[:300]!r}"
    if new == old:
        return old, "the rewrite is the same text"
    if len(new) > MAX_GROWTH * len(old) + 2000:
        return old, f"the rewrite has {len(new)} characters, too many for a prompt of {len(old)}"
    return new, ""


def _tagged(answer: str) -> Iterator[tuple[str, bool]]:
    """Each text between the tags, and whether nothing more is said on the line behind it."""
    at = 0
    while (closed := answer.find(_CLOSE, at)) >= 0:
        opened = answer.rfind(_OPEN, at, closed)
        at = closed + len(_CLOSE)
        if opened >= 0:
            rest = answer[at : at + 200].partition("\n")[0]
            yield answer[opened + len(_OPEN) : closed].strip(), not any(letter.isalnum() for letter in rest)


def _quoted(text: str, shown: Sequence[str]) -> bool:
    """Whether what was shown has the text within the tags."""
    tagged = "".join(f"{_OPEN}{text}{_CLOSE}".split())
    return any(tagged in "".join(one.split()) for one in shown if "IMPROVED_VARIABLE" in one)


def _untagged(answer: str) -> str:
    return f"no improved text in the answer: {answer[:300]!r}"


_LITELLM = "textgrad.engine_experimental.litellm"
_IMPORTING = threading.Lock()


class _LiteLLM:
    """In place of textgrad's engine on litellm: the real one where somebody makes one. No upstream issue known."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """The real one."""
        return importlib.import_module(_LITELLM).LiteLLMEngine(*args, **kwargs)


@cache
def _package() -> Any:
    """textgrad, imported quietly: without litellm, and without a folder of logs where the process stands."""
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


class Rewriter:
    """One TextualGradientDescent step on one prompt. `answer` holds what the engine said.

    textgrad calls its engine synchronously in the middle of a step. So the step is taken twice: once to
    learn what it asks, and, with the answer at hand, once more. No thread waits for a model this way.
    """

    def __init__(self, model: BaseChatModel, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.answer = ""

    async def step(self, prompt: str, role: str, feedback: str) -> str:
        """The rewritten prompt. Raises `ModelError` when the engine does not answer, `IndexError` without tags."""
        await asyncio.to_thread(_package)
        try:
            _step(prompt, role, feedback, answer=None)
        except _Asked as asked:
            self.answer = await self._ask(asked.prompt, asked.system)
        return _step(prompt, role, feedback, self.answer)

    async def _ask(self, prompt: str, system: str | None) -> str:
        answer = await call(
            self.model,
            [*([SystemMessage(system)] if system else []), HumanMessage(prompt)],
            "textgrad",
            seed=derive_seed(self.settings.seed, "textgrad", prompt),
            temperature=0.0,
            max_tokens=self.settings.judge_max_new_tokens,
        )
        said = read_answer(answer)
        if said.flaw:
            raise AnswerError(said.flaw, said.text)
        return said.text


class _Asked(Exception):
    def __init__(self, prompt: str, system: str | None) -> None:
        self.prompt, self.system = prompt, system


def _step(prompt: str, role: str, feedback: str, answer: str | None) -> str:
    """textgrad's own step, with an engine that gives `answer`, or raises `_Asked` where that is None."""
    textgrad = _package()

    class Whole(textgrad.Variable):  # type: ignore[name-defined,misc]
        def get_short_value(self, n_words_offset: int = 10) -> str:
            return str(self.value)

    class Engine(textgrad.EngineLM):  # type: ignore[name-defined,misc]
        model_string = "anyprefer"

        def generate(self, prompt: str, system_prompt: str | None = None, **kwargs: Any) -> str:
            if answer is None:
                raise _Asked(prompt, system_prompt)
            return answer

        __call__ = generate

    variable = Whole(prompt, role_description=role, requires_grad=True)
    variable.gradients.add(textgrad.Variable(feedback, role_description="feedback", requires_grad=False))
    textgrad.TextualGradientDescent(parameters=[variable], engine=Engine()).step()
    return str(variable.value)
