"""Radiology reports as R2Gen compares them (Chen et al. 2020; cuhksz-nlp/R2Gen), and how alike two are.

| figure | library | as in R2Gen's pycocoevalcap? |
|---|---|---|
| BLEU-1..4 | sacrebleu's counts | yes: corpus level, one reference, no smoothing (there 1e-9 is added) |
| ROUGE-L | rouge_score | yes: F with beta 1.2, mean of reports |
| METEOR | NLTK's, exact words and stems | **no**: there a Java program with synonyms, paraphrases and other weights |

R2Gen decodes its references from its own token ids, so words seen fewer than 3 times are `<unk>` and texts end at 60
tokens: to compare with such papers, give such references.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from anyprefer.core.errors import InputError
from anyprefer.core.results import Metric, Ratio, ratio

_BETA = 1.2
_MARKS = re.compile(r"[.,?;*!%^&_+():<=>@\[\]{}\"/\\']")


def cleaned(report: str) -> str:
    """Sentences without numbering, marks and capitals, each followed by a full stop, as R2Gen's tokenizer has them."""
    text = report.replace("..", ".").replace("..", ".").replace("..", ".").replace("1. ", "")
    for begin, repaired in ((". ", ". "), (" ", ". ")):
        for number in range(2, 6):
            text = text.replace(f"{begin}{number}. ", repaired)
    return " . ".join(_MARKS.sub("", sentence).strip() for sentence in text.strip().lower().split(". ")) + " ."


def counted(report: str, reference: str) -> dict[str, float]:
    """Tallies of one report. Raises `InputError` where a library is missing."""
    said, wanted = cleaned(report), cleaned(reference)
    return {
        "reports": 1,
        **_bleu_counts(said, wanted),
        "rouge_l": rouge_l(said, wanted),
        "meteor": meteor(said, wanted),
    }


def _bleu(n: int) -> Metric:
    precisions = [Ratio(above={f"found {k}": 1}, below={f"written {k}": 1}) for k in range(1, n + 1)]
    length = Ratio(above={"written 1": 1}, below={"reference": 1})
    return Metric(parts=(*precisions, length), form="bleu")


METRICS = {
    **{f"BLEU-{n}": _bleu(n) for n in range(1, 5)},
    "ROUGE-L": ratio("rouge_l", "reports"),
    "METEOR (NLTK, no synonyms)": ratio("meteor", "reports"),
    "words": ratio("written 1", "reports", better="neither", highest=None),
}


def _bleu_counts(said: str, wanted: str) -> dict[str, float]:
    """n-grams written and found in the reference (clipped), n = 1..4, and the reference's length."""
    made = _sacrebleu().corpus_score([said], [[wanted]])
    counts = {f"found {n}": found for n, found in enumerate(made.counts, 1)}
    return {**counts, **{f"written {n}": total for n, total in enumerate(made.totals, 1)}, "reference": made.ref_len}


def rouge_l(said: str, wanted: str) -> float:
    """F of the longest common subsequence of words, 0..1 (Lin 2004)."""
    found = _rouge().score(wanted, said)["rougeL"]
    below = found.recall + _BETA**2 * found.precision
    return (1 + _BETA**2) * found.precision * found.recall / below if below else 0.0


def meteor(said: str, wanted: str) -> float:
    """NLTK's METEOR without WordNet, which it would have to download: words match exactly or by Porter's stem, 0..1."""
    scored = _needed("nltk.translate.meteor_score", "nltk").single_meteor_score
    return float(scored(wanted.split(), said.split(), wordnet=_NoSynonyms()))


class _NoSynonyms:
    """Stands in WordNet's place."""

    def synsets(self, word: str) -> Sequence[str]:
        return ()


class _Words:
    """The tokenizer that rouge_score is given."""

    def tokenize(self, text: str) -> list[str]:
        return text.split()


@cache
def _sacrebleu() -> Any:
    return _needed("sacrebleu.metrics", "sacrebleu").BLEU(tokenize="none", smooth_method="none", force=True)


@cache
def _rouge() -> Any:
    return _needed("rouge_score.rouge_scorer", "rouge_score").RougeScorer(["rougeL"], tokenizer=_Words())


def _needed(module: str, package: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(f"reports are compared with {package}: pip install {package}") from error
