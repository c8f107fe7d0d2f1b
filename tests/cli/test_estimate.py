"""`anyprefer train --estimate` as a user types it."""

import pytest

from tests.command_line import PAIR, refused, run, write

pytestmark = pytest.mark.usefixtures("here")


def messages(role, text):
    return [{"role": role, "content": text}]


def test_the_estimate_is_printed_and_nothing_is_trained(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr("anyprefer.training.trainers.dpo.train", None)
    answers = {"chosen": messages("assistant", "y" * 40), "rejected": messages("assistant", "n" * 20)}
    write("pairs.jsonl", [{"prompt": messages("user", "p" * 80), **answers}] * 3)
    flags = ("--base", f"hf:{tiny}", "--preset", "paper", "--estimate")
    result = run("train", "pairs.jsonl", *flags, "--out", "models/a")
    assert result.exit_code == 0, result.output
    assert "3 pairs" in result.stdout
    assert "30 tokens a pair side as in these pairs" in result.stdout
    assert "fits in 80 GiB" in result.stdout
    assert not (tmp_path / "models").exists()
    result = run("train", *flags, "--estimate-pairs", 6000, "--gpu", "rtx4090")
    assert result.exit_code == 0, result.output
    assert "6,000 pairs" in result.stdout
    assert "fits in 24 GiB" in result.stdout
    assert "30% of 165 TFLOP/s" in result.stdout
    assert "as in these pairs" not in result.stdout


def test_what_is_missing_is_named(tiny):
    write("pairs.jsonl", [PAIR])
    assert "--estimate-pairs" in refused(run("train", "--base", f"hf:{tiny}", "--estimate"))
    assert "--out is missing" in refused(run("train", "pairs.jsonl", "--base", "smollm2"))
    assert "unknown GPU 'b100'" in refused(run("train", "--base", f"hf:{tiny}", "--estimate-pairs", 3, "--gpu", "b100"))


@pytest.mark.parametrize(
    "command", [["iterate", "--app", "control:paper"], ["reproduce", "table13", "--scale", "paper"]]
)
def test_controls_paper_scale_has_memory_time_and_cost_before_there_is_a_gpu(command):
    said = run(*command, "--estimate").stdout
    assert "7,541,237,184 parameters and 110,828,288 of LoRA, 112 pairs in 1,120 windows of 8 steps" in said
    assert "all, fits in 80 GiB" in said
    assert "1,880 episodes, trials counted" in said
    assert "judge and engine behind servers, at most: 16.46 US dollars" in said
