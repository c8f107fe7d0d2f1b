"""Pairs of trajectories as a LeRobotDataset v3.0: the files that LeRobot's own reader looks for."""

import json

import numpy as np
import pyarrow.parquet as parquet
import pytest

from anyprefer.core.errors import InputError
from anyprefer.core.videos import read_video
from anyprefer.training.evaluation.control_families import CONTROL
from anyprefer.training.export.lerobot import TrajectoryPair, costs_told, lerobot_export
from tests.robots import MisseeingExpert


@pytest.fixture(scope="module")
def pairs():
    """Of a carrot and a spoon; the first start's chosen trajectory is in two pairs."""
    expert, tasks = MisseeingExpert(most=0.05), CONTROL["control"].make(2, 0, "dev")
    walks = {task.id: [expert.walk(task, task.prompt, seed) for seed in range(3)] for task in tasks}
    told = {"score_chosen": 9.0, "score_rejected": 2.0, "reward": None}
    made = [TrajectoryPair(task.id, task, *walks[task.id][:2], told=told) for task in tasks]
    return [*made, TrajectoryPair("again", tasks[0], walks[tasks[0].id][0], walks[tasks[0].id][2], told)]


def table(folder, name):
    return parquet.read_table(folder / name).to_pylist()


def test_a_pair_is_two_episodes_with_their_states_actions_and_pictures(pairs, tmp_path):
    assert lerobot_export(pairs, tmp_path) == 5
    info = json.loads((tmp_path / "meta" / "info.json").read_text())
    episodes = table(tmp_path, "meta/episodes/chunk-000/file-000.parquet")
    frames = table(tmp_path, "data/chunk-000/file-000.parquet")
    assert (info["codebase_version"], info["total_episodes"], info["total_frames"]) == ("v3.0", 5, len(frames))
    assert [one["length"] for one in episodes[:2]] == [
        len(walk.actions) for walk in (pairs[0].chosen, pairs[0].rejected)
    ]
    assert set(frames[0]) | {"observation.images.front"} == set(info["features"])
    second = [one for one in frames if one["episode_index"] == 1]
    assert [one["index"] for one in second] == list(
        range(episodes[1]["dataset_from_index"], episodes[1]["dataset_to_index"])
    )
    assert np.allclose([one["action"] for one in second], pairs[0].rejected.actions)
    assert [one["timestamp"] for one in second[:3]] == pytest.approx([0, 0.2, 0.4])
    assert [one["next.done"] for one in second] == [False] * (len(second) - 1) + [True]
    video = list(read_video(tmp_path / "videos/observation.images.front/chunk-000/file-001.mp4"))
    assert (len(video), list(video[0].shape)) == (len(second), info["features"]["observation.images.front"]["shape"])


def test_which_episode_was_preferred_stands_beside_them(pairs, tmp_path):
    lerobot_export(pairs, tmp_path)
    first, _, again = table(tmp_path, "preferences.parquet")
    assert (first["chosen_episode"], first["rejected_episode"], first["start_seed"]) == (0, 1, 40000)
    assert (again["chosen_episode"], again["rejected_episode"]) == (0, 4)
    assert (first["chosen_success"], first["score_chosen"]) == (pairs[0].chosen.success, 9.0)
    tasks = parquet.read_table(tmp_path / "meta" / "tasks.parquet").to_pandas()
    assert tasks.loc[pairs[0].task.prompt, "task_index"] == 0
    stats = json.loads((tmp_path / "meta" / "stats.json").read_text())
    assert np.shape(stats["observation.images.front"]["mean"]) == (3, 1, 1)
    assert np.shape(stats["action"]["std"]) == (7,)


def test_costs_are_columns_where_the_costs_judge_wrote_them():
    told = costs_told('{"parts": {"costs": 0.9, "success": 1.0}, "costs": {"reach": {"path": 0.1}}}')
    assert told == {"costs": 0.9, "success": 1.0, "likelihood": None, "stages": '{"reach": {"path": 0.1}}'}
    assert costs_told("Drawn by chance.") == dict.fromkeys(told)


def test_no_pairs_are_no_data_set(tmp_path):
    with pytest.raises(InputError, match="no pairs"):
        lerobot_export([], tmp_path)
