"""Scores a candidate with a sequence-classification reward model, such as FsfairX-LLaMA3-RM (Xiong et al. 2024).

The checkpoint must be safetensors with one label and a chat template; no remote code is run. It is loaded
once per process, and one answer is scored at a time.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

from anyprefer.graph.errors import InputError, ModelSetupError
from anyprefer.graph.state import Candidate, Task
from anyprefer.tools.base import Finding, tool

_lock = threading.Lock()


@tool
def reward_model(
    task: Task,
    candidate: Candidate,
    *,
    model: str = "sfairXC/FsfairX-LLaMA3-RM-v0.1",
    device: str = "",
    dtype: str = "",
) -> Finding:
    """Scores an answer with a reward model trained on human preferences: helpfulness, honesty, style."""
    import torch

    with _lock:
        score = _Scorer.load(model, device or ("cuda" if torch.cuda.is_available() else "cpu"), dtype or "auto")(
            task.prompt, candidate.text
        )
    verdict = float(torch.sigmoid(torch.tensor(score)))
    return Finding(f"Reward model score: {score:.3f} (higher is better).", verdict=verdict, data={"score": score})


class _Scorer:
    """A loaded model. Its score is the one logit, any real number; the tool's verdict is its sigmoid."""

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

    @classmethod
    @functools.cache
    def load(cls, name: str, device: str, dtype: str) -> _Scorer:
        return cls(name, device, dtype)

    def __call__(self, prompt: str, answer: str) -> float:
        """The logit of the conversation; raises `InputError` when it is longer than the model can read."""
        import torch

        chat = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
        text = self._tokenizer.apply_chat_template(chat, tokenize=False)
        # The tokenizer adds its own start token; FsfairX's model card removes the template's.
        text = text.removeprefix(self._tokenizer.bos_token or "")
        inputs = self._tokenizer(text, return_tensors="pt").to(self._model.device)
        length, limit = inputs["input_ids"].shape[1], self._model.config.max_position_embeddings
        if length > limit:
            raise InputError(f"prompt and answer have {length} tokens, the reward model reads {limit}")
        with torch.inference_mode():
            return float(self._model(**inputs).logits[0, 0])  # logits: (1, 1)


def _check(name: str, loaded: Any, tokenizer: Any, missing: Any) -> None:
    if missing:
        raise ModelSetupError(f"{name!r} is no reward model: it has no trained {', '.join(sorted(missing)[:3])}")
    if loaded.config.num_labels != 1:
        raise ModelSetupError(f"{name!r} is no reward model: it has {loaded.config.num_labels} labels instead of one")
    if not tokenizer.chat_template:
        raise ModelSetupError(f"reward model {name!r} has no chat template")
