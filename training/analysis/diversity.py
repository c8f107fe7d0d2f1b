"""How much ground a data set covers (paper §3.7, Figure 6, Appendix C, Table 16).

**The condition number** is κ = λ_1 / λ_k of the covariance Σ = (X - x̄)ᵀ(X - x̄) / (n - 1), where the rows of X (n, d)
are embeddings of n samples and λ_1 ≥ … ≥ λ_d are Σ's eigenvalues. Smaller is more evenly spread. The paper states
n = 500 and CLIP's text encoder, and leaves open what follows; ours are choices:

- `components` k: all d of them by default, as "its condition number" says. Σ has rank n - 1 at most, so n ≤ d gives
  λ_d = 0 and an infinite κ that says nothing of the data: refused. Some encoders leave directions unused (of
  all-MiniLM-L6-v2's 384 three never vary), and there κ over all d is infinite for any data: `compare` takes k as the
  number of directions that vary in any of the data sets. κ over the k largest is there for fewer samples.
- `centred`: a covariance is. Without it (`XᵀX / n`) λ_1 is mostly the length of the mean vector.
- What is embedded is the prompt with the chosen answer; `view` takes either alone.

κ falls as n grows towards many times d, whatever the data: sets are compared with the same n, so with as many as the
smallest has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from anyprefer.core.errors import InputError
from anyprefer.models.local.embed import Encoder
from anyprefer.training.pair_data.any_data_set import Sample, draw

SAMPLES = 500
"""Samples of each data set (Appendix C)."""
TOP = 50
"""Principal components of the condition number that fewer samples allow too."""

View = Literal["pair", "prompt", "chosen"]
"""What of a sample is embedded: prompt and chosen answer, or one of them."""


@dataclass(frozen=True)
class Spread:
    """One data set's embeddings and how evenly they lie."""

    name: str
    n: int
    directions: int
    """Directions the embeddings of all data sets together vary in, at most d."""
    condition: float | None
    """κ over these directions; None where n ≤ d, or this data set's embeddings do not vary in all of them."""
    condition_top: float
    """κ over the `top` largest principal components."""
    top: int
    points: Any
    """(n, 2): t-SNE of all data sets together."""


def condition_number(embeddings: Any, components: int = 0, centred: bool = True) -> float:
    """κ ≥ 1 of (n, d) embeddings; `components` k, 0 for all d. See the module for its definition.

    Raises `InputError` when the rank is below k, so that κ would be infinite or float noise.
    """
    n, d = embeddings.shape
    k = components or d
    if not 1 <= k <= d:
        raise InputError(f"components must be from 1 to the {d} dimensions of the embeddings, not {k}")
    matrix = embeddings - embeddings.mean(axis=0) if centred else embeddings
    if n - centred < k:
        raise InputError(
            f"{n} samples span {n - centred} dimensions, so the condition number over {k} would be infinite; "
            f"give more than {k} samples or take fewer components"
        )
    singular = np.linalg.svd(matrix, compute_uv=False)  # λ are their squares: this way no precision is lost
    if (rank := _rank(singular, n, d)) < k:
        raise InputError(
            f"the {n} embeddings vary in {rank} of {k} directions, so the condition number would be infinite: samples "
            "repeat, or the encoder leaves directions unused; take fewer components"
        )
    return float((singular[0] / singular[k - 1]) ** 2)


def compare(
    data: Mapping[str, Sequence[Sample]],
    encode: Encoder,
    n: int = SAMPLES,
    seed: int = 0,
    top: int = TOP,
    view: View = "pair",
) -> list[Spread]:
    """The spread of every data set on the same number of distinct samples, drawn with the seed.

    Raises `InputError` naming the data set that has too few distinct samples for `top` components.
    """
    distinct = {name: _distinct(samples, view) for name, samples in data.items()}
    for name, texts in distinct.items():
        if min(len(texts), n) <= top:
            raise InputError(f"{name}: {min(len(texts), n)} distinct samples are too few for {top} components")
    n = min(n, *(len(texts) for texts in distinct.values()))
    vectors = {name: encode([view_of(s, view) for s in draw(some, n, seed)]) for name, some in distinct.items()}
    together = np.concatenate(list(vectors.values()))
    points = np.split(project(together, seed), len(vectors))
    spread = np.linalg.svd(together - together.mean(axis=0), compute_uv=False)
    directions = _rank(spread, *together.shape)
    return [
        Spread(name, n, directions, _full(x, directions), condition_number(x, top), top, places)
        for (name, x), places in zip(vectors.items(), points, strict=True)
    ]


def project(embeddings: Any, seed: int = 0, perplexity: float = 30.0) -> Any:
    """(n, d) embeddings to (n, 2) by t-SNE with cosine distances, started from the principal components.

    The perplexity is cut to what few samples allow.
    """
    from sklearn.manifold import TSNE

    most = max(1.0, (len(embeddings) - 1) / 3)
    tsne = TSNE(perplexity=min(perplexity, most), metric="cosine", init="pca", random_state=seed)
    return tsne.fit_transform(embeddings)


def view_of(sample: Sample, view: View) -> str:
    """The text of a sample that is embedded."""
    parts = {"pair": (sample.task.text, sample.chosen), "prompt": (sample.task.text,), "chosen": (sample.chosen,)}
    return "\n\n".join(parts[view])


def _distinct(samples: Sequence[Sample], view: View) -> list[Sample]:
    return list({view_of(sample, view): sample for sample in samples}.values())


def _full(embeddings: Any, directions: int) -> float | None:
    n, d = embeddings.shape
    try:
        return condition_number(embeddings, directions) if n > d else None
    except InputError:
        return None


def _rank(singular: Any, n: int, d: int) -> int:
    """How many singular values are more than the float32 noise of an encoder."""
    return int((singular > singular[0] * max(n, d) * np.finfo(np.float32).eps).sum())
