"""The embedded demonstration: SmolLM2-135M gets better at sums and facts, with no key and no GPU.

    anyprefer demo

Real tools, the evidence judge (rules over tool verdicts, no model), DPO with LoRA, and held-out tasks
measured before and after each iteration. An iteration plays tasks of its own; held-out tasks share no
entity with any of them and were not used to choose these settings (docs/experiments.md).
"""

from __future__ import annotations

from anyprefer.core.roles import Evaluate
from anyprefer.training.applications.application import load_application
from anyprefer.training.loop.iterate import Plan

APPLICATION, SCALE = "natural-language", "demo"


def demo(tasks: int = 130, heldout: int = 200, iterations: int = 2, seed: int = 0) -> tuple[Plan, Evaluate]:
    """What `iterate` plays and measures: the application's scale `demo`, at another size.

    `tasks` of each family in each iteration (facts has 267 in all), `heldout` tasks of each family.
    """
    app = load_application(APPLICATION).with_tasks(SCALE, tasks).with_iterations(SCALE, iterations)
    settings = app.settings(SCALE, seed=seed)
    plan = Plan(settings, app.trainer(SCALE), iterations, lambda number: app.tasks(SCALE, number, seed))
    return plan, app.evaluation(SCALE, settings, heldout)
