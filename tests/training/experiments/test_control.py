"""The application `control` end to end with a policy that has learnt nothing: start states, rollouts, costs, a pair, a step
of training, trials; and gone on with after it was killed."""

import json

import pytest

from anyprefer.graph import Synthesis
from anyprefer.graph.players import assemble
from anyprefer.models.policies.lock_step import LockStep
from anyprefer.models.policies.small import SmallPolicy
from anyprefer.models.simulators.scene_table import SCENES
from anyprefer.training.applications.application import load_application
from anyprefer.training.applications.arms import arm
from anyprefer.training.experiments.lab import Lab
from anyprefer.training.experiments.reproduce import reproduce

pytestmark = pytest.mark.slow
WORDS = sorted({word for scene in SCENES.values() for text in scene.instructions for word in text.split()})


@pytest.fixture
def app(tmp_path, monkeypatch):
    """Pairs by costs alone, for nothing succeeds; one round of three candidates, one iteration."""
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    SmallPolicy.new(WORDS).save(tmp_path / "policy")
    app = load_application("control")
    scale = app.scale("embedded")
    settings = {**scale.settings, "candidates": 3, "max_rounds": 1, "pair": "best_worst"}
    changed = {"target": f"policy:small:{tmp_path / 'policy'}", "settings": settings, "training": {"epochs": 1}}
    scale = scale.model_copy(update={**changed, "iterations": 1, "arms": {}})
    return app.model_copy(update={"scales": {"embedded": scale}})


@pytest.fixture
def played(monkeypatch):
    """The episodes that were played."""
    episodes, play = [], LockStep.play
    monkeypatch.setattr(LockStep, "play", lambda self, *given: episodes.extend(given[1]) or play(self, *given))
    return episodes


def test_an_iteration_goes_round_and_stands_in_table_13(app, played, tmp_path):
    lab = Lab(app, "embedded", tmp_path / "lab", tasks=2, heldout=2)
    ours = lab.run(arm("anyprefer"), 0, 1)
    before, after = ours.iterations
    assert after.counts["accepted"] == 2
    assert after.target.startswith(f"policy:small:{tmp_path / 'lab'}")
    assert [one.results["control"].n for one in (before, after)] == [2, 2]
    assert after.results["control"].temperature == 1.0
    assert len(list((ours.folder / "iteration-1" / "control-failures").iterdir())) == 2
    assert len(played) == 2 * 3 + 2 * 2
    text = reproduce(["table13", "table14"], lab, (0,), play=False).read_text(encoding="utf-8")
    for said in ("| Before |", "success carrot", "grasp eggplant", "Answers sampled at T = 1", "RT-1", "OpenVLA-SFT"):
        assert said in text
    assert "no model that sees judges trajectories here" in text
    assert len(played) == 10


def test_finished_rollouts_are_not_played_again_after_a_kill(app, played, tmp_path):
    tasks, settings = app.with_tasks("embedded", 4).tasks("embedded"), app.settings("embedded", concurrency=1)

    def killed(row):
        if row.id == tasks[1].id:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Synthesis(settings, tmp_path / "run", assemble(settings)).play(tasks, killed)
    before = {(episode.start, episode.simulator, episode.seed) for episode in played}
    assert len(before) == len(played) >= 6
    Synthesis(settings, tmp_path / "run", assemble(settings)).play(tasks)
    assert len({(episode.start, episode.simulator, episode.seed) for episode in played}) == 12
    assert len(played) <= 12 + 3
    assert sum(json.loads((tmp_path / "run" / "run.json").read_text())["counts"].values()) == 4
