"""Is the one thing a candidate adds to the question what the best passage says of it?

The rule, all of it lexical:

1. The question is the task's prompt without sentences about form. It alone is searched for, so a
   candidate cannot steer what it is compared with. A question to be answered with yes or no is left alone.
2. A passage counts when it holds more than half of the question's words, each weighted by its rarity in
   the corpus: for "the capital of Atlantis" no passage counts, however many capitals there are.
3. What answers the question is the passage's `facts` entry that the question names ("capital"), where the corpus
   has such entries; else its title, where the question names nothing of it ("Which element has the symbol Na?");
   else the words of those clauses that hold most of the question's words.
4. The candidate's new words are its words that are not in the prompt; lower case, stemmed, no stopwords.
   When only stopwords are new, those with a capital count, as written: "He" is the symbol of helium. The
   first of several words does not, for it has its capital anyway. A symbol is compared as written.
5. Verdict: 1 when all new words are among what answers the question, 0 when none is or there are none. It takes no
   side on an answer that denies, asks, lists several (see `stated`) or says other things beside, nor on one that only
   the passage at large holds.

Its weakness: it sees words, not claims.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field

from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.calculator import asked_value
from anyprefer.tools.knowledge_search import STOPWORDS, Corpus, folded, question_of, shown, terms
from anyprefer.tools.spelling import NUMBER_WORDS, cleaned
from anyprefer.tools.stated import stated_text

_ENOUGH = 0.5
_CLAUSE = re.compile(r"[.;,:()\n]|\band\b(?=[^.;,:]{0,60}\b(?:is|are|was|were|has|have|began|ended)\b)")
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join(NUMBER_WORDS)})\b", re.IGNORECASE)
_YES_OR_NO = re.compile(
    r"(?:is|are|was|were|do|does|did|can|could|has|have|had|will|would|should|am|true or false)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class _Known:
    """A passage about a question."""

    passage: dict[str, Any]
    answers: frozenset[str]
    """The words that answer the question; none where it does not say."""
    kind: Literal["entry", "title", "clause", "passage"]
    near: frozenset[str] = frozenset()
    """Words beside its title that may answer too."""


@tool
def fact_check(task: Task, candidate: Candidate, *, corpus: str = "", k: Annotated[int, Field(ge=1)] = 1) -> Finding:
    """Checks whether what an answer says is what the best knowledge-base passage says of the question."""
    known = _known(corpus, task.question, k)
    if not known:
        return Finding("No passage about this question was found.")
    found = [(_verdict(one, candidate.text, task.text), one.passage) for one in known]
    verdict, passage = max(found, key=lambda pair: -1 if pair[0] is None else pair[0])
    said = {None: "cannot be compared with it", 0.0: "is not what it says", 1.0: "is what it says"}[verdict]
    text = f"Passage: {passage['title']}: {passage['text']}\nThe answer {said}."
    return Finding(text, verdict=verdict, data=shown(passage))


@fact_check.preparation
def _open(*, corpus: str = "", k: int = 1) -> None:
    Corpus.open(corpus)


@lru_cache(maxsize=1024)
def _known(corpus: str, prompt: str, k: int) -> tuple[_Known, ...]:
    """The passages about a task's question, looked up once for all its candidates."""
    question = question_of(prompt)
    if asked_value(prompt) or _YES_OR_NO.match(question) or "yes or no" in prompt.casefold():
        return ()
    return tuple(_answering(one, question) for one in _passages(Corpus.open(corpus), question, k))


def _passages(corpus: Corpus, question: str, k: int) -> list[dict[str, Any]]:
    """Of the k best passages those that hold more than half of the question, by rarity."""
    asked = {word: corpus.rarity(word) for word in terms([question])[0]}
    needed = _ENOUGH * sum(asked.values())
    return [
        p for p in corpus.search(question, k) if sum(asked[word] for word in asked.keys() & _words(_all(p))) > needed
    ]


def _answering(passage: dict[str, Any], question: str) -> _Known:
    asked = set(terms([question])[0])
    facts = passage.get("facts")
    facts = facts if isinstance(facts, dict) else {}
    named = [str(entry) for name, entry in facts.items() if asked.issuperset(terms([name])[0])]
    if len(named) == 1 and not asked.issuperset(terms(named)[0] or ["?"]):
        as_written = "symbol" in asked
        return _Known(passage, frozenset(named) if as_written else frozenset(_words(named[0]) - asked), "entry")
    title = set(terms([passage["title"]])[0])
    clauses = [(len(words & asked - title), len(words & asked), words) for words in map(_words, _clauses(passage))]
    most = max(clauses, key=lambda one: one[:2])[:2]
    best = frozenset[str]().union(*(one[2] for one in clauses if one[:2] == most))
    if title and not title & asked:
        return _Known(passage, frozenset(_words(passage["title"])), "title", best)
    return _Known(passage, best, "clause") if most[0] else _Known(passage, frozenset(), "passage")


def _clauses(passage: dict[str, Any]) -> list[str]:
    return _CLAUSE.split(passage["text"])


def _verdict(known: _Known, answer: str, prompt: str) -> float | None:
    stated = stated_text(answer, prompt) if answer.strip() else ""
    if stated is None:
        return None
    new = _new_words(cleaned(answer), prompt)
    if known.kind == "entry" and "symbol" in prompt.casefold():
        new = set(re.findall(r"\w+", stated))
    supported = new & known.answers
    if not supported:
        unsure = known.near if known.kind == "title" else _words(_all(known.passage)) if known.kind == "passage" else ()
        return None if new & set(unsure) else 0.0
    return 1.0 if supported == new and (known.kind == "clause" or known.answers <= new) else None


def _all(passage: dict[str, Any]) -> str:
    return f"{passage['title']}. {passage['text']}"


def _words(text: str) -> set[str]:
    """A text's terms, numbers as digits, and its capitalised stopwords as written."""
    return set(terms([_digits(text)])[0]) | _capitalised_stopwords(text)


def _digits(text: str) -> str:
    return _NUMBER_WORD.sub(lambda found: str(NUMBER_WORDS[found[0].lower()]), text)


def _new_words(answer: str, prompt: str) -> set[str]:
    new = set(terms([_digits(answer)])[0]) - set(terms([_digits(prompt)])[0])
    first, _, rest = answer.strip().partition(" ")
    return new or _capitalised_stopwords(rest or first) - _capitalised_stopwords(prompt)


def _capitalised_stopwords(text: str) -> set[str]:
    return {word for word in re.findall(r"\w+", folded(text)) if word[0].isupper() and word.lower() in STOPWORDS}
