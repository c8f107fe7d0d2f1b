"""The application `vision` end to end with a toy of its target: built, sampled, trained, evaluated, reported."""

import pytest

from anyprefer.training.applications.application import load_application
from anyprefer.training.applications.arms import arm
from anyprefer.training.bases.by_name import ensure
from anyprefer.training.experiments.lab import Lab
from anyprefer.training.experiments.reproduce import reproduce

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    ensure("scenes-0", steps=10)
    return Lab(load_application("vision"), "embedded", tmp_path / "lab", tasks=8, heldout=6)


def test_a_toy_goes_round_the_loop_and_stands_in_table_7(lab):
    ours = lab.run(arm("self-rewarding"), 0, 1)
    assert ours.iterations[1].counts["accepted"] >= 6
    assert set(ours.iterations[0].results) == {"scenes", "scenes_pope", "scenes_pope_described"}
    assert ours.iterations[0].target == "scenes-0"
    assert (ours.folder / "iteration-1" / "adapter" / "adapter_model.safetensors").exists()
    noised = lab.run(arm("povid-noised"), 0, 1)
    row = next(lines for lines in (noised.pairs(1) / "pairs.jsonl").read_text(encoding="utf-8").splitlines())
    assert " and a " in row  # the gold caption is chosen
    text = reproduce(["table7"], lab, (0,), play=False).read_text(encoding="utf-8")
    assert "CHAIR-i ↓" in text
    assert "seed 0" in text
    assert "writes no judgments" in text
    assert "85.9" in text  # the paper's POPE
