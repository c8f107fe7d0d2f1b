"""Prompt texts live in `.txt` files beside their node, judge, reward or engine and are filled in one pass.

One pass, because `str.format` breaks on JSON braces and filling twice would read placeholders out
of a question or a tool's answer: what is filled in is data and survives as it is.

What others wrote (tasks, answers, tools' findings, feedback) is shown within a `Fence`, so that it cannot pose as
the prompt that shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from hashlib import blake2b
from importlib.resources import files

_SLOT = re.compile(r"\{([a-z_]+)\}")


@cache
def text(name: str, package: str = "anyprefer.nodes") -> str:
    """The prompt file NAME.txt of a package, such as `judges/listwise`; a judge of another package has its own there."""
    return files(package).joinpath(f"{name}.txt").read_text(encoding="utf-8").strip()


def fill(template: str, **slots: str) -> str:
    """The template with every `{slot}` replaced once; a slot nobody fills raises `KeyError`.

    Lines left empty by an empty slot are closed up, so optional parts leave no gaps.
    """
    filled = ["".join([slots[said] if slot else said for said, slot in part]) for part in _paragraphs(template)]
    return "\n\n".join(part for part in filled if part.strip())


@lru_cache(maxsize=256)
def _paragraphs(template: str) -> list[list[tuple[str, bool]]]:
    """A template's paragraphs, each as its texts and its slots' names, and whether it is a slot."""
    parts = [_SLOT.split(part) for part in re.split(r"\n{2,}", template)]
    return [[(said, bool(place % 2)) for place, said in enumerate(part)] for part in parts]


_LETTERS = str.maketrans("0123456789abcdef", "bcdfghjkmnpqrtvz")
_CONTROL = re.compile(
    r"<(?=[|｜][^|｜<>\s]{1,40}[|｜]>"  # <|im_start|>, <｜User｜>
    r"|/?(?:s|bos|eos|pad|unk|mask|start_of_turn|end_of_turn|start_of_image|think|tool_call|[A-Z_]{3,40})>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS|THINK)\])"
)
_HEADING = re.compile(
    r"\n(?=(?i:answer \d|answers|query|context|judgment [ab]|(?:positive|negative) response|knowledge base)[^\n:]{0,4}:)"
)
_UNPRINTED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def inert(said: str) -> str:
    """The text as data: a space breaks what a chat template or TextGrad would take for a control token and moves
    lines that imitate a prompt's headings; control characters are replaced."""
    if "<" in said or "[" in said:
        said = _CONTROL.sub(r"\g<0> ", said)
    if ":" in said:
        said = _HEADING.sub("\n ", f"\n{said}")[1:]
    return _UNPRINTED.sub("\ufffd", said)


class Fence:
    """The marks between which one prompt shows what others wrote.

    They are 12 letters drawn from `seed` and from all `texts` together: the same question has the same marks when a
    run is resumed, and no text can hold them, since a text that changes changes them. Letters only, so that they
    hold no number.
    """

    def __init__(self, seed: int, texts: Iterable[str]) -> None:
        self.texts = tuple(texts)
        content = "\0".join([str(seed), *sorted(self.texts)])
        letters = blake2b(content.encode(errors="surrogatepass"), digest_size=12).hexdigest().translate(_LETTERS)
        self.mark, self.verdict = letters[:12], letters[12:]
        """What encloses others' texts, and what only the reader of this prompt can write above its verdict."""

    def around(self, heading: str, said: str) -> str:
        """The text under its heading, within the marks; "" for no text."""
        return f"<{self.mark}>\n{heading}{inert(said)}\n</{self.mark}>" if said.strip() else ""

    def fill(self, template: str, shown: Mapping[str, tuple[str, str] | Sequence[str]], **slots: str) -> str:
        """The template with `shown` in its slots, within the marks: a heading and a text, or a list of answers, which get
        the headings `Answer 1`, `Answer 2`, …; `slots` are filled as they are. `{notice}` is what the reader is told of
        the marks, `{mark}` what stands above the verdict."""
        notice = fill(text("fence"), mark=self.mark)
        within = {slot: self._shown(said) for slot, said in shown.items()}
        return fill(template, notice=notice, mark=self.verdict, **within, **slots)

    def _shown(self, said: tuple[str, str] | Sequence[str]) -> str:
        if isinstance(said, tuple):
            return self.around(*said)
        return "\n\n".join([self.around(f"Answer {number}:\n", answer) for number, answer in enumerate(said, 1)])
