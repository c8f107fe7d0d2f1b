"""Which of a few one-token answers a model would give, as probabilities rather than as a sampled text.

A local model weighs the options itself (`LocalChat`). A server of the OpenAI protocol tells the
probabilities of its 20 likeliest next tokens, among which the options are looked up; it must not think
before it answers. A model that tells none is taken at its word: the option it names gets all.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from anyprefer.core.errors import AnswerError
from anyprefer.models import traits_of
from anyprefer.models.answer import split_thoughts
from anyprefer.models.ask import call

DIGITS = tuple("123456789")
TOP = 20
"""Likeliest tokens a server is asked for; OpenAI returns no more."""
WORD = 8
"""Tokens a model that returns no probabilities may take to name an option."""


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
    total = sum(masses)
    if not 0 < total < math.inf:
        raise AnswerError(f"the answer is none of {', '.join(options)}", str(answer.text))
    return {option: mass / total for option, mass in zip(options, masses, strict=True)}


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
    if told := _likeliest(answer.response_metadata.get("logprobs")):
        return {option: _mass(told, option) for option in options}
    said = [word.strip(".,:;*()") for word in split_thoughts(str(answer.text))[0].split()[:1]]
    return {option: 0.0 if [option] == said else None for option in options}


Likeliest = list[tuple[str, float]]
"""Tokens as text with their natural-log probability."""


def _likeliest(told: Any) -> Likeliest:
    """The likeliest tokens at the first place where the answer says anything: of the chat form (`content`, a list of
    places), or of the older one (`tokens`, `token_logprobs`, `top_logprobs`) of TGI, llama.cpp and Together."""
    if not isinstance(told, dict):
        return []
    places = told.get("content")
    if not isinstance(places, list):
        places = _older(told)
    for place in places:
        if isinstance(place, dict) and token_text(place):
            others = place.get("top_logprobs")
            found = [_entry(entry) for entry in others if isinstance(entry, dict)] if isinstance(others, list) else []
            return [entry for entry in found or [_entry(place)] if entry is not None]
    return []


def _older(told: dict[str, Any]) -> list[dict[str, Any]]:
    columns = (told.get(name) or [] for name in ("tokens", "token_logprobs", "top_logprobs"))
    places = []
    for token, logprob, others in zip_longest(*(column if isinstance(column, list) else [] for column in columns)):
        likeliest = (
            [{"token": text, "logprob": said} for text, said in others.items()] if isinstance(others, dict) else []
        )
        places.append({"token": token, "logprob": logprob, "top_logprobs": likeliest})
    return places


def _entry(entry: Mapping[str, Any]) -> tuple[str, float] | None:
    said = entry.get("logprob")
    sound = isinstance(said, int | float) and not isinstance(said, bool) and not math.isnan(said)
    return (token_text(entry), min(0.0, float(said))) if sound else None  # type: ignore[arg-type]


def token_text(entry: Mapping[str, Any]) -> str:
    """A token as text, without white space around it, as servers spell it: its bytes where they are told, `Ġ7` and `▁7`
    of tokenizers, `<0x37>` of single bytes; empty for a control token such as `<|assistant|>`."""
    spelled, data = entry.get("token"), entry.get("bytes")
    text = spelled if isinstance(spelled, str) else ""
    if isinstance(data, list) and data and all(type(byte) is int and 0 <= byte < 256 for byte in data):
        text = bytes(data).decode("utf-8", "replace")
    elif single := _BYTE.fullmatch(text):
        text = chr(int(single[1], 16))
    text = "" if _CONTROL.fullmatch(text.strip()) else text
    return unicodedata.normalize("NFKC", text.strip(_SPACES)).strip()


_BYTE = re.compile(r"<0x([0-7][0-9A-Fa-f])>")
_CONTROL = re.compile(r"<\|?[\w ]{1,40}\|?>")
_SPACES = " \t\r\n\u0120\u010a\u2581\u00a0"
"""White space, also as tokenizers spell it: Ġ, Ċ and ▁."""


def _mass(likeliest: Likeliest, option: str) -> float | None:
    """Tokens that differ from the option by white space alone are the option."""
    found = sum(math.exp(logprob) for text, logprob in likeliest if text == option)
    return math.log(found) if found else None
