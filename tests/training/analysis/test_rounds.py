import json

import numpy as np
import pytest

from anyprefer.core.errors import InputError
from anyprefer.core.results import EvalResult
from anyprefer.core.values import derive_seed
from anyprefer.training.analysis.analyse import analyse
from anyprefer.training.analysis.reward_over_iterations import correlation, read_rounds
from tests.scripted import Scripted, a_task, play


def evaluated(home, right):
    result = EvalResult(model="m", n=100, correct=right, seed=0, temperature=0, max_tokens=24)
    home.mkdir(parents=True, exist_ok=True)
    (home / "evaluation.json").write_text(json.dumps({"sums": result.model_dump(mode="json")}))


async def a_loop(folder, *iterations):
    """Iterations of (R of the first round, R of the second, right answers after it)."""
    evaluated(folder / "base", 10)
    for number, (first, second, right) in enumerate(iterations, 1):
        home = folder / f"iteration-{number}"
        model = Scripted(reward=[f"{first}/10", f"{second}/10"] * 4)
        tasks = [a_task(f"question {number} {i}", id=str(i)) for i in range(4)]
        await play(model, *tasks, folder=home / "pairs", max_rounds=2, threshold=7)
        evaluated(home, right)
    return folder


async def test_rewards_and_accuracies_of_each_iteration(tmp_path):
    loop = await a_loop(tmp_path / "loop", (3, 7, 20), (5, 8, 40), (6, 9, 50))
    rounds = read_rounds(loop)
    assert [one.reward and (one.reward.mean, one.reward.n) for one in rounds] == [None, (7, 4), (8, 4), (9, 4)]
    assert [one.results["sums"].correct for one in rounds] == [10, 20, 40, 50]
    assert [one.reward and one.reward.mean for one in read_rounds(loop, every=True)] == [None, 5, 6.5, 7.5]
    found = correlation(rounds, "sums")
    assert (found.n, found.spearman) == (3, pytest.approx(1))
    assert found.pearson == pytest.approx(0.982, abs=1e-3)


async def test_an_iterated_run_in_a_report(tmp_path):
    loop = await a_loop(tmp_path / "loop", (3, 7, 20), (5, 8, 40))

    def encode(texts):
        return np.stack([np.random.default_rng(derive_seed(text)).normal(size=6) for text in texts])

    report = analyse([loop], out=tmp_path / "out", components=2, encoder=encode)
    text = report.read_text(encoding="utf-8")
    assert "iteration-1/pairs" in text
    assert "| iteration 2 | 8.00 [8.00, 8.00] (n = 4) | 40.0% [30.9%, 49.8%] (n = 100) |" in text
    assert "R and accuracy on sums: 2 iterations are too few for a correlation" in text
    assert (report.parent / "rounds-1-lines.png").exists()
    with pytest.raises(InputError, match="is no folder of `anyprefer iterate`"):
        read_rounds(tmp_path)
