import json

import pytest

from anyprefer.training.pair_data.earlier import replayed
from anyprefer.training.pair_data.read import load_pairs


def run(folder, *numbers):
    """A run folder with a pair for each number."""
    folder.mkdir()
    rows = [
        {
            "prompt": [{"role": "user", "content": f"q{number}"}],
            "chosen": [{"role": "assistant", "content": "yes"}],
            "rejected": [{"role": "assistant", "content": "no"}],
            "chosen_score": number,
        }
        for number in numbers
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def asked(files):
    return [row["prompt"][0]["content"] for row in load_pairs(*files)]


@pytest.fixture
def folders(tmp_path):
    return run(tmp_path / "3", 1, 2), [run(tmp_path / "1", *range(1, 9)), run(tmp_path / "2", 8, 9, 10)]


def test_all_earlier_pairs_come_back_once_and_none_that_is_there(folders, tmp_path):
    current, earlier = folders
    again = replayed(current, earlier, 1.0, 0, tmp_path / "replay.jsonl")
    assert sorted(asked(again)) == sorted(f"q{number}" for number in range(3, 11))


def test_a_share_is_drawn_by_the_seed(folders, tmp_path):
    current, earlier = folders
    drawn = [asked(replayed(current, earlier, 0.5, seed, tmp_path / "replay.jsonl")) for seed in (1, 1, 2)]
    assert len(drawn[0]) == 4
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("share", [0.0, 0.01])
def test_none_is_drawn_from_nothing(folders, tmp_path, share):
    current, earlier = folders
    assert replayed(current, earlier, share, 0, tmp_path / "replay.jsonl") == []
    assert replayed(current, [], 1.0, 0, tmp_path / "replay.jsonl") == []
