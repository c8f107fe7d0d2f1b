"""Which of a question's own choices a candidate gives, and which of them a knowledge base supports best.

The rule: every choice is searched for together with the question (BM25); its support is the score of the best
passage. A candidate that is not exactly one of the choices, but for case and punctuation, has verdict 0. The best
supported choice has verdict 1, and one whose support is lower by a share s of the best has 1 - 4·s, at least 0.

Its weakness: passages that share the words need not say that the choice is right. With 143,780 passages (Wikipedia's
vital articles, WordNet, FOLDOC and others) the best supported choice was right for 44% of 150 training questions of
ARC-easy, and for 62% of the third with the clearest lead; chance is 25%.
"""

from __future__ import annotations

import re

from anyprefer.graph.state import Candidate, Task
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.knowledge_search import Corpus
from anyprefer.tools.reference import agrees

_CHOICE = re.compile(r"^[ \t]*(?:-|\(?[A-Ha-h1-8][.)])[ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_LONGEST_PROMPT = 20_000
_MOST = 10
_FALL = 4.0
"""How fast the verdict falls with the share of support that is missing."""


def choices_of(prompt: str) -> tuple[str, list[str]]:
    """The question and its choices, lines such as `- copper` or `B) copper`; no choices when there are fewer than 2."""
    text = prompt[:_LONGEST_PROMPT]
    found = [match[1] for match in _CHOICE.finditer(text)]
    if not 2 <= len(found) <= _MOST:
        return text, []
    return text[: next(_CHOICE.finditer(text)).start()].strip(), found


@tool
def multiple_choice(task: Task, candidate: Candidate, *, corpus: str = "") -> Finding:
    """Checks the answer to a multiple-choice question: is it one of the choices, and the one the knowledge base supports?"""
    question, choices = choices_of(task.prompt)
    if not choices:
        return Finding("The question lists no choices.")
    given = next((choice for choice in choices if agrees(candidate.text, choice)), None)
    if given is None:
        return Finding("The answer is not exactly one of the choices.", verdict=0.0, weight=2.0)
    passages = {choice: Corpus.open(corpus).search(f"{question} {choice}", 1) for choice in choices}
    support = {choice: hits[0]["score"] if hits else 0.0 for choice, hits in passages.items()}
    best = max(choices, key=lambda choice: support[choice])
    if not support[best]:
        return Finding("The answer is one of the choices. No passage about the question was found.")
    verdict = max(0.0, 1 - _FALL * (1 - support[given] / support[best]))
    found = passages[best][0]
    text = f"Best supported choice: {best} ({found['title']}: {found['text'][:300]}). The answer is {given}."
    return Finding(text, verdict=verdict, weight=2.0, data={"support": support, "passage": found})


@multiple_choice.preparation
def _open(*, corpus: str = "") -> None:
    Corpus.open(corpus)
