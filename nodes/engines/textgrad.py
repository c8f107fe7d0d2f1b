"""TextGrad rewrites prompts: the default engine, and the textgrad package with its pitfalls kept in here.

The round's feedback is the textual gradient; each prompt gets one optimiser step.

- Importing it would import litellm (seconds, and a look at the network), create ./logs (its issue 152) and log
  every prompt: its one module on litellm is left out, the log folder is temporary, the logger silenced.
- Its optimiser shows the model only the ends of a long prompt: our variable returns all of it.
- Its constraints and gradients go through `str.format` once, as values, so braces survive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from langchain_core.language_models import BaseChatModel

from anyprefer.core.errors import AnypreferError, RunStopped
from anyprefer.core.records import Prompts, Round
from anyprefer.core.roles import Played
from anyprefer.core.settings import Settings
from anyprefer.core.task import Task
from anyprefer.core.trajectories import readable
from anyprefer.core.values import derive_seed
from anyprefer.models import model_name
from anyprefer.nodes import prompt_texts as texts
from anyprefer.nodes.engines.textgrad_package import step_answer

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
        role, gradient = _role(name, prompts.shared), self._gradient(name, prompts, played)
        try:
            answer = await step_answer(self.model, self.settings, old, role, gradient)
        except RunStopped:
            raise
        except AnypreferError as error:
            return old, str(error)
        return usable(answer, old, [said for _, closed in played for said in _shown(closed)])

    def _gradient(self, name: str, prompts: Prompts, played: Played) -> str:
        """The rounds' feedback; when players are optimised jointly, also the other's prompt as it now is."""
        others = [other for other in ("target", "judge") if other != name and self.settings.feedback_mode == "joint"]
        told = [texts.fill(texts.text("engines/feedback_other"), player=one, prompt=prompts.of(one)) for one in others]
        return "\n\n".join([*(feedback_text(*one) for one in played), *told])


def _role(name: str, shared: bool) -> str:
    """What the prompt is for, as TextGrad's optimiser is told."""
    kind, _, tool = name.partition(".")
    if shared and kind == "target":
        return texts.text("engines/role_instruction")
    return (
        texts.fill(texts.text("engines/role_tool"), tool=tool)
        if kind == "tools"
        else texts.text(f"engines/role_{kind}")
    )


def feedback_text(task: Task, played: Round) -> str:
    """The gradient: the pair that was rated, its reward and the reward's analysis."""
    query, shown = task.text, _shown(played)
    positive, negative = shown[:2] if played.pair else ("", "")
    fence = texts.Fence(derive_seed(task.id, played.number, "textgrad"), [query, *shown])
    return fence.fill(
        texts.text("engines/feedback"),
        {
            "query": ("Query: ", query),
            "positive": ("Positive response: ", positive),
            "negative": ("Negative response: ", negative),
        },
        score=f"{played.reward.score:g}/10" if played.reward else "none, no pair could be formed",
        analysis=texts.inert(played.feedback),
    )


def _shown(played: Round) -> list[str]:
    """What a round's feedback holds of others: the pair, where there is one, and the analysis."""
    pair = played.pair
    return [*([readable(pair.chosen), readable(pair.rejected)] if pair else ()), played.feedback]


def usable(answer: str, old: str, shown: Sequence[str] = ()) -> tuple[str, str]:
    """(the next prompt, why it is the old one or "").

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


offers = TextGrad
