"""What an answer says to a yes/no question, by three published rules that disagree, and which we ask with.

| rule | yes | no | else |
|---|---|---|---|
| `strict` | "yes" is among the words and "no" is not | the other way round | nothing: wrong (VLMEvalKit, vlmeval/dataset/utils/yorn.py) |
| `pope` | every other answer, "maybe" too | "No", "no" or "not" is among the first sentence's words | (LLaVA, llava/eval/eval_pope.py) |
| `mme` | "yes" is among the first four letters | "no" is | other: wrong (lmms-eval, tasks/mme/utils.py) |
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from anyprefer.core.results import Metric, Ratio, ratio

_WORDS = re.compile(r"[^\W_]+")
SHORT = "\nAnswer the question using a single word or phrase."
"""What LLaVA puts behind such a question."""


def strict(answer: str) -> str:
    """`yes`, `no`, or an empty string where the answer says neither or both."""
    words = set(_WORDS.findall(answer.casefold()))
    said = words & {"yes", "no"}
    return said.pop() if len(said) == 1 else ""


def pope(answer: str) -> str:
    """`yes` or `no` by LLaVA's rule for POPE."""
    words = answer.partition(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


def mme(answer: str) -> str:
    """`yes`, `no` or an empty string by MME's rule."""
    said = answer.strip().lower()
    if said in ("yes", "no"):
        return said
    return next((word for word in ("yes", "no") if word in said[:4]), "")


def in_form(answer: str) -> bool:
    """Whether the whole answer is yes or no, but for case and punctuation."""
    return _WORDS.findall(answer.casefold()) in (["yes"], ["no"])


def counted(kind: str, gold: str, said: str) -> dict[str, float]:
    """Tallies of one question of a kind, from which `accuracy`, `f1` and `said_yes` are made."""
    return {
        f"{kind}: asked": 1,
        f"{kind}: right": int(said == gold),
        f"{kind}: true": int(said == gold == "yes"),
        f"{kind}: yes": int(gold == "yes"),
        f"{kind}: said yes": int(said == "yes"),
    }


def accuracy(*kinds: str) -> Metric:
    """Mean over kinds of the share of right answers."""
    return _mean({kind: ({f"{kind}: right": 1}, {f"{kind}: asked": 1}) for kind in kinds})


def f1(*kinds: str) -> Metric:
    """Mean over kinds of F1, yes being positive: 2 true / (said yes + gold yes)."""
    return _mean({kind: ({f"{kind}: true": 2}, {f"{kind}: said yes": 1, f"{kind}: yes": 1}) for kind in kinds})


def said_yes(*kinds: str) -> Metric:
    """Share of predictions that are yes, over all kinds together; lmms-eval's yes_ratio is the gold answers'."""
    return Metric(
        parts=(Ratio(above={f"{kind}: said yes": 1 for kind in kinds}, below={f"{kind}: asked": 1 for kind in kinds}),),
        better="neither",
    )


FORM = ratio("in_form", "asked")
"""Share of answers that are yes or no and nothing else, of the tallies `in_form` and `asked`."""


def _mean(parts: Mapping[str, tuple[dict[str, float], dict[str, float]]]) -> Metric:
    share = 1 / len(parts)
    weighted = [({name: share * weight for name, weight in above.items()}, below) for above, below in parts.values()]
    return Metric(parts=tuple(Ratio(above=above, below=below) for above, below in weighted))
