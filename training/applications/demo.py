"""The embedded demonstration: SmolLM2-135M gets better at sums and facts, with no key and no GPU.

    anyprefer demo

Real tools, the evidence judge (rules over tool verdicts, no model), DPO with LoRA, and held-out tasks
measured before and after each iteration. An iteration plays tasks of its own; held-out tasks share no
entity with any of them and were not used to choose these settings (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from langchain_core.language_models import BaseChatModel

from anyprefer.core.background_loop import run_blocking
from anyprefer.core.task import Task
from anyprefer.training.applications.application import load_application
from anyprefer.training.evaluation.benchmarks.own_families import MAX_TOKENS
from anyprefer.training.evaluation.evaluate import EvalResult, evaluate
from anyprefer.training.evaluation.families import FAMILIES, Family
from anyprefer.training.loop.iterate import Plan

APPLICATION, SCALE = "natural-language", "demo"


@dataclass(frozen=True)
class Demo:
    """How large the demonstration is."""

    tasks: int = 130
    """Tasks of each family in each iteration; facts has 267 in all."""
    heldout: int = 200
    """Held-out tasks of each family."""
    iterations: int = 2
    seed: int = 0

    def plan(self) -> Plan:
        """What `iterate` plays: the application's scale `demo`."""
        app = load_application(APPLICATION)
        settings = app.settings(SCALE, seed=self.seed)
        return Plan(settings, app.training(SCALE, seed=self.seed), self.iterations, self.train_tasks)

    def train_tasks(self, iteration: int) -> list[Task]:
        """The iteration's own share of each family's training split."""
        start = (iteration - 1) * self.tasks
        return [
            task
            for family in self.families()
            for task in family.make(self.tasks * self.iterations, self.seed, "train")[start : start + self.tasks]
        ]

    def evaluate(self, model: BaseChatModel, iteration: int, home: Path) -> Mapping[str, EvalResult]:
        """Greedy answers to the held-out tasks of every family, kept in `home`."""
        return {
            family.name: run_blocking(
                evaluate(
                    model,
                    family.make(self.heldout, self.seed, "heldout"),
                    family.is_correct,
                    max_tokens=MAX_TOKENS,
                    seed=self.seed,
                    answers=home / f"heldout-{family.name}.jsonl",
                )
            )
            for family in self.families()
        }

    @staticmethod
    def families() -> list[Family]:
        """What is played and measured: families that come with the package."""
        return [FAMILIES[source.family] for source in load_application(APPLICATION).scale(SCALE).sources]
