"""Scores a candidate with a sequence-classification reward model, such as FsfairX-LLaMA3-RM (Dong et al. 2024).

The checkpoint must be safetensors with one label and a chat template; no remote code is run. It is loaded
once per process, and one answer is scored at a time.

Such a model is trained on differences alone: P(a is preferred to b) = sigmoid(score(a) - score(b)), the
Bradley-Terry model of arXiv 2405.07863, §2. A score's own sign and size mean nothing, so the verdict is
how probably an answer is preferred to the round's other ones, on average. It ranks; that the best answer
is a good one it cannot say.
"""

from __future__ import annotations

import functools
import json
import math
import threading
from collections.abc import Sequence
from typing import Any

from anyprefer.core.conversation import Prompt, text_of, turns_of
from anyprefer.core.errors import InputError, ModelSetupError
from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.models.local.templates import chat_text
from anyprefer.tools.base import Finding, tool

_lock = threading.Lock()
_REMEMBERED = 4096
"""Scores kept, so that every answer of a round is scored once although each is compared with all."""


@tool
def reward_model(
    task: Task,
    candidate: Candidate,
    candidates: Sequence[Candidate] = (),
    *,
    model: str = "sfairXC/FsfairX-LLaMA3-RM-v0.1",
    device: str = "",
    dtype: str = "",
) -> Finding:
    """Compares an answer with the others by a reward model trained on human preferences: helpfulness, honesty, style."""
    with _lock:
        scorer = _loaded(model, device, dtype)
        score = scorer(task.prompt, candidate.text)
        others = [
            known for one in candidates if one != candidate and (known := _or_none(scorer, task, one)) is not None
        ]
    text = f"Reward model score: {score:.3f} (higher is better)."
    if not others:
        return Finding(text, data={"score": score})
    verdict = sum(_sigmoid(score - other) for other in others) / len(others)
    return Finding(f"{text} Preferred to the other answers: {verdict:.0%}.", verdict=verdict, data={"score": score})


@reward_model.preparation
def _load(*, model: str = "sfairXC/FsfairX-LLaMA3-RM-v0.1", device: str = "", dtype: str = "") -> None:
    with _lock:
        _loaded(model, device, dtype)


def _loaded(model: str, device: str, dtype: str) -> _Scorer:
    import torch

    return _Scorer.load(model, device or ("cuda" if torch.cuda.is_available() else "cpu"), dtype or "auto")


def _or_none(scorer: _Scorer, task: Task, other: Candidate) -> float | None:
    """Another answer's score; one that is too long fails in its own turn."""
    try:
        return scorer(task.prompt, other.text)
    except InputError:
        return None


def _sigmoid(difference: float) -> float:
    return 0.5 * (1 + math.tanh(difference / 2))  # no overflow


class _Scorer:
    """A loaded model. Its score is the one logit, any real number."""

    def __init__(self, name: str, device: str, dtype: str) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
            loaded, report = AutoModelForSequenceClassification.from_pretrained(
                name, dtype=dtype, use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise ModelSetupError(f"reward model {name!r} cannot be loaded: {error}") from error
        _check(name, loaded, self._tokenizer, report["missing_keys"])
        self._model: Any = loaded.to(device).eval()
        self._score = functools.lru_cache(_REMEMBERED)(self._compute)

    @classmethod
    @functools.cache
    def load(cls, name: str, device: str, dtype: str) -> _Scorer:
        return cls(name, device, dtype)

    def __call__(self, prompt: Prompt, answer: str) -> float:
        """The logit of the conversation; raises `InputError` when it is longer than the model can read."""
        asked = [{"role": turn["role"], "content": text_of(turn["content"])} for turn in turns_of(prompt)]
        return self._score(json.dumps(asked), answer)

    def _compute(self, asked: str, answer: str) -> float:
        import torch

        ids = self._ids([*json.loads(asked), {"role": "assistant", "content": answer}])
        limit = self._model.config.max_position_embeddings
        if len(ids) > limit:
            raise InputError(f"prompt and answer have {len(ids)} tokens, the reward model reads {limit}")
        with torch.inference_mode():
            logits = self._model(input_ids=torch.tensor([ids], device=self._model.device)).logits  # (1, 1)
        return float(logits[0, 0])

    def _ids(self, chat: list[dict[str, str]]) -> list[int]:
        """The conversation with one start token: FsfairX's model card removes the template's, since its
        tokenizer adds one; where the tokenizer adds none, the template's is kept."""
        text = chat_text(self._tokenizer, chat)
        ids: list[int] = self._tokenizer(text)["input_ids"]
        start = self._tokenizer.bos_token_id
        return ids[1:] if start is not None and ids[:2] == [start, start] else ids


def _check(name: str, loaded: Any, tokenizer: Any, missing: Any) -> None:
    if missing:
        raise ModelSetupError(f"{name!r} is no reward model: it has no trained {', '.join(sorted(missing)[:3])}")
    if loaded.config.num_labels != 1:
        raise ModelSetupError(f"{name!r} is no reward model: it has {loaded.config.num_labels} labels instead of one")
    if not tokenizer.chat_template:
        raise ModelSetupError(f"reward model {name!r} has no chat template")
