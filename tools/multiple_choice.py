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
from functools import lru_cache

from anyprefer.graph.state import Candidate, Task
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.knowledge_search import Corpus
from anyprefer.tools.reference import agrees

_CHOICE = re.compile(r"^[ \t]*(?:-|\(?[A-Ha-h1-8][.)])[ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_LONGEST_PROMPT = 20_000
_MOST = 10
_SHOWN = 300
_FORM = "Answer with one of the choices, word for word."
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
    question, choices = choices_of(task.question)
    if not choices:
        return Finding("The question lists no choices.")
    support = _supported(corpus, question, tuple(choices))
    best = max(support, key=lambda one: support[one][0])
    highest, passage = support[best]
    said = f"Best supported choice: {best} ({passage})." if highest else "No passage about the question was found."
    data = {"support": {one: score for one, (score, _) in support.items()}, "text": passage, "form": _FORM}
    given = next((one for one in choices if agrees(candidate.text, one)), None)
    if given is None:
        return Finding(f"The answer is not exactly one of the choices. {said}", verdict=0.0, weight=2.0, data=data)
    verdict = max(0.0, 1 - _FALL * (1 - support[given][0] / highest)) if highest else None
    return Finding(f"The answer is the choice {given!r}. {said}", verdict=verdict, weight=2.0, data=data)


@lru_cache(maxsize=4096)
def _supported(corpus: str, question: str, choices: tuple[str, ...]) -> dict[str, tuple[float, str]]:
    """Each choice's support (≥ 0) and its best passage; looked up once for all candidates of a task."""
    found = {}
    for one in choices:
        hits = Corpus.open(corpus).search(f"{question} {one}", 1)
        found[one] = (hits[0]["score"], f"{hits[0]['title']}: {hits[0]['text'][:_SHOWN]}") if hits else (0.0, "")
    return found


@multiple_choice.preparation
def _open(*, corpus: str = "") -> None:
    Corpus.open(corpus)
