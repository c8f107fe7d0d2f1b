"""AlpacaEval's judge, asked as a run asks its models: limits, retries, and answers kept as they come."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import convert_to_messages

from anyprefer.core.background_loop import run_blocking
from anyprefer.core.errors import AnypreferError, ModelError, ModelSetupError
from anyprefer.core.secrets import redact
from anyprefer.core.settings import RunSettings
from anyprefer.core.values import stable_hash
from anyprefer.models.ask import call
from anyprefer.models.load import split_server
from anyprefer.models.servers.keys import OPENAI, Keys
from anyprefer.training.evaluation.asking import Asking, within_limits
from anyprefer.training.evaluation.benchmarks.base import Asked

_PROBABILITIES = {"logprobs": True, "top_logprobs": 5}
log = logging.getLogger("anyprefer")

Rows = list[dict[str, Any]]


def check_judge(spec: str, settings: RunSettings) -> None:
    """Raises `ModelSetupError` for a judge of another form, or OpenAI's without a key."""
    form, _, rest = spec.partition(":")
    if form != "openai" or not rest:
        raise ModelSetupError(f"the judge of alpaca_eval must be openai:NAME or openai:NAME@URL, not {spec!r}")
    if not split_server(rest)[1] and not Keys(settings).of(OPENAI):
        raise ModelSetupError(f"judge {spec} needs OPENAI_API_KEY; or give another: openai:NAME@URL")


def verdicts(ours: Rows, theirs: Rows, folder: Path, asked: Asked) -> Rows:
    """AlpacaEval's annotations: `preference` is 1 where the reference is better for sure, 2 where the model is."""
    config = folder / "alpaca_eval_judge.yaml"
    config.write_text(json.dumps({asked.judge: _annotator()}, indent=2) + "\n", encoding="utf-8")
    model = within_limits(asked.judge, asked.settings, "judge")
    asking = Asking(model, folder / "alpaca_eval_judge.db", asked.calls)
    try:
        from alpaca_eval.annotators import PairwiseAnnotator

        annotator = PairwiseAnnotator(
            annotators_config=config,
            seed=asked.seed,
            caching_path=None,  # answers are kept as they come, by us
        )
        annotator.annotators[asked.judge].fn_completions = partial(_judgements, model, asking)
        found: Rows = annotator.annotate_head2head(outputs_1=theirs, outputs_2=ours)
    except AnypreferError:
        raise
    except Exception as error:  # whatever alpaca_eval raises
        words = redact(f"{type(error).__name__}: {error}")
        raise ModelError(f"the judge {asked.judge} could not be asked: {words}") from error
    finally:
        asking.close()
    if not any(map(is_read, found)):
        raise ModelError(
            f"no verdict of the judge {asked.judge} could be read; does its server return log-probabilities?"
        )
    return found


def is_read(verdict: dict[str, Any]) -> bool:
    """Whether the judge's answer was a verdict."""
    return verdict["preference"] is not None and not math.isnan(verdict["preference"])


def _judgements(model: BaseChatModel, asking: Asking, prompts: Sequence[str], **ignored: Any) -> dict[str, list[Any]]:
    """The judge's answers as alpaca_eval takes them, through our own call path instead of alpaca_eval's client."""
    from alpaca_eval.utils import prompt_to_chatml

    async def one(prompt: str) -> Any:
        messages = [(turn["role"], turn["content"]) for turn in prompt_to_chatml(prompt)]
        # the probabilities are read, nothing is drawn
        sampling = {"temperature": 1.0, "max_tokens": 1}
        try:
            said = await call(model, convert_to_messages(messages), "judge", _PROBABILITIES, **sampling)
        except ModelSetupError:
            raise
        except ModelError as error:
            log.warning("%s", error)
            return ""  # no verdict
        told = said.response_metadata.get("logprobs")
        return {"logprobs": told, "text": said.text} if told else ""

    found = run_blocking(asking.all((str(stable_hash(prompt)), partial(one, prompt)) for prompt in prompts))
    nothing = [0.0] * len(found)
    return {"completions": found, "completions_all": found, "price_per_example": nothing, "time_per_example": nothing}


def _annotator() -> dict[str, Any]:
    """`weighted_alpaca_eval_gpt4_turbo`, AlpacaEval 2.0's annotator, asked by `_judgements`. JSON is YAML."""
    from alpaca_eval.constants import EVALUATORS_CONFIG_DIR

    return {
        "prompt_template": str(EVALUATORS_CONFIG_DIR / "alpaca_eval_clf_gpt4_turbo" / "alpaca_eval_clf.txt"),
        "fn_completion_parser": "logprob_parser",
        "completion_parser_kwargs": {"numerator_token": "m", "denominator_tokens": ["m", "M"], "is_binarize": False},
        "completion_key": "completions_all",
        "batch_size": 1,
    }
