"""Training in several processes: the packaged configurations, and two real processes on the CPU."""

import json
import os
import subprocess
import sys
from importlib import resources
from types import SimpleNamespace

import pytest
from datasets import Dataset

from anyprefer.training.trainers import processes
from anyprefer.training.trainers.dpo import TrainReport, train
from anyprefer.training.trainers.memory import activation_bytes, needs_checkpointing
from anyprefer.training.trainers.settings import train_settings

CONFIGS = resources.files("anyprefer.training") / "accelerate-configs"
SETTINGS = {
    "dtype": "float32",
    "epochs": 2,
    "learning_rate": 5e-3,
    "lora_r": 4,
    "lora_alpha": 8,
    "max_length": 64,
    "threads": 1,
}


@pytest.fixture
def pairs(tmp_path):
    rows = [
        {
            "prompt": [{"role": "user", "content": f"q{number}"}],
            "chosen": [{"role": "assistant", "content": f"yes {number}"}],
            "rejected": [{"role": "assistant", "content": f"no no {number}"}],
        }
        for number in range(8)
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.parametrize(
    ("name", "kind"), [("ddp", "MULTI_GPU"), ("fsdp", "FSDP"), ("zero2", "DEEPSPEED"), ("zero3", "DEEPSPEED")]
)
def test_accelerate_reads_the_packaged_configurations(name, kind):
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(CONFIGS / f"{name}.yaml"))
    assert config.distributed_type == kind
    assert (config.num_processes, config.use_cpu, config.mixed_precision) == (8, False, "no")


@pytest.mark.parametrize(("name", "stage"), [("zero2", 2), ("zero3", 3)])
def test_the_launcher_takes_the_deepspeed_keys(name, stage):
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    known = vars(launch_command_parser().parse_args(["script.py"]))
    given = load_config_from_file(str(CONFIGS / f"{name}.yaml")).deepspeed_config
    assert given["zero_stage"] == stage
    assert set(given) <= set(known)


def test_the_launcher_takes_the_fsdp_keys():
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    known = vars(launch_command_parser().parse_args(["script.py"]))
    given = load_config_from_file(str(CONFIGS / "fsdp.yaml")).fsdp_config
    assert set(given) <= set(known)


def test_a_launched_process_takes_its_own_gpu(monkeypatch):
    monkeypatch.setattr(processes, "default_device", lambda: "cuda")
    monkeypatch.setattr(processes.torch.cuda, "set_device", lambda at: None)
    assert processes.train_device() == "cuda"
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert processes.train_device() == "cuda:3"
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert processes.train_device() == "cpu"
    monkeypatch.delenv("ACCELERATE_USE_FSDP")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert processes.train_device() == "cpu"


def test_one_process_shares_nothing():
    rows = Dataset.from_list([{"a": 1}])
    with processes.shared_rows(rows) as ready:
        assert ready == [rows]
        assert ready[0] is rows


def test_several_machines_do_not_share_a_disk(monkeypatch):
    assert processes.one_machine()
    monkeypatch.setenv("WORLD_SIZE", "16")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert not processes.one_machine()


def test_checkpointing_only_where_activations_do_not_fit(monkeypatch):
    llama = SimpleNamespace(hidden_size=4096, intermediate_size=11008, num_hidden_layers=32)
    llama.get_text_config = lambda: llama
    gpu = SimpleNamespace(device=SimpleNamespace(type="cuda"), config=llama)
    paper = train_settings("paper")
    free = activation_bytes(llama, paper) * 2
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (free, free))
    assert not needs_checkpointing(gpu, paper)
    assert needs_checkpointing(gpu, train_settings("paper", batch_size=2))
    assert not needs_checkpointing(SimpleNamespace(device=SimpleNamespace(type="cpu"), config=llama), paper)
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    assert needs_checkpointing(gpu, paper)


@pytest.mark.slow
def test_two_processes_train_as_one_does(tiny, pairs, tmp_path):
    alone = train([pairs], str(tiny), tmp_path / "alone", train_settings(**SETTINGS, batch_size=4))
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
    launcher = ["-m", "accelerate.commands.launch", "--config_file", str(CONFIGS / "ddp.yaml"), "--num_processes=2"]
    command = [*launcher, "-m", "anyprefer.cli", "train", str(pairs), "--batch-size=2", *flags]
    done = subprocess.run(
        [sys.executable, *command, "--base", f"hf:{tiny}", "--out", str(tmp_path / "two")],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("in 2 processes") == 1
    report = TrainReport.model_validate_json((tmp_path / "two" / "anyprefer.json").read_text())
    assert report.losses == pytest.approx(alone.losses, abs=2e-3)
    assert report.trained == alone.trained == 8
