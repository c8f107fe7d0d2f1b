import json

import pytest

from anyprefer.core.errors import InputError, ModelError, SettingsError, TrainingError
from anyprefer.graph import Task, Trajectory, asynth
from anyprefer.nodes.judges.cost import CostJudge
from anyprefer.training.pair_data.earlier import replayed
from anyprefer.training.pair_data.trajectories import trajectory_pairs

TASK = Task(id="1", prompt="walk")


class Walker:
    """Walks as far as the seed says."""

    name = "walker"

    async def sample(self, task, prompt, seeds):
        return [Trajectory(states=[[0], [number]], actions=[[number]]) for number in range(len(seeds))]


def length(task, walk):
    return walk.actions[0][0]


async def test_the_cheapest_trajectory_is_chosen_and_pairs_are_trajectories(tmp_path):
    [row] = [row async for row in asynth([TASK], folder=tmp_path / "a", target=Walker(), judge=CostJudge(length))]
    assert (row.outcome, row.pair.chosen_score, row.pair.rejected_score) == ("accepted", 0, -4)
    assert row.pair.chosen == {"states": [[0.0], [0.0]], "actions": [[0.0]]}
    [(chosen, rejected)] = trajectory_pairs(tmp_path / "a")
    assert (chosen.states[-1], rejected.states[-1]) == ((0.0,), (4.0,))
    (tmp_path / "b").mkdir()
    other = {"prompt": "w", "chosen": chosen.model_dump(mode="json"), "rejected": rejected.model_dump(mode="json")}
    (tmp_path / "b" / "pairs.jsonl").write_text(json.dumps(other) + "\n")
    again = replayed(tmp_path / "b", [tmp_path / "a"], 1.0, 0, tmp_path / "replay.jsonl")
    assert trajectory_pairs(*again) == [(chosen, rejected)]


def test_pairs_of_texts_are_no_trajectories(tmp_path):
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps({"prompt": "q", "chosen": "yes", "rejected": "no"}) + "\n")
    with pytest.raises(TrainingError, match=r"p\.jsonl, line 1: the content is no trajectory"):
        trajectory_pairs(file)


def test_states_and_actions_take_turns():
    with pytest.raises(InputError, match="2 actions lead through one state more, not 2"):
        Trajectory.of({"states": [[0], [1]], "actions": [[1], [2]]})


def test_a_cost_must_be_a_function_and_a_number():
    with pytest.raises(SettingsError, match=r"cost:FILE\.py:FUNCTION"):
        CostJudge("")
    judge = CostJudge(lambda task, walk: float("nan"))
    with pytest.raises(ModelError, match="candidate 0 costs nan"):
        judge._judged(TASK, _candidate({"states": [[0]], "actions": []}))


def _candidate(content):
    from anyprefer.graph import Candidate

    return Candidate(index=0, content=content, seed=0)


def test_a_trajectory_keeps_what_was_recorded_beside_it_and_nothing_else():
    told = {
        "states": [[0.0], [1.0]], "actions": [[1.0]], "success": True, "grasped": [False, True],
        "poses": {"hand": [[0.0] * 7, [1.0] * 7]}, "keypoints": {"cup": [[0.0, 0.0, 0.1], None]},
        "tokens": [[3, 4]], "logprobs": [[-0.5, -1.0]], "instruction": "lift",
    }  # fmt: skip
    assert Trajectory.of(told).model_dump(mode="json") == told


@pytest.mark.parametrize(
    ("beside", "what"),
    [
        ({"grasped": [True]}, "'grasped' is recorded 1 times, and 2 are needed"),
        ({"poses": {"hand": []}}, "'hand' is recorded 0 times"),
        ({"logprobs": [[-1.0], [-1.0]]}, "'logprobs' is recorded 2 times, and 1 are needed"),
    ],
)
def test_what_is_recorded_of_a_trajectory_has_its_length(beside, what):
    with pytest.raises(InputError, match=what):
        Trajectory.of({"states": [[0], [1]], "actions": [[1]], **beside})


def test_models_read_what_a_trajectory_did_and_not_what_its_simulator_knows():
    told = {
        "states": [[0.0], [1 / 3]], "actions": [[1.0]], "success": True, "logprobs": [[-0.5]], "instruction": "lift",
    }  # fmt: skip
    assert _candidate(told).text == '{"instruction": "lift", "states": [[0.0], [0.3333]], "actions": [[1.0]]}'
    assert _candidate({"states": 1}).text == '{"states": 1}'
