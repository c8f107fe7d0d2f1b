"""The three things a local model is asked: to answer, to weigh options, and how probable an answer would be from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anyprefer.models.local.likelihood import mean_logprobs
from anyprefer.models.local.options import weigh
from anyprefer.models.local.prompts import Prompt
from anyprefer.models.local.sampling import Sampling, draw
from anyprefer.models.local.weights import Weights


@dataclass(frozen=True)
class Options:
    """One-token answers of which the most probable is wanted."""

    tokens: Mapping[str, int]


@dataclass(frozen=True)
class Given:
    """An answer whose probability is wanted."""

    answer: str


Wanted = Sampling | Options | Given


@dataclass(frozen=True)
class Reply:
    """What a prompt got."""

    text: str
    tokens: int = 1
    """Written by the model."""
    said: dict[str, Any] = field(default_factory=dict)
    """For `response_metadata`."""


def _sampled(weights: Weights, prompts: Sequence[Prompt], wanted: Sequence[Sampling]) -> list[Reply]:
    drawn = draw(weights, prompts, wanted)
    ends = {True: "stop", False: "length"}
    return [Reply(answer.text, answer.tokens, {"finish_reason": ends[answer.finished]}) for answer in drawn]


def _weighed(weights: Weights, prompts: Sequence[Prompt], wanted: Sequence[Options]) -> list[Reply]:
    masses = weigh(weights, prompts, [options.tokens for options in wanted])
    said = [{"finish_reason": "stop", "option_logprobs": logprobs} for logprobs in masses]
    return [Reply(max(mass, key=mass.__getitem__), said=one) for mass, one in zip(masses, said, strict=True)]


def _likely(weights: Weights, prompts: Sequence[Prompt], wanted: Sequence[Given]) -> list[Reply]:
    means = mean_logprobs(weights, prompts, [given.answer for given in wanted])
    return [Reply(f"{mean:.6f}", said={"finish_reason": "stop", "mean_logprob": mean}) for mean in means]


Way = Callable[[Weights, Sequence[Prompt], Sequence[Any]], list[Reply]]
WAYS: dict[type, Way] = {Sampling: _sampled, Options: _weighed, Given: _likely}
"""How a batch of each kind is answered; prompts and what is wanted of them in the same order, as are the replies."""
