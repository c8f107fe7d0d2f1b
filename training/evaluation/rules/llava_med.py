"""Closed and open questions of medicine: LLaVA-Med's published rule, named `llava-med`, and a strict one.

| | `llava-med` (microsoft/LLaVA-Med, llava/eval/run_eval.py, removed in v1.5) | `strict` |
|---|---|---|
| closed | right when the answer holds "yes" or "no" anywhere, even within "normal", and the gold answer too | gold yes or no: the one of them that the answer's words hold; else the same words |
| open | words of the answer that are in the gold one, as often as they stand there, of those and the gold words missing | gold words that are found, of the gold words |

By `llava-med` a closed question whose gold answer is neither yes nor no is wrong whatever is said, so perfect answers
stay below 100%; and an open answer gains by repeating a right word. We follow its script at b9a98a7: the first release left
a wrong yes/no answer out of the count altogether (LLaVA-Med #35), so numbers made with that one are too high.
"""

from __future__ import annotations

from collections import Counter

from anyprefer.core.results import Metric, ratio
from anyprefer.training.evaluation.rules import yes_no
from anyprefer.training.evaluation.rules.vqa_words import normal

METRICS: dict[str, Metric] = {
    "closed (llava-med)": ratio("closed right, llava-med", "closed"),
    "closed (strict)": ratio("closed right, strict", "closed"),
    "open recall (llava-med)": ratio("open recall, llava-med", "open"),
    "open recall (strict)": ratio("open recall, strict", "open"),
}


def counted(answer: str, gold: str, closed: bool) -> dict[str, float]:
    """Tallies of one question; of a closed one that asks for yes or no also whether the answer has that form."""
    if not closed:
        recalls = {"open recall, llava-med": recall(answer, gold), "open recall, strict": strict_recall(answer, gold)}
        return {"open": 1, **recalls}
    right = {
        "closed right, llava-med": int(closed_right(answer, gold)),
        "closed right, strict": int(strict_right(answer, gold)),
    }
    form = {"in_form": int(yes_no.in_form(answer))} if normal(gold) in ("yes", "no") else {}
    return {"closed": 1, **right, **form}


def closed_right(answer: str, gold: str) -> bool:
    """By `llava-med`."""
    said = normal(answer)
    return ("yes" in said or "no" in said) and normal(gold) in said


def strict_right(answer: str, gold: str) -> bool:
    """By `strict`."""
    wanted = normal(gold)
    return yes_no.strict(answer) == wanted if wanted in ("yes", "no") else normal(answer) == wanted


def recall(answer: str, gold: str) -> float:
    """By `llava-med`, 0..1."""
    said, wanted = Counter(normal(answer).split()), Counter(normal(gold).split())
    found = sum(count for word, count in said.items() if word in wanted)
    missing = sum(count for word, count in wanted.items() if word not in said)
    return found / (found + missing) if found else 0.0


def strict_recall(answer: str, gold: str) -> float:
    """By `strict`, 0..1."""
    said, wanted = Counter(normal(answer).split()), Counter(normal(gold).split())
    return (said & wanted).total() / wanted.total() if wanted else 0.0
