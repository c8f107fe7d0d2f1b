"""What a question about a picture asks for, as far as a vocabulary of labels can tell."""

from __future__ import annotations

import re

from anyprefer.core.mentions import Vocabulary

_LONGEST = 2000
_PICTURE = r"(?:the|this|that) (?:image|picture|photo|photograph|scene)"
_ASKS = re.compile(
    rf"(?:is|are) there\b|(?:can|do|could) you (?:see|find|spot|observe)\b|(?:does|do) {_PICTURE} (?:contain|show|have|include|depict)\b"
)
_WHERE = re.compile(rf"(?:(?:in|on|visible|present|shown|seen|anywhere|here|there|at all) ?|{_PICTURE} ?)*[?.]?")
_DESCRIBES = re.compile(
    rf"\b(?:descri(?:be|ption)|caption|what (?:is|are|'s) (?:in|on|shown|visible|there|happening)|what (?:can|do) (?:you|be) see"
    rf"|what (?:does|do) {_PICTURE}|(?:what|which) objects|(?:list|name) (?:all|every|the) (?:objects|things))"
)
_OTHER = re.compile(r"\b(?:what|which|who|whose|where|when|why|how|is|are|was|were|do|does|did|can|could|has|have)\b")


def asks_presence(question: str, vocabulary: Vocabulary) -> str | None:
    """The one label whose presence a yes/no question asks for ("Is there a dog in the picture?"); None for any other
    question, such as one about its colour or place."""
    sentence = _first(question)
    mentions = vocabulary.mentions(sentence)
    if len(mentions) != 1 or mentions[0].denied or not _ASKS.match(sentence.casefold()):
        return None
    rest = " ".join(sentence[mentions[0].end :].casefold().split())
    return mentions[0].label if _WHERE.fullmatch(rest) else None


def asks_description(question: str) -> bool:
    """Whether a text asks for what there is in the picture as a whole."""
    text = " ".join(question[:_LONGEST].casefold().split())
    return bool(_DESCRIBES.search(text)) or not ("?" in text or _OTHER.match(text))


def says_present(answer: str, label: str, vocabulary: Vocabulary) -> bool | None:
    """Whether an answer says that the label is there: by a first "yes" or "no", else by naming or denying it; None
    where it says neither, or both."""
    first = re.findall(r"\w+", answer[:200].casefold())[:3]
    if first[:1] in (["yes"], ["no"]):
        return None if {"yes", "no"} <= set(first) else first[0] == "yes"
    said = {not mention.denied for mention in vocabulary.mentions(answer) if mention.label == label}
    return said.pop() if len(said) == 1 else None


def _first(question: str) -> str:
    """Its first sentence that ends in a question mark, else all of it; at most so many characters."""
    text = question[:_LONGEST]
    before, mark, _ = text.partition("?")
    return (re.split(r"[.!\n]\s", before)[-1] + mark).strip()
