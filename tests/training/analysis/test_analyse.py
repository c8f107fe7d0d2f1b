import csv
import json
from pathlib import Path

import numpy as np
import pytest

from anyprefer.core.errors import BudgetSpent, EndpointError, InputError
from anyprefer.core.settings import RunSettings
from anyprefer.core.values import derive_seed
from anyprefer.training.analysis.analyse import analyse, named
from tests.command_line import refused, run
from tests.scripted import Scripted, a_task, play, scores


def encode(texts):
    return np.stack([np.random.default_rng(derive_seed(text)).normal(size=6) for text in texts])


def pairs(path, n, **extra):
    rows = ({"prompt": f"{path.stem} {i}", "chosen": f"yes {i}", "rejected": "no", **extra} for i in range(n))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def cells(folder, name):
    return list(csv.DictReader((folder / f"{name}.csv").read_text(encoding="utf-8").splitlines()))


async def a_run(folder):
    """Twelve pairs with candidates right, wrong, wrong; the judge's margin is 6."""
    model = Scripted(sample=lambda call: str(4 + call.number % 3), judge=scores(9, 3, 5))
    await play(model, *(a_task(f"What is 2 + 2, {i}?", id=str(i), reference="4") for i in range(12)), folder=folder)
    return folder


async def test_a_run_beside_a_file(tmp_path):
    ours, theirs = await a_run(tmp_path / "ours"), pairs(tmp_path / "theirs.jsonl", 9)
    report = analyse([ours], [theirs], out=tmp_path / "out", components=3, encoder=encode)
    assert sorted(file.name for file in report.parent.iterdir()) == [
        "REPORT.md",
        "diversity.csv",
        "marks-difficulty.csv",
        "marks-satisfaction.csv",
        "marks.png",
        "tsne.png",
    ]
    rows = cells(report.parent, "diversity")
    assert [row["data set"] for row in rows] == ["ours", "theirs", "VLFeedback (paper)", "Anyprefer-V1 (paper)"]
    assert [row["condition number n"] for row in rows] == ["9", "9", "500", "500"]
    assert float(rows[0]["condition number"]) > float(rows[0]["over 3 components"]) > 1
    [marks] = cells(report.parent, "marks-satisfaction")
    assert (marks["data set"], marks["satisfied"], marks["satisfied n"]) == ("ours", "1", "12")
    # margin 6 of 9 and two of three wrong: (1/3 + 2/3) / 2 = 0.5
    [marks] = cells(report.parent, "marks-difficulty")
    assert (marks["medium"], marks["hard"]) == ("1", "0")
    assert "Not rated by references: theirs." in report.read_text(encoding="utf-8")


async def test_a_judge_rates_and_scores_every_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr("anyprefer.models.ask.REASKS", 0)

    def judged(call):
        if "theirs 3" in call.user:
            return "I cannot say."
        return "Chosen: correct\nRejected: incorrect\nDifficulty: easy"

    model = Scripted(sample=judged, reward=lambda call: "Good. 9/10" if "ours" in call.user else "Fair. 6/10")
    ours, theirs = pairs(tmp_path / "ours.jsonl", 8), pairs(tmp_path / "theirs.jsonl", 8)
    report = analyse(
        [ours],
        [theirs],
        out=tmp_path / "out",
        components=3,
        encoder=encode,
        judge=model,
    )
    rows = cells(report.parent, "judged-difficulty")
    assert [(row["data set"], row["easy"], row["easy n"]) for row in rows] == [("ours", "1", "8"), ("theirs", "1", "7")]
    assert [row["mean score"] for row in cells(report.parent, "scores")] == ["9", "6"]
    text = report.read_text(encoding="utf-8")
    assert "Without a rating, and in no number: 1 of theirs (AnswerError: not one line each" in text
    assert {"judged.png", "scores-bars.png"} <= {file.name for file in report.parent.iterdir()}


async def test_a_judge_that_goes_away_stops_and_only_missing_ratings_are_asked_for_again(tmp_path):
    gone = [True]

    def judged(call):
        if gone[0] and any(f"ours {number}" in call.user for number in (5, 6)):
            return EndpointError("http://judge refuses every call")
        return "Chosen: correct\nRejected: incorrect\nDifficulty: easy"

    model = Scripted(sample=judged, reward="Good. 9/10")
    ours = pairs(tmp_path / "ours.jsonl", 8)
    given = {"out": tmp_path / "out", "components": 3, "encoder": encode, "judge": model}
    with pytest.raises(EndpointError, match="refuses every call"):
        analyse([ours], **given)
    assert not (tmp_path / "out" / "REPORT.md").exists()
    asked, gone[0] = len(model.asked("sample")), False
    report = analyse([ours], **given)
    assert cells(report.parent, "judged-difficulty")[0]["easy n"] == "8"
    assert len(model.asked("sample")) == asked + 2
    with pytest.raises(BudgetSpent, match="17 calls"):
        analyse([ours, pairs(tmp_path / "more.jsonl", 8)], settings=RunSettings(max_calls=17), **given)


def test_the_same_analysis_is_the_same_bytes(tmp_path):
    ours = pairs(tmp_path / "ours.jsonl", 20, reference="yes")
    for name in ("a", "b"):
        analyse([ours], out=tmp_path / name, components=3, encoder=encode, samples=10)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name
    other = analyse([ours], out=tmp_path / "c", components=3, encoder=encode, samples=10, seed=1)
    assert cells(other.parent, "diversity")[0] != cells(tmp_path / "a", "diversity")[0]


def test_sources_are_named_as_shortly_as_they_can_be():
    assert list(named(["runs/a", "data/b.jsonl"])) == ["a", "b"]
    assert list(named(["one/pairs.jsonl", "two/pairs.jsonl"])) == ["one/pairs", "two/pairs"]
    with pytest.raises(InputError, match="give each once"):
        named(["runs/a", "runs/a"])


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pairs(Path("ours.jsonl"), 8)
    pairs(Path("theirs.jsonl"), 8)
    seen = []
    monkeypatch.setattr("anyprefer.training.analysis.analyse.load_encoder", lambda spec: seen.append(spec) or encode)
    options = ("--against", "theirs.jsonl", "--components", 3, "--samples", 6, "--view", "chosen", "--seed", 2)
    result = run("analyse", "ours.jsonl", *options, "--out", "report", "--encoder", "hf:some/model")
    assert result.exit_code == 0, result.output
    assert result.stdout == "report: report/REPORT.md\n"
    assert seen == ["hf:some/model"]
    text = Path("report/REPORT.md").read_text()
    assert "encoder hf:some/model; text: chosen" in text
    assert "seed 2" in text
    assert "nowhere" in refused(run("analyse", "nowhere", "--out", "r"), code=1)
    assert "unknown model 'gpt'" in refused(run("analyse", "ours.jsonl", "--out", "r", "--judge", "gpt"))
    assert "too few for 50 components" in refused(run("analyse", "ours.jsonl", "--out", "r"), code=1)
