"""Arms of an application played, resumed and reported, with a tiny random model."""

import json

import pytest

from anyprefer.core.errors import InputError, RunFolderError, RunStopped, SettingsError
from anyprefer.core.results import EvalResult
from anyprefer.tools import TOOLS, Finding, tool
from anyprefer.training.applications.application import Application
from anyprefer.training.applications.arms import ARMS, arm
from anyprefer.training.applications.task_source import TaskSource
from anyprefer.training.experiments.lab import Lab
from anyprefer.training.experiments.reproduce import Watch, ablate, reproduce


@tool
def answer_length(candidate, *, most: int = 40) -> Finding:
    """Prefers short answers."""
    return Finding("length", verdict=max(0.0, 1 - len(candidate.text) / most))


class Log(Watch):
    def __init__(self):
        self.steps, self.rows, self.reasons = [], [], {}

    def arm(self, name, seed):
        self.now = (name, seed)

    def step(self, iteration, name):
        self.steps.append((*self.now, iteration, name))

    def row(self, iteration, row):
        self.rows.append((*self.now, row.id))

    def failed(self, name, seed, reason):
        self.reasons[name] = reason


@pytest.fixture
def app(tiny_player, monkeypatch):
    monkeypatch.setattr(TOOLS, "get", {"answer_length": answer_length}.get)
    training = {"epochs": 1, "batch_size": 2, "lora_r": 2, "max_length": 96, "learning_rate": 1e-3}
    settings = {"candidates": 3, "max_new_tokens": 16, "threshold": 1, "max_rounds": 1, "judge_form": "expected"}
    scale = {
        "target": f"hf:{tiny_player}", "judge": "evidence", "judge_without_tools": f"hf:{tiny_player}", "iterations": 2,
        "preset": "embedded", "settings": settings, "training": training, "sources": [{"family": "sums", "tasks": 4}],
    }  # fmt: skip
    return Application(
        name="sums", title="Sums", tools=("answer_length",), benchmarks=("sums",), scales={"tiny": scale}
    )


@pytest.fixture
def lab(app, tmp_path):
    return Lab(app, "tiny", tmp_path, heldout=5)


def test_arms_share_tasks_and_candidates_and_each_trains_its_own(lab):
    ours, theirs = (lab.run(arm(name), 0, 1) for name in ("anyprefer", "self-rewarding"))
    assert [it.number for it in ours.iterations] == [0, 1]
    rows = [
        {
            row["id"]: row
            for row in map(json.loads, (one.pairs(1) / "rows.jsonl").read_text(encoding="utf-8").splitlines())
        }
        for one in (ours, theirs)
    ]
    assert rows[0].keys() == rows[1].keys()
    for name in rows[0]:
        first, second = (row[name]["rounds"][0] for row in rows)
        assert first["candidates"] == second["candidates"]
        assert first["judgments"] != second["judgments"]
    assert "sample" not in json.loads((theirs.pairs(1) / "run.json").read_text(encoding="utf-8"))["usage"]
    assert ours.marks("sums", 0) == theirs.marks("sums", 0)
    assert len(ours.marks("sums", 1)) == 5


def test_arms_of_the_same_settings_are_played_once(lab):
    scale = lab.app.scales["tiny"].model_copy(
        update={"judge_without_tools": "target", "settings": {**lab.app.scales["tiny"].settings, "accept": 2}}
    )
    lab.app = lab.app.model_copy(update={"scales": {"tiny": scale}})
    first = lab.run(arm("self-rewarding"), 0, 1)
    log = Log()
    log.arm("no-tools", 0)
    again = lab.run(arm("no-tools"), 0, 1, log)
    assert again.folder == first.folder
    assert log.rows == []
    assert lab.finished(arm("no-tools"), 0) == 1
    assert lab.settings(arm("every-task"), 0).digest() == lab.settings(arm("anyprefer"), 0).digest()
    assert lab.run(arm("every-task"), 0, 1).folder != lab.run(arm("anyprefer"), 0, 1).folder
    assert lab.finished(arm("tools"), 0) == lab.finished(arm("no-tools"), 1) == 0


def test_a_folder_of_other_tasks_is_refused_before_anything_is_played(lab):
    lab.run(arm("anyprefer"), 0, 1)
    for other, words in (
        (Lab(lab.app, "tiny", lab.folder, tasks=3, heldout=5), "sources"),
        (Lab(lab.app, "tiny", lab.folder), "heldout = 5, not 0"),
    ):
        with pytest.raises(RunFolderError, match=words):
            other.run(arm("self-rewarding"), 0, 1)
    assert not (lab.folder / "self-rewarding").exists()


def test_a_scale_adapts_one_arm_and_leaves_the_others(lab):
    scale = lab.app.scales["tiny"].model_copy(
        update={"arms": {"self-rewarding": {"judge_max_new_tokens": 32, "training": {"max_length": 128}}}}
    )
    lab.app = lab.app.model_copy(update={"scales": {"tiny": scale}})
    ours, theirs = (lab.settings(arm(name), 0) for name in ("self-rewarding", "no-tools"))
    assert (ours.judge_max_new_tokens, theirs.judge_max_new_tokens) == (32, 2048)
    lengths = [lab.plan(arm(name), 0, 1).trainer.settings.max_length for name in ("self-rewarding", "no-tools")]
    assert lengths == [128, 96]


def test_what_is_complete_is_not_played_again_and_further_iterations_go_on(lab):
    lab.run(arm("anyprefer"), 0, 1)
    log = Log()
    log.arm("anyprefer", 0)
    again = lab.run(arm("anyprefer"), 0, 2, log)
    assert len(again.iterations) == 3
    played = {identifier for *_, identifier in log.rows}
    assert played.isdisjoint(task.id for task in lab.tasks(1, 0))
    assert played <= {task.id for task in lab.tasks(2, 0)}


def test_seeds_play_other_tasks_and_keep_the_heldout_ones(lab):
    zero, one = (lab.run(arm("anyprefer"), seed, 1) for seed in (0, 1))
    assert {task.id: task.prompt for task in lab.tasks(1, 0)} != {task.id: task.prompt for task in lab.tasks(1, 1)}
    assert zero.marks("sums", 1).keys() == one.marks("sums", 1).keys()


def test_an_arm_without_tools_takes_the_scales_other_judge(lab, tiny_player):
    assert lab.settings(arm("no-tools"), 0).judge == f"hf:{tiny_player}"
    assert lab.settings(arm("anyprefer"), 0).judge == "evidence"
    assert lab.settings(arm("self-rewarding"), 0).judge == "target"


def test_table4_has_every_arm_differences_and_the_papers_numbers(lab, tmp_path):
    report = reproduce(["table4"], lab, (0,))
    text = report.read_text(encoding="utf-8")
    for title in ("Before", "Self-rewarding", "Self-rewarding*", "Meta-rewarding", "Anyprefer"):
        assert f"| {title} |" in text
    assert "Anyprefer minus Self-rewarding" in text
    assert "38.14" in text
    assert {"table4.csv", "table4-differences.csv", "table4-bars.png"} <= {
        file.name for file in report.parent.iterdir()
    }
    log = Log()
    assert reproduce(["table4"], lab, (0,), watch=log).read_text(encoding="utf-8") == text
    assert log.rows == []


def test_iterations_reward_and_quality_are_reported(lab):
    text = reproduce(["table6", "figure3", "figure4", "figure5", "figure7", "figure6"], lab, (0,)).read_text(
        encoding="utf-8"
    )
    assert "| iteration 2 |" in text
    assert text.count("## Table 6: iterations") == 1, "Figure 3 is made with Table 6"
    assert "| mean R |" in text
    assert "satisfaction of the pairs" in text
    assert "| Tools + feedback, all tasks |" in text
    assert "give --against FILE" in text


def test_perplexity_is_measured_beside_each_evaluation(lab, tmp_path):
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"prompt": f"Say {n}.", "reference": f"{n} it is."}) + "\n" for n in range(6)))
    source = TaskSource(name="texts", source=str(texts), tasks=6)
    lab.app = lab.app.model_copy(
        update={"scales": {"tiny": lab.app.scales["tiny"].model_copy(update={"fluency": source})}}
    )
    outcome = lab.run(arm("anyprefer"), 0, 1)
    before, after = (lab.fluency(outcome, number) for number in (0, 1))
    assert len(before.nats) == len(after.nats) == 5
    assert before.nats != after.nats
    text = reproduce(["fluency"], lab, (0,), play=False).read_text(encoding="utf-8")
    assert f"| {before.perplexity:.2f} [" in text
    assert f"| {after.perplexity / before.perplexity:.3f} [" in text
    assert "| Before |" in text


def test_a_report_of_what_is_complete_plays_nothing(lab):
    lab.run(arm("anyprefer"), 0, 1)
    log = Log()
    text = reproduce(["table4", "table6"], lab, (0, 1), watch=log, play=False).read_text(encoding="utf-8")
    assert log.rows == []
    assert "not played yet" in text
    assert "seed 0" in text
    assert "seeds 0, 1" not in text
    assert text.count("| iteration 2 |") == 1  # the paper's
    assert (lab.finished(arm("anyprefer"), 0), lab.finished(arm("anyprefer"), 1)) == (1, 0)


def test_an_arm_that_means_nothing_at_a_scale_is_left_out_and_says_why(lab):
    scale = lab.app.scales["tiny"].model_copy(update={"left_out": {"meta-rewarding": "writes no judgments"}})
    lab.app = lab.app.model_copy(update={"scales": {"tiny": scale}})
    text = reproduce(["table4"], lab, (0,), play=False).read_text(encoding="utf-8")
    assert "writes no judgments" in text


def test_targets_of_a_seed_each_are_measured_each_before_training(lab, tiny_player, tmp_path):
    for seed in (0, 1):
        (tmp_path / f"target-{seed}").symlink_to(tiny_player)
    scale = lab.app.scales["tiny"].model_copy(update={"target": f"hf:{tmp_path}/target-{{seed}}"})
    lab.app = lab.app.model_copy(update={"scales": {"tiny": scale}})
    assert lab.settings(arm("anyprefer"), 1).target == f"hf:{tmp_path}/target-1"
    for seed in (0, 1):
        lab.run(arm("anyprefer"), seed, 1)
    assert sorted(file.name for file in (lab.folder / "before").glob("*.json")) == [
        "tiny-5-seed-0.json",
        "tiny-5-seed-1.json",
    ]


def test_an_arm_that_comes_to_nothing_is_a_row_that_says_why(lab):
    log = Log()
    text = ablate(["anyprefer", "tools", "ranks-1-3", "dataset-prompts"], lab, (0,), 1, log).read_text(encoding="utf-8")
    assert "ranks(1,3)" not in log.reasons.get("ranks-1-3", "")
    assert "prompt_scope" in log.reasons["dataset-prompts"]
    assert "prompt_scope" in text
    assert "Tools, no feedback" in text


def test_unknown_names_are_refused_with_the_near_one(lab):
    with pytest.raises(SettingsError, match="did you mean 'self-rewarding'"):
        arm("self-rewardin")
    with pytest.raises(SettingsError, match="did you mean 'table4'"):
        reproduce(["tabel4"], lab, (0,))
    with pytest.raises(SettingsError, match="did you mean 'figure6'"):
        reproduce(["figure-6"], lab, (0,))
    log = Log()
    with pytest.raises(InputError, match="nowhere"):
        reproduce(["table16"], lab, (0,), {"others": "nowhere.jsonl"}, watch=log)
    assert log.rows == [], "a wrong file is found before hours of play"
    assert all(name == one.name for name, one in ARMS.items())


def test_every_arm_is_valid_at_the_papers_scale(tmp_path):
    from anyprefer.training.applications.application import load_application

    paper = Lab(load_application("natural-language"), "paper", tmp_path)
    for one in ARMS.values():
        settings = paper.settings(one, 0)
        assert settings.target == "hf:meta-llama/Llama-2-7b-chat-hf"
        assert paper.plan(one, 0, 1).samples == tmp_path / "samples.db"


def test_an_outage_before_training_is_not_kept_for_all_arms(lab, monkeypatch):
    lost = EvalResult(model="m", n=1, correct=1, unscored=4, first_error="gone", seed=0, temperature=0, max_tokens=8)
    monkeypatch.setattr(Application, "evaluation", lambda *given: lambda *asked: {"sums": lost})
    with pytest.raises(RunStopped, match="4 of 5 tasks of sums have no answer"):
        lab.run(arm("anyprefer"), 0, 1)
    assert not list((lab.folder / "before").glob("tiny*5.json"))
