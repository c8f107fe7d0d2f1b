"""A trainer of that target: `trainer = "picks"`."""

from collections.abc import Sequence
from pathlib import Path

from anyprefer.core.roles import Trainer
from anyprefer.core.settings import RunSettings
from anyprefer.training.pair_data.read import load_pairs


class Picks(Trainer):
    """What was chosen is all that the next target says."""

    name = "picks"

    def train(self, pairs: Sequence[Path], start: str, output: Path, seed: int) -> str:
        """A file of the chosen answers, each once."""
        chosen = dict.fromkeys(pair["chosen"][0]["content"] for pair in load_pairs(*pairs))
        output.mkdir(parents=True, exist_ok=True)
        (output / "answers.txt").write_text("\n".join(chosen) + "\n", encoding="utf-8")
        return str(output / "answers.txt")

    def target(self, checkpoint: str, played: RunSettings) -> str:
        """The same target with the other file."""
        return f"canned:{checkpoint}"
