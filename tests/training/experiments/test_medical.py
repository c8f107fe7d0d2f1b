"""The application `medical` end to end with a toy of its target and a handful of gradients."""

import json

import pytest
from PIL import Image

from anyprefer.core.errors import InputError
from anyprefer.training.applications.application import load_application
from anyprefer.training.applications.arms import arm
from anyprefer.training.bases.by_name import ensure, missing
from anyprefer.training.experiments.lab import Lab
from anyprefer.training.experiments.reproduce import reproduce
from tests.command_line import refused, run


@pytest.fixture
def data(tmp_path, monkeypatch):
    """40 images with three questions each in VQA-RAD's columns."""
    home = tmp_path / "data" / "vqa_rad"
    (home / "images").mkdir(parents=True)
    asked = [
        ("Is this a CT?", "Yes", "CLOSED "),
        ("What modality is used?", "CT", "OPEN"),
        ("Is it normal?", "No", "CLOSED"),
    ]
    rows = []
    for at in range(40):
        Image.linear_gradient("L").rotate(9 * at).resize((40, 30)).save(home / "images" / f"i{at}.png")
        for n, (question, answer, kind) in enumerate(asked):
            about = {"image_name": f"i{at}.png", "image_organ": "CHEST"}
            rows.append({"qid": 3 * at + n, "question": question, "answer": answer, "answer_type": kind, **about})
    for name, part in (("train", rows[:90]), ("test", rows[90:])):
        text = "".join(json.dumps(row) + "\n" for row in part)
        (home / f"{name}.jsonl").write_text(text, encoding="utf-8")
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ANYPREFER_DATA", str(tmp_path / "data"))


@pytest.mark.slow
def test_a_toy_goes_round_the_loop_and_stands_in_tables_10_to_12(data, tmp_path):
    lab = Lab(load_application("medical"), "embedded", tmp_path / "lab", tasks=12, heldout=9)
    settings = lab.settings(arm("anyprefer"), 0)
    assert missing(settings) == ["radiology-0", "radiology_index"]
    ensure("radiology-0", steps=3)
    ensure("radiology_index", steps=3)
    ours = lab.run(arm("anyprefer"), 0, 1)
    assert ours.iterations[1].counts["accepted"] >= 2
    assert set(ours.iterations[1].results) == {"vqa_rad_by_image", "vqa_rad_by_image_blank", "vqa_rad"}
    pairs = [json.loads(line) for line in (ours.pairs(1) / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {pair["chosen"][0]["content"] for pair in pairs} <= {"Yes", "No", "CT"}
    text = reproduce(["table10", "table11", "table12"], lab, (0,), play=False).read_text(encoding="utf-8")
    for column in (
        "vqa_rad_by_image closed (llava-med)",
        "vqa_rad_by_image_blank closed (strict)",
        "open recall (strict)",
    ):
        assert column in text
    assert "writes no judgments" in text


def test_a_newcomer_without_the_data_is_told_which_variable_to_set(tmp_path, monkeypatch):
    monkeypatch.delenv("ANYPREFER_DATA", raising=False)
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    with pytest.raises(InputError, match="ANYPREFER_DATA names none: set it to that folder"):
        load_application("medical").tasks("embedded")
    said = refused(run("iterate", "--app", "medical", "--out", tmp_path / "loop"))
    assert "ANYPREFER_DATA" in said
    assert not (tmp_path / "loop").exists()
