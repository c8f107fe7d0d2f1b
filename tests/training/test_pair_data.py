import json
import logging

import pytest

from anyprefer.core.errors import TrainingError
from anyprefer.training.pair_data.read import load_pairs, pair_files


def pair(**changes):
    row = {
        "id": "t1",
        "prompt": [{"role": "user", "content": "2+2?"}],
        "chosen": [{"role": "assistant", "content": "4"}],
        "rejected": [{"role": "assistant", "content": "5"}],
        "chosen_score": 9.0,
    }
    return {**row, **changes}


def write(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_a_folder_and_a_file_are_read_in_order(tmp_path):
    write(tmp_path / "pairs.jsonl", pair())
    other = write(tmp_path / "more.jsonl", pair(chosen=[{"role": "assistant", "content": "four"}]), "")
    rows = load_pairs(tmp_path, other)
    assert rows.column_names == ["prompt", "chosen", "rejected"]
    assert [row["chosen"][0]["content"] for row in rows] == ["4", "four"]


def test_images_are_kept(tmp_path):
    rows = load_pairs(write(tmp_path / "p.jsonl", pair(images=["a.png"]), pair()))
    assert rows["images"][:] == [["a.png"], []]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "JSON object"),
        (pair(prompt=7), "'prompt' must be a text or a list of messages"),
        (pair(chosen=[]), "'chosen' must be a text or a list of messages"),
        (pair(rejected=[{"role": "user", "content": "5"}]), "exactly one assistant message"),
        (pair(rejected=pair()["chosen"]), "equal"),
    ],
)
def test_a_bad_row_is_named_with_its_line(tmp_path, row, said):
    file = write(tmp_path / "p.jsonl", pair(), row)
    with pytest.raises(TrainingError, match="line 2") as caught:
        load_pairs(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_rows_with_an_empty_answer_are_left_out_and_told(tmp_path, caplog):
    empty = pair(rejected=[{"role": "assistant", "content": " "}])
    with caplog.at_level(logging.WARNING, "anyprefer"):
        assert len(load_pairs(write(tmp_path / "p.jsonl", pair(), empty))) == 1
    assert "1 rows are left out, 1 are not" in caplog.text
    assert "line 2: column 'rejected': the answer is empty" in caplog.text
    with pytest.raises(TrainingError, match="line 1: column 'rejected': the answer is empty"):
        load_pairs(write(tmp_path / "q.jsonl", empty))


def test_missing_and_empty_files_are_named(tmp_path):
    with pytest.raises(TrainingError, match="does not exist"):
        load_pairs(tmp_path)
    with pytest.raises(TrainingError, match="no pairs"):
        load_pairs(write(tmp_path / "p.jsonl"))
    with pytest.raises(TrainingError, match="no pairs given"):
        load_pairs()


def test_a_folders_other_files_are_not_read(tmp_path):
    write(tmp_path / "pairs-00001.jsonl", pair())
    write(tmp_path / "pairs.dedup.jsonl", pair())
    write(tmp_path / "pairs_old.jsonl", "{")
    write(tmp_path / "judge_pairs.jsonl")
    assert [file.name for file in pair_files(tmp_path)] == ["pairs-00001.jsonl", "judge_pairs.jsonl"]
    assert len(load_pairs(tmp_path)) == 1
