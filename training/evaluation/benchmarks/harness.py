"""GSM8K and ARC through lm-evaluation-harness, with the task files in `lm_eval_tasks/`.

    measure("arc_easy", "smollm2", limit=100)

The same files serve lm-eval's own command line (`anyprefer evaluate arc_easy --model smollm2 --print-command`),
and both give the same number. A local model is lm-eval's `hf` model over the same folder, with its adapter through
peft. A served one is asked for answers as a run asks its models (`served_chat.py`), and by lm-eval's own client for likelihoods (ARC) through its completions
endpoint with `echo`, as vLLM has it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from anyprefer.core.errors import AnypreferError, ModelError, ModelSetupError
from anyprefer.core.secrets import redact
from anyprefer.core.settings import RunSettings
from anyprefer.models.load import split_server
from anyprefer.models.local.model_files import model_source
from anyprefer.models.servers.keys import Keys
from anyprefer.training.evaluation.asking import Asking, within_limits
from anyprefer.training.evaluation.benchmarks.base import Asked, Benchmark, BenchmarkResult

TASKS = Path(__file__).parent / "lm_eval_tasks"
OPENAI = "https://api.openai.com/v1"
_CHAT = "local-chat-completions"
"""lm-eval's name of a served chat."""


@dataclass(frozen=True)
class Harness(Benchmark):
    """One lm-eval task."""

    name: str
    description: str
    metric: str
    """lm-eval's name of it."""
    chat: bool
    """Asked through the chat template for an answer; else compared by likelihood, without the template."""
    max_tokens: int
    """Longest answer; 1 where no answer is written."""

    @property
    def budgeted(self) -> bool:
        """lm-eval asks servers for likelihoods by a client of its own."""
        return self.chat

    @property
    def task(self) -> str:
        """lm-eval's name of the task."""
        return f"anyprefer_{self.name}"

    def measure(self, asked: Asked) -> BenchmarkResult:
        """Runs `lm_eval.simple_evaluate` on the first `limit` test rows.

        With a folder, answers are kept there as they come: a killed evaluation resumes from them.
        """
        _check_installed()
        kind, arguments = self._model(asked.model, asked.batch_size)
        if kind == "hf":
            model_source(arguments["pretrained"])  # lm-eval would ask the hub for a minute
        samples = self._run(kind, arguments, asked)
        scores = [float(sample[self.metric]) for sample in samples]
        if asked.folder:
            _keep(samples, asked.folder / f"{self.name}.jsonl")
        others = {name: sum(float(s[name]) for s in samples) / len(samples) for name in self._others(samples[0])}
        longest = asked.max_tokens or self.max_tokens if self.chat else self.max_tokens
        marks = {str(sample["doc_id"]): score == 1 for sample, score in zip(samples, scores, strict=True)}
        return self.result(
            asked, n=len(scores), correct=sum(marks.values()), marks=marks, max_tokens=longest, figures=others
        )

    def command(self, asked: Asked) -> str:
        """The `lm_eval` command that measures the same."""
        kind, arguments = self._model(asked.model, asked.batch_size)
        shown = ",".join(f"{name}={value}" for name, value in arguments.items())
        words = ["lm_eval", "--model", kind, "--model_args", shown, "--include_path", str(TASKS), "--tasks", self.task]
        words += ["--device", _device(), "--batch_size", str(asked.batch_size)] if kind == "hf" else []
        words += ["--apply_chat_template"] if self.chat else []
        words += ["--gen_kwargs", generation] if (generation := self._generation(asked.max_tokens)) else []
        return shlex.join([*words, "--limit", str(asked.limit)] if asked.limit else words)

    def _run(self, kind: str, arguments: dict[str, Any], asked: Asked) -> list[dict[str, Any]]:
        """lm-eval's samples, one a test row."""
        from lm_eval import simple_evaluate
        from lm_eval.tasks import TaskManager

        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        cache = str(asked.folder / f"{self.name}-{_stamp(arguments)}") if asked.folder and kind != _CHAT else None
        try:
            with _sent_key(arguments.get("base_url", ""), asked.settings), self._asked(kind, asked) as model:
                found = simple_evaluate(
                    model=model,
                    model_args=arguments if model is kind else None,
                    tasks=[self.task],
                    task_manager=TaskManager(include_path=str(TASKS), include_defaults=False),
                    batch_size=asked.batch_size if kind == "hf" else 1,
                    device=_device() if kind == "hf" else None,
                    limit=asked.limit,
                    apply_chat_template=self.chat,
                    gen_kwargs=self._generation(asked.max_tokens),
                    use_cache=cache,
                    bootstrap_iters=0,
                )
        except AnypreferError:
            raise
        except Exception as error:  # whatever a model, a server or lm-eval itself raises
            words = redact(f"{type(error).__name__}: {error}")
            raise ModelError(f"{self.name} could not be measured on {asked.model}: {words}") from error
        samples: list[dict[str, Any]] = found["samples"][self.task]
        return samples

    @contextmanager
    def _asked(self, kind: str, asked: Asked) -> Iterator[Any]:
        """The model as lm-eval is given it: a chat is asked through the command's calls."""
        if kind != _CHAT:
            yield kind
            return
        from anyprefer.training.evaluation.benchmarks.served_chat import ServedChat

        model = within_limits(asked.model, asked.settings)
        asking = Asking(model, asked.folder / f"{self.name}.db" if asked.folder else None, asked.calls)
        try:
            yield ServedChat(model, asking, asked.batch_size, asked.seed)
        finally:
            asking.close()

    def _generation(self, max_tokens: int | None) -> str | None:
        return f"max_gen_toks={max_tokens}" if self.chat and max_tokens else None

    def _others(self, sample: dict[str, Any]) -> list[str]:
        return [name for name in sample["metrics"] if name != self.metric]

    def _model(self, spec: str, batch_size: int) -> tuple[str, dict[str, Any]]:
        """lm-eval's name of the model's kind and its arguments. Loads nothing."""
        form, _, rest = spec.partition(":")
        if spec == "smollm2" or (form == "hf" and rest):
            return "hf", _local(rest or spec)
        if form != "openai" or not rest:
            raise ModelSetupError(f"{self.name} cannot measure {spec!r}; use smollm2, hf:ID-or-folder, openai:NAME@URL")
        name, url = split_server(rest)
        if self.chat:
            return _CHAT, {
                "model": name,
                "base_url": f"{url or OPENAI}/chat/completions",
                "num_concurrent": batch_size,
            }
        if not url:
            raise ModelSetupError(
                f"{self.name} compares the likelihoods of given texts, which OpenAI's models do not return; "
                "use hf:ID-or-folder, or openai:NAME@URL of a server with a completions endpoint, such as vLLM"
            )
        return "local-completions", {"model": name, "base_url": f"{url}/completions", "num_concurrent": batch_size}


@contextmanager
def _sent_key(url: str, settings: RunSettings) -> Iterator[None]:
    """lm-eval sends OPENAI_API_KEY to whatever server it asks, so it is the server's own key meanwhile, or none."""
    before = os.environ.get("OPENAI_API_KEY")
    os.environ["OPENAI_API_KEY"] = Keys(settings).of(url) if url else ""
    try:
        yield
    finally:
        del os.environ["OPENAI_API_KEY"]
        if before is not None:
            os.environ["OPENAI_API_KEY"] = before


def _local(spec: str) -> dict[str, Any]:
    """Arguments of lm-eval's `hf` model; an adapter's folder is put on its base."""
    from anyprefer.models.local import smollm2
    from anyprefer.models.local.adapters import adapter_base
    from anyprefer.models.local.weights import default_dtype

    base = adapter_base(spec) or spec
    folder = str(smollm2.smollm2_folder()) if base == smollm2.NAME else base
    device = _device()
    # float32 on a CPU, whatever it multiplies fastest: the figure must not depend on the machine
    dtype = "float32" if device == "cpu" else default_dtype(device)
    return {"pretrained": folder, "dtype": dtype, **({"peft": spec} if base != spec else {})}


def _stamp(arguments: dict[str, Any]) -> str:
    """Of a model and of its files as they are: an adapter that was trained again is another model."""
    folders = [Path(str(arguments[name])) for name in ("pretrained", "peft") if name in arguments]
    files = [file for folder in folders if folder.is_dir() for file in sorted(folder.iterdir())]
    stats = [(file.name, stat.st_size, stat.st_mtime_ns) for file in files for stat in [file.stat()]]
    model = {name: value for name, value in arguments.items() if name != "num_concurrent"}
    return hashlib.sha256(json.dumps([model, stats]).encode()).hexdigest()[:12]


def _device() -> str:
    from anyprefer.models.local.weights import default_device

    return default_device()


def _check_installed() -> None:
    if find_spec("lm_eval") is None:
        raise ModelSetupError("GSM8K and ARC need lm-eval; install it with: pip install 'anyprefer[benchmarks]'")


def _keep(samples: Sequence[dict[str, Any]], file: Path) -> None:
    """One row a task: its number, the row, what the model said or how likely it found each choice, the marks."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as lines:
        for sample in samples:
            row = {
                "id": sample["doc_id"],
                "doc": sample["doc"],
                "said": sample["filtered_resps"],
                **{name: sample[name] for name in sample["metrics"]},
            }
            lines.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
