import gzip
import json

import pytest

from anyprefer.core.errors import InputError
from anyprefer.training.pair_data.any_data_set import draw, read_samples
from tests.scripted import Scripted, a_task, play, scores

HH = {
    "chosen": "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: 2 + 2?\n\nAssistant: 4",
    "rejected": "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: 2 + 2?\n\nAssistant: 4, or 5",
}


def write(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_scores_and_references_of_a_file_are_kept(tmp_path):
    row = {"id": "a", "prompt": "q", "chosen": "4", "rejected": "5", "reference": "4", "reward": 9}
    [sample] = read_samples(write(tmp_path / "p.jsonl", {**row, "chosen_score": 8, "rejected_score": 2.5}))
    assert (sample.task.id, sample.task.reference, sample.margin, sample.reward) == ("a", "4", 5.5, 9)


def test_scores_of_an_exported_set_are_scores_too(tmp_path):
    row = {"prompt": "q", "chosen": "4", "rejected": "5", "score_chosen": 8.0, "score_rejected": 3.0}
    [sample] = read_samples(write(tmp_path / "p.jsonl", row))
    assert (sample.margin, sample.reward) == (5.0, None)


@pytest.mark.parametrize("odd", ["high", True, float("nan"), [1]])
def test_what_is_no_number_is_no_score_of_a_file(tmp_path, odd):
    row = {"prompt": "q", "chosen": "4", "rejected": "5", "reward": odd, "chosen_score": odd, "rejected_score": 2}
    [sample] = read_samples(write(tmp_path / "p.jsonl", row))
    assert (sample.margin, sample.reward) == (None, None)


def test_messages_in_a_compressed_table_are_opened_as_in_a_plain_one(tmp_path):
    turns = [[{"role": "user", "content": "q"}, {"role": "assistant", "content": answer}] for answer in "45"]
    text = "\t".join(["chosen", "rejected"]) + "\n" + "\t".join(map(json.dumps, turns)) + "\n"
    file = tmp_path / "p.tsv.gz"
    file.write_bytes(gzip.compress(text.encode()))
    [sample] = read_samples(file)
    assert (sample.task.prompt, sample.chosen, sample.rejected) == ("q", "4", "5")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{broken", r"p\.jsonl, line 2: not JSON"),
        ({"prompt": "q", "chosen": "a"}, "line 2: a pair needs columns chosen and rejected; it has: prompt, chosen"),
        ({"chosen": 4, "rejected": 5}, "line 2: column 'chosen' must be a text or a list of messages"),
    ],
)
def test_a_row_that_is_no_pair_is_named(tmp_path, row, said):
    with pytest.raises(InputError, match=said):
        read_samples(write(tmp_path / "p.jsonl", HH, row))


async def test_a_run_folder_gives_candidates_margins_and_references(tmp_path):
    model = Scripted(sample=["4", "5", "6"], judge=scores(9, 3, 5))
    await play(model, a_task(reference="4"), folder=tmp_path / "run")
    [sample] = read_samples(tmp_path / "run")
    assert (sample.chosen, sample.rejected, sample.margin, sample.reward) == ("4", "5", 6, 9)
    assert (sample.candidates, sample.task.reference) == (("4", "5", "6"), "4")


async def test_a_run_without_accepted_pairs_is_refused(tmp_path):
    await play(Scripted(reward="Poor. 2/10"), folder=tmp_path / "run", max_rounds=1)
    with pytest.raises(InputError, match="holds no pairs"):
        read_samples(tmp_path / "run")


def test_drawing_is_seeded_and_without_replacement():
    some = list(range(100))
    assert draw(some, 10, 1) == draw(some, 10, 1) != draw(some, 10, 2)
    assert len(set(draw(some, 50, 0))) == 50
    assert sorted(draw(some, 500, 0)) == some
