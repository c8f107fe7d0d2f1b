"""Who plays a role: strings of the settings, names of registered players with or without an argument, own classes."""

from pathlib import Path

import pytest

from anyprefer.core.errors import ModelSetupError, SettingsError
from anyprefer.graph import load_settings
from anyprefer.graph.players import assemble
from anyprefer.nodes.engines.none import NoEngine
from anyprefer.nodes.engines.textgrad import TextGrad
from anyprefer.nodes.judges.evidence import EvidenceJudge
from anyprefer.nodes.judges.listwise import ListwiseJudge
from anyprefer.nodes.judges.pointwise import PointwiseJudge
from anyprefer.nodes.rewards.evidence import EvidenceReward
from anyprefer.nodes.rewards.expected import ExpectedReward
from anyprefer.nodes.rewards.model import ChatReward
from anyprefer.nodes.targets.chat import ChatTarget
from tests.scripted import Scripted

SERVED = "openai:m@http://127.0.0.1:9/v1"
OTHER = "openai:other@http://127.0.0.1:9/v1"
MINE = """
class Plain:
    name = "plain"
    def __init__(self, settings):
        self.seed = settings.seed
    def sample(self, task, prompt, seeds):
        return [str(seed) for seed in seeds]

class Told(Plain):
    def __init__(self, argument):
        self.argument = argument

class Needs(Plain):
    def __init__(self, start):
        self.start = start

instance = Plain.__new__(Plain)
"""


def players(**values):
    return assemble(load_settings(**{"tools": (), "target": SERVED, **values})[0])


@pytest.fixture
def mine(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(MINE)
    return str(tmp_path / "mine.py")


def test_a_name_alone_is_played_by_the_judges_model():
    made = players(judge=OTHER, judge_form="pointwise", reward="expected", engine="textgrad")
    assert (type(made.judge), type(made.reward), type(made.engine)) == (PointwiseJudge, ExpectedReward, TextGrad)
    assert made.judge.model is made.reward.model is made.engine.model is not made.target.model


def test_a_name_with_a_model_is_played_by_that():
    made = players(target=f"chat:{SERVED}", judge=OTHER, reward=f"model:{SERVED}", engine="none")
    assert (type(made.target), type(made.judge), type(made.engine)) == (ChatTarget, ListwiseJudge, NoEngine)
    assert made.reward.model is made.target.model
    assert made.judge.name == "other"


def test_what_a_judge_says_of_reward_and_engine_holds_where_the_settings_say_nothing():
    rules = players(judge="evidence")
    assert (type(rules.judge), type(rules.reward), type(rules.engine)) == (EvidenceJudge, EvidenceReward, NoEngine)
    writes = players(judge="target")
    assert (type(writes.reward), type(writes.engine)) == (ChatReward, TextGrad)
    given = assemble(load_settings(tools=())[0], target=Scripted(), judge=EvidenceJudge())
    assert type(given.reward) is EvidenceReward


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"judge": "pointwise"}, SettingsError, "judge 'pointwise' is played by a model, .*; name it: judge = MODEL, judge_form = 'pointwise'"),
        ({"judge": SERVED, "judge_form": "evidence"}, SettingsError, "judge 'evidence' takes no model"),
        ({"judge": "evidence:strict"}, SettingsError, "judge 'evidence' takes no argument: 'strict'"),
        ({"judge": SERVED, "judge_form": "listwize"}, SettingsError, "unknown judge 'listwize'.*did you mean 'listwise'"),
        ({"engine": "textgrd"}, ModelSetupError, "unknown engine 'textgrd'; did you mean 'textgrad'"),
        ({"reward": "textgrad"}, ModelSetupError, r"unknown reward 'textgrad' \(only as engine\)"),
    ],
)  # fmt: skip
def test_what_cannot_play_a_role_is_told_why(values, error, words):
    with pytest.raises(error, match=words):
        players(**values)


def test_ones_own_class_is_made_with_what_it_names(mine):
    assert players(target=f"{mine}:Plain", seed=7).target.seed == 7
    assert players(target=f"{mine}:instance").target.name == "plain"
    with pytest.raises(SettingsError, match=r"mine\.py:Needs' cannot be made: TypeError: .*'start'"):
        players(target=f"{mine}:Needs")


def test_one_model_plays_all_roles_that_name_it():
    made = players(judge=SERVED, reward=SERVED, engine="target")
    assert made.target.model is made.judge.model is made.reward.model is made.engine.model
