import json
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from anyprefer.core.errors import BudgetSpent, RunFolderError, RunStopped, SettingsError, TrainingError
from anyprefer.core.input_rows import BadRow
from anyprefer.core.results import EvalResult
from anyprefer.graph import RunSettings, Synthesis, Task
from anyprefer.graph.dataset_prompts import Decision
from anyprefer.models.local.weights import load_weights
from anyprefer.nodes.targets.chat import ChatTarget
from anyprefer.tools import Finding, tool
from anyprefer.training.applications.demo import demo
from anyprefer.training.evaluation.families import FAMILIES
from anyprefer.training.evaluation.heldout import on_heldout
from anyprefer.training.evaluation.task_sets import TaskSet
from anyprefer.training.loop.iterate import Iteration, Plan, Steps, _evaluated, iterate
from anyprefer.training.loop.report import change, markdown, table
from anyprefer.training.loop.settings import iterate_settings
from anyprefer.training.trainers.by_name import trainer
from anyprefer.training.trainers.text_dpo import REPORT
from tests.scripted import Scripted

TASKS = [Task(id=str(n), prompt=f"Say {n}") for n in range(6)]
TRAINING = {
    "epochs": 1, "batch_size": 2, "lora_r": 2, "max_length": 64, "learning_rate": 1e-3, "dtype": "float32"
}  # fmt: skip


def result(correct, n=100):
    """The first `correct` of the tasks are right."""
    marks = {str(task): task < correct for task in range(n)}
    return EvalResult(model="m", n=n, correct=correct, marks=marks, seed=0, temperature=0.0, max_tokens=8)


def plan(tiny_player, loop=None, adapter="chain", **values):
    given = {"judge": "evidence", "candidates": 3, "max_new_tokens": 6, "threshold": 1.0, "max_rounds": 1, **values}
    settings = RunSettings(target=f"hf:{tiny_player}", tools=("answer_length",), **given)
    loop = iterate_settings(**loop or {})
    trained = trainer("text_dpo", {**TRAINING, "adapter": adapter}, "embedded")
    return Plan(settings, trained, iterations=2, tasks=lambda number: TASKS[(number - 1) * 3 : number * 3], loop=loop)


class Log(Steps):
    def __init__(self):
        self.steps, self.rows = [], []

    def step(self, iteration, name):
        self.steps.append((iteration, name))

    def row(self, iteration, row):
        self.rows.append((iteration, row.id, row.models["target"]))


@pytest.fixture
def answer_length(monkeypatch):
    @tool
    def answer_length(candidate, *, most: int = 40) -> Finding:
        """Prefers short answers."""
        return Finding("length", verdict=max(0.0, 1 - len(candidate.text) / most))

    from anyprefer.tools import TOOLS

    monkeypatch.setattr(TOOLS, "get", {"answer_length": answer_length}.get)


def test_two_iterations_each_train_the_model_the_next_one_plays(tiny_player, tmp_path, answer_length):
    asked = []

    def evaluate(target, number, home):
        asked.append((number, target.checkpoint))
        return {"short": result(10 + number)}

    log = Log()
    done = iterate(plan(tiny_player), tmp_path, evaluate, log)
    first, second = tmp_path / "iteration-1" / "adapter", tmp_path / "iteration-2" / "adapter"
    assert [it.target for it in done] == [f"hf:{tiny_player}", f"hf:{first}", f"hf:{second}"]
    assert asked == [(number, it.target) for number, it in enumerate(done)]
    assert [step for number, step in log.steps if number == 1] == ["synthesise", "train", "evaluate"]
    assert {(number, target) for number, _, target in log.rows} == {(1, str(tiny_player)), (2, str(first))}
    assert json.loads((second / "anyprefer.json").read_text())["base"] == str(first)

    again = Log()
    assert iterate(plan(tiny_player), tmp_path, evaluate, again) == done
    assert again.rows == []
    assert len(asked) == 3


def trained_on(folder, number):
    """Base and files of an iteration's training."""
    report = json.loads((folder / f"iteration-{number}" / "adapter" / REPORT).read_text())
    return report["base"], [Path(file["path"]).name for file in report["pairs"]]


def test_a_worse_iteration_is_not_adopted_and_resuming_sees_the_same(tiny_player, tmp_path, answer_length):
    asked = []

    def evaluate(target, number, home):
        asked.append(number)
        return {"short": result({0: 50, 1: 40, 2: 60}[number])}

    log = Log()
    done = iterate(plan(tiny_player, {"replay": 1.0}), tmp_path, evaluate, log)
    assert [it.adopted for it in done] == [True, False, True]
    assert "from 50.0% to 40.0% (10 tasks lost, 0 gained" in done[1].reason
    assert [it.target for it in done] == [
        f"hf:{tiny_player}",
        f"hf:{tiny_player}",
        f"hf:{tmp_path / 'iteration-2' / 'adapter'}",
    ]
    assert {target for _, _, target in log.rows} == {str(tiny_player)}
    assert trained_on(tmp_path, 2) == (str(tiny_player), ["pairs.jsonl"])  # refused pairs are not replayed
    said = json.loads((tmp_path / "iteration-1" / "gate.json").read_text())
    assert (said["adopted"], said["reason"]) == (False, done[1].reason)

    assert iterate(plan(tiny_player, {"replay": 1.0}), tmp_path, evaluate) == done
    assert asked == [0, 1, 2]


def test_without_the_gate_every_iteration_is_adopted(tiny_player, tmp_path, answer_length):
    def evaluate(target, number, home):
        return {"short": result(50 - 25 * number)}

    done = iterate(plan(tiny_player, {"gate": False}), tmp_path, evaluate)
    assert [it.adopted for it in done] == [True, True, True]
    assert done[2].target == f"hf:{tmp_path / 'iteration-2' / 'adapter'}"
    assert not (tmp_path / "iteration-1" / "gate.json").exists()


def test_merged_iterations_train_fresh_adapters_and_replay_earlier_pairs(tiny_player, tmp_path, answer_length):
    merging = plan(tiny_player, {"replay": 1.0}, "merge")
    done = iterate(merging, tmp_path, lambda target, number, home: {"short": result(10 + number)})
    first, second = tmp_path / "iteration-1" / "model", tmp_path / "iteration-2" / "model"
    assert [it.target for it in done] == [f"hf:{tiny_player}", f"hf:{first}", f"hf:{second}"]
    assert (first / "model.safetensors").is_file()
    assert trained_on(tmp_path, 1) == (str(tiny_player), ["pairs.jsonl"])
    assert trained_on(tmp_path, 2) == (str(first), ["pairs.jsonl", "replay.jsonl"])
    assert json.loads((tmp_path / "iteration-2" / "adapter" / "adapter_config.json").read_text())[
        "base_model_name_or_path"
    ] == str(first)

    both = [load_weights(str(spec), dtype="float32").model for spec in (first, tmp_path / "iteration-1" / "adapter")]
    for one, other in zip(both[0].parameters(), both[1].parameters(), strict=True):
        torch.testing.assert_close(one, other)


class Killed(Exception):
    """Stands for a kill when a step begins."""


class Kill(Log):
    """Ends the run at the first step that no earlier run reached."""

    reached: ClassVar[list[tuple[int, str]]] = []

    def step(self, iteration, name):
        super().step(iteration, name)
        if (iteration, name) not in self.reached:
            self.reached.append((iteration, name))
            raise Killed


def test_a_run_killed_at_every_step_comes_to_the_same(tiny_player, tmp_path, answer_length):
    played = plan(tiny_player, {"replay": 0.5})

    def evaluate(target, number, home):
        return {"short": result(10 + number)}

    kills = 0
    while True:
        try:
            done = iterate(played, tmp_path / "killed", evaluate, Kill())
        except Killed:
            kills += 1
            half = tmp_path / "killed" / "iteration-1" / "adapter"
            if kills == 3:  # while the first adapter is saved: the folder is there, its report is not
                half.mkdir()
                (half / "adapter_config.json").write_text("{")
        else:
            break
    assert kills == 7
    assert (half.with_name("adapter.unfinished-1") / "adapter_config.json").read_text() == "{"
    whole = iterate(played, tmp_path / "whole", evaluate)
    assert [(it.counts, it.results) for it in done] == [(it.counts, it.results) for it in whole]
    losses = [
        json.loads((tmp_path / name / "iteration-2" / "adapter" / REPORT).read_text())["losses"]
        for name in ("killed", "whole")
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("changes", [{"replay": 1.5}, {"gates": True}])
def test_bad_iteration_settings_are_named(changes):
    with pytest.raises(TrainingError, match=next(iter(changes))):
        iterate_settings(**changes)


def test_a_spent_budget_stops_before_training_and_goes_on_when_raised(tiny_player, tmp_path, answer_length):
    def evaluate(target, number, home):
        return {"short": result(10 + number)}

    for _ in range(2):
        with pytest.raises(BudgetSpent, match="max_calls"):
            iterate(plan(tiny_player, max_calls=4), tmp_path, evaluate)
    assert not (tmp_path / "iteration-1" / "adapter").exists()
    assert len(iterate(plan(tiny_player), tmp_path, evaluate)) == 3


def test_an_outage_is_no_evaluation_and_the_same_command_asks_again(tmp_path, monkeypatch, tiny_player, answer_length):
    there = [False]
    asked = []

    def answer(call):
        asked.append(call.user)
        return "yes" if there[0] or call.user == "q0" else RuntimeError("connection refused")

    model = Scripted(sample=answer)
    monkeypatch.setattr(
        "anyprefer.training.loop.iterate.load_target", lambda spec, settings: ChatTarget(model, settings)
    )
    held = [Task(id=str(n), prompt=f"q{n}", reference="yes") for n in range(5)]
    evaluate = on_heldout({"held": TaskSet(held, lambda task, text: text == "yes")}, [], RunSettings())
    one = replace(plan(tiny_player, {"gate": False}), iterations=1)
    with pytest.raises(RunStopped, match=r"4 of 5 tasks of held have no answer.*connection refused.*same command"):
        iterate(one, tmp_path, evaluate)
    assert not (tmp_path / "base" / "evaluation.json").exists()
    there[0] = True
    done = iterate(one, tmp_path, evaluate)
    assert [(it.results["held"].n, it.results["held"].unscored) for it in done] == [(5, 0), (5, 0)]
    # once in vain, then what is missing, then the trained target
    assert sorted(asked) == sorted([f"q{n}" for n in (0, 1, 2, 3, 4, 1, 2, 3, 4, 0, 1, 2, 3, 4)])


def test_single_tasks_without_an_answer_are_asked_again_until_the_next_iteration_begins(tmp_path, monkeypatch):
    missing = [2]
    monkeypatch.setattr("anyprefer.training.loop.iterate.load_target", lambda spec, settings: None)

    def evaluate(target, number, home):
        return {"held": result(40).model_copy(update={"unscored": missing.pop()})}

    first = _evaluated(tmp_path, "m", 1, evaluate, RunSettings())
    missing.append(0)
    assert _evaluated(tmp_path, "m", 1, evaluate, RunSettings(), settled=True) == first
    again = _evaluated(tmp_path, "m", 1, evaluate, RunSettings())
    assert (first["held"].unscored, again["held"].unscored) == (2, 0)
    assert _evaluated(tmp_path, "m", 1, evaluate, RunSettings()) == again


def test_what_is_left_of_a_run_that_mostly_failed_is_not_trained_on(tiny_player, tmp_path, answer_length):
    bad = [BadRow(f"bad {number}", f"row {number} has no text") for number in range(4)]
    broken = replace(plan(tiny_player), iterations=1, tasks=lambda number: [*TASKS[:3], *bad])
    with pytest.raises(
        RunStopped, match=r"iteration 1 is not trained on what is left, since most tasks failed: \d of 7"
    ):
        iterate(broken, tmp_path, lambda target, number, home: {"short": result(10)})
    assert not (tmp_path / "iteration-1" / "adapter").exists()


def test_pairs_that_were_trained_on_are_not_played_further(tiny_player, tmp_path, answer_length):
    held = {"short": result(10)}
    one = replace(plan(tiny_player), iterations=1)
    done = iterate(one, tmp_path, lambda target, number, home: held)
    log = Log()
    more = replace(one, tasks=lambda number: [*TASKS[:3], Task(id="new", prompt="Say more")])
    assert iterate(more, tmp_path, lambda target, number, home: held, log) == done
    assert log.rows == []


def test_a_share_of_the_tasks_is_that_of_as_many_iterations(tiny_player, tmp_path, answer_length):
    dealt = replace(plan(tiny_player), iterations=1, shares=2)
    iterate(dealt, tmp_path, lambda target, number, home: {"short": result(10)})
    with pytest.raises(RunFolderError, match=r"other settings \(shares\)"):
        iterate(replace(dealt, shares=3), tmp_path, lambda target, number, home: {})


def test_prompts_shared_by_all_tasks_start_as_the_iteration_before_left_them(
    tiny_player, tmp_path, answer_length, monkeypatch
):
    begun = []

    class Watched(Synthesis):
        def play(self, tasks, *on_row):
            begun.append(self.shared_prompts.current.target)
            super().play(tasks, *on_row)
            learnt = self.shared_prompts.current.model_copy(update={"target": f"Lesson {len(begun)}."})
            decision = Decision(version=learnt.version, prompts=learnt, kept=True, rewards={})
            (self.folder.path / "prompts.jsonl").write_text(decision.model_dump_json() + "\n")

    monkeypatch.setattr("anyprefer.training.loop.iterate.Synthesis", Watched)
    shared = {"prompt_scope": "dataset", "engine": f"hf:{tiny_player}", "max_rounds": 2}
    iterate(plan(tiny_player, **shared), tmp_path, lambda target, number, home: {"short": result(10)})
    assert begun == ["", "Lesson 1."]


def test_ctrl_c_while_tasks_are_played_does_not_go_on_to_training(tiny_player, tmp_path, answer_length, monkeypatch):
    monkeypatch.setattr(Synthesis, "play", lambda self, tasks, *on_row: (self.drain(), self.folder.close()))
    with pytest.raises(KeyboardInterrupt):
        iterate(plan(tiny_player), tmp_path, lambda target, number, home: {"short": result(10)})


def test_a_folder_of_another_plan_is_refused(tiny_player, tmp_path, answer_length):
    with pytest.raises(TrainingError, match="accepted no pair"):
        iterate(plan(tiny_player, threshold=10.0, min_margin=100.0), tmp_path, lambda target, number, home: {})
    with pytest.raises(RunFolderError, match="other settings"):
        iterate(plan(tiny_player), tmp_path, lambda target, number, home: {})


def test_a_target_that_cannot_be_trained_is_refused(tmp_path):
    hosted = Plan(RunSettings(target="openai:gpt-4o"), trainer("text_dpo"), 1, lambda number: TASKS)
    with pytest.raises(SettingsError, match="cannot be trained here"):
        iterate(hosted, tmp_path, lambda target, number, home: {})


def test_the_demonstration_trains_on_no_held_out_entity_and_on_no_task_twice():
    plan, _ = demo(tasks=100, heldout=200, iterations=2)
    first, second = plan.tasks(1), plan.tasks(2)
    heldout = [task for name in ("sums", "facts") for task in FAMILIES[name].make(200, 0, "heldout")]
    assert len(first) == len(second) == 200
    assert not {task.prompt for task in first} & {task.prompt for task in second}
    assert not {task.meta["entity"] for task in [*first, *second]} & {task.meta["entity"] for task in heldout}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [(10, 50, "better beyond"), (50, 10, "worse beyond"), (50, 52, "within the interval"), (50, 60, "better beyond")],
)
def test_a_change_is_judged_task_by_task(before, after, words):
    assert words in change([result(before), result(30), result(after)])


def test_a_refused_iteration_is_shown_and_not_counted():
    done = [
        Iteration(0, "m", {}, {"sums": result(50)}),
        Iteration(1, "m", {"accepted": 3}, {"sums": result(20)}, adopted=False, reason="accuracy fell"),
        Iteration(2, "m2", {"accepted": 4}, {"sums": result(90)}),
    ]
    heading, row = table(done)
    assert heading[1:] == ["before", "iteration 1 (not adopted)", "iteration 2", "change"]
    assert row[2].startswith("20.0%")
    assert change([result(50), result(90)]) == row[-1]
    assert table(done[:2])[1][-1] == "+0.0 points, within the interval"
    assert "- iteration 1: 3 accepted; not adopted: accuracy fell" in markdown(done, RunSettings())


def test_the_report_shows_every_family_with_n_and_interval():
    done = [Iteration(n, "m", {"accepted": n} if n else {}, {"sums": result(10 + 40 * n)}) for n in (0, 1)]
    assert table(done)[1][0] == "sums (n = 100)"
    text = markdown(done, RunSettings(judge="openai:gpt-4o", seed=3))
    assert "Judge of the pairs: openai:gpt-4o." in text
    assert "no model" in markdown(done, RunSettings())
    assert "10.0% [5.5%, 17.4%]" in text
    assert "seed 3" in text
    assert "iteration 1: 1 accepted" in text
