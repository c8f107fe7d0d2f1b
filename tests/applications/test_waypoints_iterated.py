"""The example `examples/waypoints` through `anyprefer iterate`, killed once in its second iteration."""

import json
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "waypoints"
WATCHED = """
import os, signal, sys
from anyprefer.cli import main
from anyprefer.core.own_code import own_module

module, last = own_module("examples/waypoints/waypoints.py"), int(sys.argv.pop(1))
real, walks = module.rollout, 0

def rollout(weights, task, rng=None):
    global walks
    if rng is not None and weights.any():  # the second iteration's: the policy begins with weights of 0
        walks += 1
        if walks == last:
            os.kill(os.getpid(), signal.SIGKILL)
        with open("walks.txt", "a") as file:
            print(task.id, rng.bit_generator.state["state"]["state"], file=file)
    return real(weights, task, rng)

module.rollout = rollout
main()
"""
"""The command, with every rollout of the second iteration noted; before rollout number `last` the process is killed."""
IN_FLIGHT = 16 * 6
"""Rollouts of the tasks in flight at once."""


def iterate(home, last=0):
    """`anyprefer iterate --app examples/waypoints/waypoints.toml` in a folder with a copy of the example."""
    shutil.copytree(EXAMPLE, home / "examples" / "waypoints", dirs_exist_ok=True)
    words = ["iterate", "--app", "examples/waypoints/waypoints.toml", "--out", "run"]
    return subprocess.run(
        [sys.executable, "-c", WATCHED, str(last), *words], cwd=home, capture_output=True, encoding="utf-8", check=False
    )


def told(home, name):
    return json.loads((home / "run" / name).read_text(encoding="utf-8"))


def rows(home, number):
    lines = (home / "run" / f"iteration-{number}" / "pairs" / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


@pytest.mark.slow
def test_a_policy_is_iterated_killed_once_and_comes_to_the_same(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = iterate(whole)
    assert done.returncode == 0, done.stderr
    reached = [told(whole, f"{name}/evaluation.json")["reached"] for name in ("base", "iteration-1", "iteration-2")]
    assert reached[0]["correct"] < reached[1]["correct"] < reached[2]["correct"]
    assert [told(whole, f"iteration-{number}/gate.json")["adopted"] for number in (1, 2)] == [True, True]

    moment = random.Random(12).randrange(2, 150 * 6)
    assert iterate(killed, moment).returncode == -signal.SIGKILL
    assert (killed / "run" / "iteration-1" / "evaluation.json").exists()
    assert not (killed / "run" / "iteration-2" / "trained.json").exists()
    again = iterate(killed)
    assert again.returncode == 0, again.stderr
    for number in (1, 2):
        assert rows(killed, number) == rows(whole, number)
        assert told(killed, f"iteration-{number}/evaluation.json") == told(whole, f"iteration-{number}/evaluation.json")
        assert told(killed, f"iteration-{number}/gate.json") == told(whole, f"iteration-{number}/gate.json")
    weights = [told(home, "iteration-2/checkpoint/policy.json") for home in (killed, whole)]
    assert weights[0] == [pytest.approx(row) for row in weights[1]]

    walks = Counter((killed / "walks.txt").read_text().splitlines())
    assert len(walks) == 150 * 6
    assert walks.total() - len(walks) <= IN_FLIGHT  # nothing that was kept is rolled out again


def test_nothing_of_the_example_is_about_language_models():
    text = "".join(file.read_text(encoding="utf-8") for file in EXAMPLE.glob("waypoints.*"))
    assert not [word for word in ("hf:", "smollm2", "openai", "lora", "role", "chat", "token") if word in text.lower()]
    assert len(text.splitlines()) <= 150
