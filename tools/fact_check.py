"""Is what a candidate adds to the question found in the best passage for that question?

The rule, all of it lexical:

1. The question is the task's prompt without sentences about form. It alone is searched for, so a
   candidate cannot steer what it is compared with.
2. A passage counts when it holds more than half of the question's words, each weighted by its rarity in
   the corpus: for "the capital of Atlantis" no passage counts, however many capitals there are.
3. The candidate's new words are its words that are not in the prompt; lower case, stemmed, no stopwords.
   When only stopwords are new, those with a capital count, as written: "He" is the symbol of helium. The
   first of several words does not, for it has its capital anyway.
4. Verdict: the share of the new words found in the passage, 0 when there are none. With k > 1 it is the
   best of the k passages. The default is 1 because further passages are about other things: the second
   best passage for the capital of Peru may name the capital of Chile.

Its weakness: it sees words, not claims. "Not Lima" is supported like "Lima", so is any other word of the
passage ("Spanish", where the capital was asked for), and a right answer that only repeats words of the
question ("Yes", "Luxembourg") is not.
"""

from __future__ import annotations

import re
from typing import Any

from anyprefer.graph.state import Candidate, Task
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.calculator import asked_value
from anyprefer.tools.knowledge_search import STOPWORDS, Corpus, folded, question_of, terms

_LONGEST_ANSWER = 20_000
_ENOUGH = 0.5


@tool
def fact_check(task: Task, candidate: Candidate, *, corpus: str = "", k: int = 1) -> Finding:
    """Checks whether an answer's own words are found in the best knowledge-base passage for the question."""
    passages = [] if asked_value(task.question) else _passages(Corpus.open(corpus), question_of(task.question), k)
    if not passages:
        return Finding("No passage about this question was found.")
    new = _new_words(candidate.text[:_LONGEST_ANSWER], task.text)
    if not new:
        return Finding("The answer adds nothing to the question.", verdict=0.0)
    passage, found = max(((p, new & _words(p)) for p in passages), key=lambda pair: len(pair[1]))
    missing = ", ".join(sorted(new - found)[:20]) or "none"
    text = f"Passage: {passage['title']}: {passage['text']}\nWords of the answer that it does not hold: {missing}."
    return Finding(text, verdict=len(found) / len(new), data=passage)


@fact_check.preparation
def _open(*, corpus: str = "", k: int = 1) -> None:
    Corpus.open(corpus)


def _passages(corpus: Corpus, question: str, k: int) -> list[dict[str, Any]]:
    """Of the k best passages those that hold more than half of the question, by rarity."""
    asked = {word: corpus.rarity(word) for word in terms([question])[0]}
    needed = _ENOUGH * sum(asked.values())
    return [p for p in corpus.search(question, k) if sum(asked[word] for word in asked.keys() & _words(p)) > needed]


def _words(passage: dict[str, Any]) -> set[str]:
    """A passage's terms, and its capitalised stopwords as written."""
    text = f"{passage['title']}. {passage['text']}"
    return set(terms([text])[0]) | _capitalised_stopwords(text)


def _new_words(answer: str, prompt: str) -> set[str]:
    new = set(terms([answer])[0]) - set(terms([prompt])[0])
    first, _, rest = answer.strip().partition(" ")
    return new or _capitalised_stopwords(rest or first) - _capitalised_stopwords(prompt)


def _capitalised_stopwords(text: str) -> set[str]:
    return {word for word in re.findall(r"\w+", folded(text)) if word[0].isupper() and word.lower() in STOPWORDS}
