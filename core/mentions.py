"""Which labels of a vocabulary an answer names, and how far that agrees with what was seen.

Rules, no model: words are compared in lower case and in the singular, the longest phrase wins ("hot dog" names no dog),
and what a clause denies ("no red circle", "the dog is absent") is not named. Time is linear in the text.

Agreement follows CHAIR (arXiv 1809.02156) but for one thing: naming an object again counts as wrong in precision, so
that nothing is gained by saying the same twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from anyprefer.core.denial import REACH, Denial, denied_after
from anyprefer.core.word_forms import number_of, singulars


@dataclass(frozen=True)
class Mention:
    """One place where a text names a label."""

    label: str
    start: int
    """Where in the text, in characters: `text[start:end]`."""
    end: int
    denied: bool = False
    """Whether the text says that it is not there."""
    count: int | None = None
    """How many it says there are ("two dogs": 2, "a dog": 1); None where it does not say."""


@dataclass(frozen=True)
class Agreement:
    """An answer's mentions beside what was seen. Denied mentions are none."""

    right: tuple[str, ...] = ()
    """Labels that were named and seen, each once."""
    wrong: tuple[str, ...] = ()
    """Labels that were named and not seen, each once."""
    missed: tuple[str, ...] = ()
    """Labels that were seen and not named."""
    repeated: tuple[str, ...] = ()
    """The label of every further mention; of a label seen k times, those after the k-th."""
    miscounted: tuple[str, ...] = ()
    """Labels of `right` of which the answer says another number than was seen. They do not count in `f1`."""

    @property
    def precision(self) -> float:
        """right / (right + wrong + repeated), 0..1; 1 where nothing is named."""
        named = len(self.right) + len(self.wrong) + len(self.repeated)
        return len(self.right) / named if named else 1.0

    @property
    def recall(self) -> float:
        """right / (right + missed), 0..1; 1 where nothing was seen."""
        seen = len(self.right) + len(self.missed)
        return len(self.right) / seen if seen else 1.0

    @property
    def f1(self) -> float:
        """2 right / (2 right + wrong + repeated + missed), 0..1; 1 where nothing is named and nothing was seen."""
        faults = len(self.wrong) + len(self.repeated) + len(self.missed)
        return 2 * len(self.right) / (2 * len(self.right) + faults) if self.right or faults else 1.0


class Vocabulary:
    """Labels, and the words that name them."""

    def __init__(self, labels: Iterable[str], synonyms: Mapping[str, Sequence[str]] | None = None) -> None:
        """`synonyms` maps a label to other phrases that name it; a phrase that is a label itself names that label."""
        self.labels = tuple(dict.fromkeys(labels))
        self._root = _Node()
        phrases = [(label, label) for label in self.labels]
        phrases += [(phrase, label) for label, others in (synonyms or {}).items() for phrase in others]
        for one, label in phrases:
            self._root.put(_words_of(one), label)

    def mentions(self, text: str) -> list[Mention]:
        """The places where a text names a label, in order; they do not overlap."""
        return list(_mentions(_tokens(text), self._root))

    def named(self, text: str) -> list[str]:
        """The labels that a text names and does not deny, in order, each as often as it is named."""
        return [mention.label for mention in self.mentions(text) if not mention.denied]

    def agreement(self, text: str, seen: Iterable[str]) -> Agreement:
        """How far a text's mentions agree with the labels seen, of which a label may be there several times."""
        return agreement(self.mentions(text), seen)


def agreement(mentions: Iterable[Mention], seen: Iterable[str]) -> Agreement:
    """How far mentions agree with the labels seen; see `Agreement`."""
    there, told = Counter(seen), [mention for mention in mentions if not mention.denied]
    often = Counter(mention.label for mention in told)
    further = {label: times - max(1, there[label]) for label, times in often.items()}
    said = {mention.label: mention.count for mention in told if mention.count is not None}
    return Agreement(
        right=tuple(label for label in often if label in there),
        wrong=tuple(label for label in often if label not in there),
        missed=tuple(label for label in there if label not in often),
        repeated=tuple(label for label, times in further.items() for _ in range(times)),
        miscounted=tuple(label for label in often if label in there and said.get(label, 1) not in (1, there[label])),
    )


@dataclass
class _Node:
    """A tree of phrases, one word a step."""

    label: str | None = None
    next: dict[str, _Node] = field(default_factory=dict)

    def put(self, words: Sequence[str], label: str) -> None:
        """A phrase that is there already keeps its label."""
        node = self
        for word in words:
            node = node.next.setdefault(word, _Node())
        if words and node.label is None:
            node.label = label


@dataclass(frozen=True)
class _Token:
    word: str
    start: int
    end: int


_TOKEN = re.compile(r"\w+(?:['’]\w+)?|[.!?;:,\n]")


def _tokens(text: str) -> list[_Token]:
    return [
        _Token(found[0].casefold().replace("’", "'").removesuffix("'s"), *found.span())
        for found in _TOKEN.finditer(text)
    ]


def _words_of(phrase: str) -> list[str]:
    return [token.word for token in _tokens(phrase)]


def _longest(tokens: Sequence[_Token], at: int, root: _Node) -> tuple[int, str] | None:
    """Where the longest phrase that begins here ends, and its label."""
    node, found = root, None
    for place in range(at, len(tokens)):
        word = tokens[place].word
        step = next((node.next[form] for form in (word, *singulars(word)) if form in node.next), None)
        if step is None:
            break
        node = step
        found = (place + 1, node.label) if node.label is not None else found
    return None if found is None or found[1] is None else (found[0], found[1])


def _mentions(tokens: Sequence[_Token], root: _Node) -> Iterator[Mention]:
    at, denial = 0, Denial()
    while at < len(tokens):
        found = _longest(tokens, at, root)
        if found is None:
            denial.read(tokens[at].word, tokens[at + 1].word if at + 1 < len(tokens) else "")
            at += 1
            continue
        end, label = found
        count = number_of(tokens[at - 1].word) if at else None
        denied = denial.holds or denied_after([token.word for token in tokens[end : end + REACH]])
        yield Mention(label, tokens[at].start, tokens[end - 1].end, denied, None if denied else count)
        denial.named()
        at = end
