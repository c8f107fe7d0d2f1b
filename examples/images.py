"""Images: rendered scenes are described, and rules of colour and contour look for what each description names.

python examples/images.py               # the target below, no model
python examples/images.py scenes        # the embedded model that sees, after `anyprefer build scenes`
"""

import sys
from collections.abc import Sequence

from anyprefer import Task, synth
from anyprefer.training.evaluation.scene_families import scenes


class Describer:
    """Stands in for a model that sees: with every second seed it says what is there."""

    name = "describer"

    async def sample(self, task: Task, prompt: str, seeds: Sequence[int]) -> list[str]:
        """One description a seed."""
        return [task.reference["answer"] if seed % 2 else "a white ring and a pink cross." for seed in seeds]


TARGET = sys.argv[1] if len(sys.argv) > 1 else Describer()
PLAYERS = {"target": TARGET, "judge": "evidence", "tools": ["scene_rules"]}

# the rules see about two of three objects, so no answer is ever fully right by them: τ = 5
for row in synth(scenes(3, 0, "train"), **PLAYERS, threshold=5, folder="runs/scenes"):
    print(row.id, row.outcome, row.reason)
    if row.pair:
        print("  chosen:  ", row.pair.chosen, "\n  rejected:", row.pair.rejected)
