"""`anyprefer iterate` and `anyprefer demo`: what they plan and show; `iterate` itself has tests of its own."""

from pathlib import Path

import pytest

from anyprefer.core.errors import TrainingError
from anyprefer.core.records import Row
from anyprefer.core.results import EvalResult
from anyprefer.training.loop.iterate import Iteration
from anyprefer.training.loop.settings import IterateSettings
from tests.command_line import refused, run, write

pytestmark = pytest.mark.usefixtures("here")


def result(correct):
    marks = {str(task): task < correct for task in range(100)}
    return EvalResult(model="m", n=100, correct=correct, marks=marks, seed=0, temperature=0.0, max_tokens=8)


@pytest.fixture
def planned(monkeypatch):
    """The plans `iterate` is called with; it plays one row an iteration and evaluates nothing."""
    plans = []

    def iterate(plan, folder, evaluate, steps):
        plans.append((plan, evaluate))
        folder.mkdir(parents=True)
        done = [Iteration(0, plan.settings.target, {}, {"held": result(10)})]
        for number in range(1, plan.iterations + 1):
            steps.step(number, "synthesise")
            steps.row(number, Row(id="1", outcome="accepted"))
            steps.step(number, "train")
            done.append(Iteration(number, f"hf:adapter-{number}", {"accepted": 1}, {"held": result(10 + 30 * number)}))
            steps.done(done[-1])
        return done

    monkeypatch.setattr("anyprefer.training.loop.iterate.iterate", iterate)
    return plans


def test_iterate_plans_from_flags_and_writes_a_report(planned):
    write("held.jsonl", [{"question": "2 + 2?", "reference": "4"}])
    flags = ("--heldout", "held.jsonl", "--iterations", 2, "--share", "--epochs", 1, "--seed", 5, "--candidates", 3)
    given = run("iterate", "sums.jsonl", "--column", "prompt=question", *flags, "--out", "loop")
    assert given.exit_code == 0, given.output
    [(plan, _)] = planned
    assert (plan.settings.candidates, plan.settings.seed, plan.trainer.settings.epochs) == (3, 5, 1)
    assert plan.loop == IterateSettings()
    assert plan.trainer.settings.lora_r == 16  # the embedded preset, since the target is smollm2
    first, second = plan.tasks(1), plan.tasks(2)
    assert {task.id for task in first}.isdisjoint(task.id for task in second)
    assert len(first) + len(second) == 8
    assert "+60.0 points, better beyond the interval" in given.output
    report = Path("loop/report.md").read_text()
    assert "| held (n = 100) | 10.0% [5.5%, 17.4%] | 40.0%" in report
    assert "no model" in report


def test_flags_turn_the_gate_the_adapter_and_the_replay(planned):
    write("held.jsonl", [{"question": "2 + 2?", "reference": "4"}])
    flags = ("--no-gate", "--adapter", "merge", "--replay", 0.5)
    run("iterate", "sums.jsonl", "--column", "prompt=question", "--heldout", "held.jsonl", *flags, "--out", "loop")
    assert planned[0][0].loop == IterateSettings(gate=False, replay=0.5)
    assert planned[0][0].trainer.settings.adapter == "merge"


def test_a_refused_iteration_is_said_and_reported(monkeypatch):
    def iterate(plan, folder, evaluate, steps):
        folder.mkdir(parents=True)
        done = [
            Iteration(0, "smollm2", {}, {"held": result(50)}),
            Iteration(1, "smollm2", {"accepted": 1}, {"held": result(10)}, adopted=False, reason="accuracy fell"),
        ]
        for each in done:
            steps.done(each)
        return done

    monkeypatch.setattr("anyprefer.training.loop.iterate.iterate", iterate)
    given = run("demo", "--out", "show")
    assert "not adopted, the target before plays on: accuracy fell" in given.output
    assert "model: smollm2" in given.output
    assert "not adopted: accuracy fell" in Path("show/report.md").read_text()


def test_iterations_repeat_all_tasks_unless_they_share_them(planned):
    write("held.jsonl", [{"question": "2 + 2?", "reference": "4"}])
    run("iterate", "sums.jsonl", "--column", "prompt=question", "--heldout", "held.jsonl", "--out", "loop")
    plan = planned[0][0]
    assert plan.tasks(1) == plan.tasks(2)
    assert len(plan.tasks(1)) == 8


def test_iterate_marks_the_held_out_tasks_with_the_model_it_is_given(planned, tmp_path):
    from anyprefer.core.settings import Settings
    from anyprefer.nodes.targets.chat import ChatTarget
    from tests.scripted import Scripted

    write("held.jsonl", [{"question": "2 + 2?", "reference": "4"}, {"question": "2 + 3?", "reference": "5"}])
    run("iterate", "sums.jsonl", "--column", "prompt=question", "--heldout", "held.jsonl", "--out", "loop")
    marked = planned[0][1](ChatTarget(Scripted(sample="It is 4."), Settings()), 1, tmp_path)
    assert (marked["held.jsonl"].correct, marked["held.jsonl"].n) == (1, 2)


def test_demo_plans_the_demonstration(planned):
    given = run("demo", "--tasks", 3, "--iterations", 1, "--seed", 2, "--out", "show")
    assert given.exit_code == 0, given.output
    plan = planned[0][0]
    assert (plan.settings.target, plan.settings.judge, plan.settings.seed) == ("smollm2", "evidence", 2)
    assert len(plan.tasks(1)) == 6
    assert "hf:adapter-1" in given.output


def test_an_iteration_without_pairs_is_one_line(monkeypatch):
    def iterate(*arguments):
        raise TrainingError("iteration 1 accepted no pair")

    monkeypatch.setattr("anyprefer.training.loop.iterate.iterate", iterate)
    assert "accepted no pair" in refused(run("demo", "--out", "show"), code=1)
    assert not Path("show/report.md").exists()
