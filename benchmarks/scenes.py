"""What the built models that see know: questions, descriptions and the detector on held-out scenes.

    anyprefer build scenes scenes-1 scenes-2 scene_detector
    python -m benchmarks.scenes scenes scenes-1 scenes-2 --scenes 500 --json scenes.json

Every question and description is asked as a user would (`LocalChat`); intervals are over scenes, 95%.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import Any

from anyprefer.core.results import EvalResult
from anyprefer.core.task import Task
from anyprefer.models.load import load_model
from anyprefer.models.local.built import DETECTOR, built_folder
from anyprefer.models.traits import unload
from anyprefer.training.evaluation.evaluate import evaluate
from anyprefer.training.evaluation.families import FAMILIES
from anyprefer.training.evaluation.figures import figures
from anyprefer.training.scenes.captions import caption

OF_A_SCENE = 6
"""Questions of `scenes_pope` about one picture."""


def target(name: str, scenes: int) -> dict[str, dict[str, str]]:
    """Questions answered greedily, descriptions greedily and at temperature 1."""
    model = load_model(name)
    asked = {
        "questions": ("scenes_pope", scenes * OF_A_SCENE, 0.0),
        "described": ("scenes", scenes, 0.0),
        "described, T=1": ("scenes", scenes, 1.0),
    }
    found = {}
    for what, (family, count, temperature) in asked.items():
        tasks = FAMILIES[family].make(count, 0, "heldout")
        found[what] = figures(_evaluated(model, family, tasks, temperature))
        print(name, what, json.dumps(found[what], indent=1), flush=True)
    unload(model)
    return found


def _evaluated(model: Any, family: str, tasks: list[Task], temperature: float) -> EvalResult:
    one = FAMILIES[family]
    return asyncio.run(
        evaluate(
            model, tasks, one.is_correct, tally=one.tally, metrics=one.metrics, max_tokens=64, temperature=temperature
        )
    )


def detector(scenes: int) -> dict[str, str]:
    """What the detector sees, as if it were a description, marked by the same rule."""
    from anyprefer.core.pictures import opened
    from anyprefer.models.local.scene_detector import load_detector

    found, one = load_detector(built_folder(DETECTOR)), FAMILIES["scenes"]
    tasks = one.make(scenes, 0, "heldout")
    said = {task.id: caption([seen.label for seen in found.detect(opened(task.images[0]))]) for task in tasks}
    assert one.tally is not None
    tallies = {task.id: dict(one.tally(task, said[task.id])) for task in tasks}
    marks = {task.id: one.is_correct(task, said[task.id]) for task in tasks}
    result = EvalResult.of(DETECTOR, marks).model_copy(update={"tallies": tallies, "metrics": dict(one.metrics)})
    return figures(result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="scenes, scenes-1, …")
    parser.add_argument("--scenes", type=int, default=500, help="held-out pictures")
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args()
    begun = time.process_time()
    found: dict[str, Any] = {DETECTOR: detector(given.scenes)}
    print(DETECTOR, json.dumps(found[DETECTOR], indent=1), flush=True)
    found |= {name: target(name, given.scenes) for name in given.names}
    found["cpu_seconds"] = round(time.process_time() - begun)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
