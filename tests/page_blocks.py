"""The code blocks of README and docs/, and the commands in them.

A block whose first line is a comment that begins with "needs" or "takes" is not run: its commands and imports are checked
against what there is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile, groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"# (needs|takes) ")
_SET = re.compile(r"[A-Z_]+=.*")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def is_run(self) -> bool:
        """Whether nothing says why it cannot be here."""
        return not _MARK.match(self.text)

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """A page's blocks of these languages."""
    text = page.read_text(encoding="utf-8")
    found = ((match[1], match[2], text.count("\n", 0, match.start()) + 1) for match in _BLOCK.finditer(text))
    return [Block(page, line, language, body) for language, body, line in found if language in languages]


def commands(script: str) -> Iterator[list[str]]:
    """The words of each command of a shell script, without comments and the variables set before it."""
    open_text = ""
    for line in script.replace("\\\n", " ").splitlines():
        try:
            words = shlex.split(open_text + line, comments=True)
        except ValueError:  # a quotation that ends on a later line
            open_text += f"{line}\n"
            continue
        open_text = ""
        for is_and, group in groupby(words, lambda word: word == "&&"):
            command = list(dropwhile(_SET.fullmatch, group))
            if command and not is_and:
                yield command


def anyprefers(words: list[str]) -> list[str] | None:
    """The arguments, where a command is `anyprefer`, or a launcher of `anyprefer.cli`."""
    if words[0] == "anyprefer":
        return words[1:]
    return words[words.index("anyprefer.cli") + 1 :] if "anyprefer.cli" in words else None
