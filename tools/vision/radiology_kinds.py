"""What probes of radiology can tell: how an image was made, and which part of the body it shows.

Rules that read questions and answers. They take a question only where it asks for just that: "Is this a CT?", not "Is this
a CT with contrast?".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_LONGEST = 500
_IMAGE = r"(?:image|picture|scan|film|study|x-?ray|radiograph)"
_THIS = rf"(?:this|the|that|it)(?: {_IMAGE})?(?: above| below| shown)?"


@dataclass(frozen=True)
class Kind:
    """One thing that a probe tells."""

    name: str
    labels: Mapping[str, str]
    """A pattern of the words that name a label, by label."""
    which: str
    """A pattern of whole questions that ask which label it is."""
    whether: str
    """A pattern of whole questions that ask whether it is the label whose words stand at `{label}`."""

    def named(self, text: str) -> list[str]:
        """The labels that a text names."""
        return [label for label, words in self.labels.items() if re.search(rf"\b(?:{words})\b", _plain(text))]

    def asks_which(self, question: str) -> bool:
        """Whether the question asks for the label and names none itself."""
        return re.fullmatch(self.which, _plain(question)) is not None and not self.named(question)

    def asks_whether(self, question: str) -> str | None:
        """The label of which a yes/no question asks whether the image has it."""
        for label, words in self.labels.items():
            if re.fullmatch(self.whether.replace("{label}", f"(?:{words})"), _plain(question)):
                return label
        return None

    def agrees(self, question: str, answer: str, seen: str) -> bool | None:
        """Whether an answer says what was seen; None where the question asks for something else, or the answer states
        no one label, or neither yes nor no."""
        label = self.asks_whether(question)
        if label is not None:
            said = re.match(r"\W*(yes|no)\b", _plain(answer))
            return None if said is None else (said[1] == "yes") == (label == seen)
        named = self.named(answer) if self.asks_which(question) else []
        return named == [seen] if len(named) == 1 else None


def _plain(text: str) -> str:
    return re.sub(r"[?.!\s]*(?:-\s*yes/no)?[?.!\s]*$", "", " ".join(text[:_LONGEST].lower().split()))


MODALITY = Kind(
    "modality",
    {
        "CT": r"cts?|cat scan|computed tomography",
        "MRI": r"mris?|mr|magnetic resonance(?: imaging)?|flair|dwi|t[12](?:[- ]weighted)?",
        "X-ray": r"x-?rays?|cxr|radiographs?|plain[- ]films?",
    },
    rf"(?:what|which)(?: (?:type|kind) of)?(?: (?:imaging|image|scan|study))?(?: modality)?"
    rf"(?: (?:is|was|has been|does|being|this|the|that|it|{_IMAGE}|used|seen|shown|above|to|take|taken|acquire|obtain|in|for))+"
    rf"|how (?:is|was) {_THIS} (?:taken|obtained|acquired|made)",
    rf"(?!.*\b(?:t[12]|flair|dwi)\b)(?:is|was) {_THIS}(?: taken| obtained| acquired)?(?: with| via| by| using| in)?(?: an?| the)? {{label}}"
    rf"(?: scan| image| imaging| film| study)?",
)
ORGAN = Kind(
    "organ",
    {
        "chest": r"chest|lungs?|thorax|thoracic|pulmonary|cardiopulmonary|heart|cardiovascular|respiratory(?: system)?",
        "abdomen": r"abdom(?:en|inal)|belly|gastrointestinal|gi(?: system| tract)?|bowels?|liver",
        "head": r"head|brain|skull|cns|neuro|nervous system|central nervous system|cranium",
    },
    rf"(?:what|which) (?:organ systems?|organs?|body parts?|parts? of the body|(?:region|area) of the body)"
    rf"(?: (?:is|was|are|does|being|this|the|that|{_IMAGE}|imaged|shown?|pictured|displayed|depicted|visualized|seen|in|here))+",
    rf"(?:is|was|does) {_THIS}(?: taken)?(?: an?)?(?: {_IMAGE})?(?: of| show)(?: the| a)?(?: patient's)? {{label}}",
)
KINDS = (MODALITY, ORGAN)
