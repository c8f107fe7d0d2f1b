"""Benchmarks of free answers about images, marked by a judge in another package, lmms-eval.

It asks the model by itself, so no budget of ours holds, and takes the judge's key from its own variables
(OPENAI_API_KEY). Local models are those that its `llava_hf` loads; serve others.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from anyprefer.core.errors import InputError, ModelError
from anyprefer.core.secrets import redact
from anyprefer.models.load import split_server
from anyprefer.training.evaluation.benchmarks.base import Asked, Benchmark, BenchmarkResult


@dataclass(frozen=True)
class JudgedElsewhere(Benchmark):
    """One such benchmark; `accuracy` is undefined, its figure is the package's score / 100."""

    name: str
    description: str
    task: str
    """lmms-eval's name of it."""
    figure: str
    """lmms-eval's metric, 0..100."""
    metric: str = "judge's score"

    @property
    def budgeted(self) -> bool:
        """The package keeps none."""
        return False

    def check(self) -> None:
        """lmms-eval must be installed."""
        if find_spec("lmms_eval") is None:
            raise InputError(
                f"{self.name} is marked by a judge through lmms-eval, which is not installed: pip install lmms_eval, or "
                "leave this benchmark out (VLMEvalKit has it too); those without a judge need neither"
            )

    def measure(self, asked: Asked) -> BenchmarkResult:
        """Runs lmms-eval's command. Raises `InputError` where it is not installed, `ModelError` where it fails."""
        self.check()
        with TemporaryDirectory() as folder:
            command = [*self._command(asked), "--output_path", str(asked.folder or folder), "--log_samples"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise ModelError(f"{self.name}: lmms-eval ended with {done.returncode}: {redact(done.stderr[-500:])}")
            score = self._score(Path(asked.folder or folder))
        return self.result(asked, n=0, correct=0, figures={self.figure: score / 100})

    def command(self, asked: Asked) -> str:
        """lmms-eval's command."""
        return " ".join(self._command(asked))

    def _command(self, asked: Asked) -> Sequence[str]:
        name, url = split_server(asked.model.removeprefix("openai:"))
        served = asked.model.startswith("openai:")
        kind, given = ("openai", f"model_version={name},base_url={url}") if served else ("llava_hf", _pretrained(asked))
        words = [sys.executable, "-m", "lmms_eval", "--model", kind, "--model_args", given, "--tasks", self.task]
        return [*words, *(["--limit", str(asked.limit)] if asked.limit else [])]

    def _score(self, folder: Path) -> float:
        """The figure in the newest results file."""
        files = sorted(folder.rglob("*results.json"), key=lambda file: file.stat().st_mtime)
        if not files:
            raise ModelError(f"{self.name}: lmms-eval wrote no results in {folder}")
        found: dict[str, Any] = json.loads(files[-1].read_text(encoding="utf-8"))["results"][self.task]
        return next(float(value) for name, value in found.items() if name.partition(",")[0] == self.figure)


def _pretrained(asked: Asked) -> str:
    return f"pretrained={asked.model.removeprefix('hf:')}"
