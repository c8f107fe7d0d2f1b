"""Your own judge: any code that gives each answer a number. This one wants exactly six words.

python examples/your_judge.py            # SmolLM2 answers; or give another model
"""

import sys

from anyprefer import GameState, Judge, Judgment, synth


class SixWords(Judge):
    """Minus how many words there are too many or too few."""

    name = "six words"
    rated_by = "accept"  # the reward: every pair that is formed is taken

    async def score(self, state: GameState) -> list[Judgment]:
        """0 is best."""
        words = {one.index: len(one.text.split()) for one in state["candidates"]}
        return [Judgment(candidate=at, score=-abs(n - 6), analysis=f"{n} words.") for at, n in words.items()]


TASKS = [f"Describe {thing} in exactly six words." for thing in ("the sea", "a winter morning", "an old train")]
TARGET = sys.argv[1] if len(sys.argv) > 1 else "smollm2"

for row in synth(TASKS, target=TARGET, judge=SixWords(), tools=[], max_new_tokens=24, folder="runs/six-words"):
    if row.pair:
        print(f"{row.pair.chosen_score:g}: {row.pair.chosen}\n{row.pair.rejected_score:g}: {row.pair.rejected}\n")
