"""Trainers and evaluations by name, as settings, applications and flags name them."""

from pathlib import Path

import pytest

from anyprefer.core.errors import SettingsError, TrainingError
from anyprefer.graph import RunSettings
from anyprefer.graph.players import load_target
from anyprefer.training.evaluation.heldout import evaluation
from anyprefer.training.trainers.by_name import TRAINERS, trainer
from tests.command_line import refused, run

MINE = """
from pydantic import BaseModel, ConfigDict
from anyprefer import EvalResult, Trainer

class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    power: int = 1

class Fit(Trainer):
    name = "fit"
    settings_type = Options
    def train(self, pairs, start, output, seed):
        output.mkdir(parents=True)
        (output / "told").write_text(f"{[str(p) for p in pairs]} {start} {self.settings.power} {seed}")
        return f"mine.py:Player:{output}"

class Player:
    name = "player"
    def __init__(self, checkpoint=""):
        self.checkpoint, self.steps = checkpoint, []
    def open(self):
        self.steps.append("open")
    async def close(self):
        self.steps.append("close")
    async def sample(self, task, prompt, seeds):
        return [str(seed) for seed in seeds]

class Plain:
    name = "plain"
    async def sample(self, task, prompt, seeds):
        return []

def half(target, iteration, folder):
    return {"half": EvalResult.of(target.name, {"a": True, "b": False})}

nothing = 5
"""


@pytest.fixture(autouse=True)
def _mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)
    Path("pairs.jsonl").write_text("{}\n")


def test_the_built_in_trainer_is_listed_and_misspelt_names_are_answered():
    assert "text_dpo" in TRAINERS.names()
    with pytest.raises(TrainingError, match=r"unknown trainer 'text_dpp'.*did you mean 'text_dpo'"):
        trainer("text_dpp")
    with pytest.raises(TrainingError, match="unknown training setting 'epoch'; did you mean 'epochs'"):
        trainer("text_dpo", {"epoch": 1})
    with pytest.raises(TrainingError, match=r"unknown preset 'embeded'.*did you mean 'embedded'"):
        trainer("text_dpo", preset="embeded")
    with pytest.raises(TrainingError, match=r"trainer 'mine\.py:Player' is no subclass of anyprefer"):
        trainer("mine.py:Player")


def test_a_trainer_of_ones_own_takes_its_own_settings():
    assert trainer("mine.py:Fit", {"power": 3}).settings.power == 3
    with pytest.raises(TrainingError, match="unknown setting of trainer fit 'powr'; did you mean 'power'"):
        trainer("mine.py:Fit", {"powr": 3})
    with pytest.raises(TrainingError, match="setting of trainer fit 'power'"):
        trainer("mine.py:Fit", {"power": "much"})


def test_train_uses_the_trainer_that_is_named():
    words = ("train", "pairs.jsonl", "--base", "mine.py:Player", "--trainer", "mine.py:Fit", "--out", "made")
    done = run(*words, "--trainer-option", "power=2", "--seed", 4)
    assert done.exit_code == 0, done.output
    assert Path("made/told").read_text() == "['pairs.jsonl'] mine.py:Player 2 4"
    assert "--target mine.py:Player:made" in done.output
    assert "unknown setting of trainer fit 'beta'" in refused(run(*words[:-1], "other", "--beta", 0.3))
    assert "SETTING=VALUE" in refused(run(*words[:-1], "other", "--trainer-option", "power"))
    assert "no estimate for trainer fit" in refused(run(*words[:-1], "other", "--estimate"))


def test_a_target_of_ones_own_is_made_with_its_checkpoint():
    assert load_target("mine.py:Player:runs/a:1/w.json", RunSettings()).checkpoint == "runs/a:1/w.json"
    assert load_target("mine.py:Player", RunSettings()).checkpoint == ""
    with pytest.raises(SettingsError, match=r"target 'mine.py:Plain' takes no argument: 'w.json'"):
        load_target("mine.py:Plain:w.json", RunSettings())


def test_an_evaluation_of_ones_own_is_given_the_target(tmp_path):
    player = load_target("mine.py:Player", RunSettings())
    assert evaluation(["mine.py:half"], RunSettings())(player, 1, tmp_path)["half"].accuracy == 0.5
    with pytest.raises(SettingsError, match=r"mine.py:nothing is no function of \(target, iteration, folder\)"):
        evaluation(["mine.py:nothing"], RunSettings())
    with pytest.raises(TrainingError, match="sums asks a language model, and target player is none"):
        evaluation(["sums"], RunSettings())(player, 1, tmp_path)


def test_a_run_opens_its_target_before_the_first_task_and_closes_it_after_the_last():
    from anyprefer.graph import synth

    player = load_target("mine.py:Player", RunSettings())
    list(synth(["q"], target=player, max_rounds=1))
    assert player.steps == ["open", "close"]
