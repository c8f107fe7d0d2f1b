"""Which of a few one-token answers a model would give, as probabilities rather than as a sampled text.

A local model weighs the options itself (`LocalChat`). A server of the OpenAI protocol tells the
probabilities of its 20 likeliest next tokens, among which the options are looked up; it must not think
before it answers. A model that tells none is taken at its word: the option it names gets all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from anyprefer.graph.errors import AnswerError
from anyprefer.graph.models import traits_of
from anyprefer.nodes.ask import call

DIGITS = tuple("123456789")
TOP = 20
"""Likeliest tokens a server is asked for; OpenAI tells no more."""
WORD = 8
"""Tokens a model that tells no probabilities may take to name an option."""


async def option_probabilities(
    model: BaseChatModel, messages: Sequence[Any], options: Sequence[str], role: str, seed: int = 0
) -> dict[str, float]:
    """P(option) as the next token of the answer, 0..1 and normalised over the options, in their order.

    One call, which ledger, budget and recordings treat as any other. Each option must be one token of the
    model. Raises `AnswerError` when none of them is among what the model would say, and `ModelError` from
    a local model for an option of several tokens.
    """
    traits = traits_of(model)
    binding: dict[str, Any] = {}
    if traits.weighs:
        binding = {"options": tuple(options)}
    elif traits.shapes:
        binding = {"logprobs": True, "top_logprobs": TOP}
    longest = 1 if binding else WORD
    answer = await call(model, messages, role, binding=binding, seed=seed, temperature=0.0, max_tokens=longest)
    masses = [0.0 if said is None else math.exp(said) for said in option_logprobs(answer, options).values()]
    if not sum(masses):
        raise AnswerError(f"the answer is none of {', '.join(options)}", str(answer.text))
    return {option: mass / sum(masses) for option, mass in zip(options, masses, strict=True)}


def expected_score(shares: Mapping[str, float]) -> float:
    """The mean digit under the probabilities of 1..9, mapped linearly to 1..10."""
    mean = sum(int(digit) * share for digit, share in shares.items())
    return round(1 + 9 * (mean - 1) / 8, 6)


def read_from(shares: Mapping[str, float]) -> str:
    """What stands where a model that writes would have given its analysis."""
    likeliest = max(shares, key=shares.__getitem__)
    return f"No analysis, the score is read from probabilities; likeliest {likeliest} ({shares[likeliest]:.0%})."


def option_logprobs(answer: AIMessage, options: Sequence[str]) -> dict[str, float | None]:
    """Each option's natural-log probability as the answer tells it; None for one that is not among its likeliest tokens."""
    own = answer.response_metadata.get("option_logprobs")
    if own is not None:
        return {option: own[option] for option in options}
    told = (answer.response_metadata.get("logprobs") or {}).get("content")
    if told:
        return {option: _mass(told[0].get("top_logprobs") or [told[0]], option) for option in options}
    said = [word.strip(".,:;*()") for word in str(answer.text).split()[:1]]
    return {option: 0.0 if [option] == said else None for option in options}


def _mass(likeliest: Sequence[Mapping[str, Any]], option: str) -> float | None:
    """Tokens that differ from the option by white space alone are the option."""
    found = sum(math.exp(entry["logprob"]) for entry in likeliest if entry["token"].strip() == option)
    return math.log(found) if found else None
