import hashlib
import json
import math
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from trl import DPOConfig

from anyprefer.core.errors import ModelSetupError, TrainingError
from anyprefer.core.settings import RunSettings
from anyprefer.models.local.adapters import adapter_base, public_name
from anyprefer.models.local.chat import LocalChat
from anyprefer.training.trainers.by_name import trainer
from anyprefer.training.trainers.curves import arguments
from anyprefer.training.trainers.dpo import REPORT, TrainReport, train
from anyprefer.training.trainers.settings import PRESETS, train_settings

FAST = {
    "dtype": "float32",
    "epochs": 6,
    "learning_rate": 5e-3,
    "lora_r": 4,
    "lora_alpha": 8,
    "batch_size": 4,
    "max_length": 64,
    "threads": 1,
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    rows = [
        {
            "prompt": [{"role": "user", "content": f"q{number}"}],
            "chosen": [{"role": "assistant", "content": "yes"}],
            "rejected": [{"role": "assistant", "content": "no no no"}],
        }
        for number in range(8)
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def first(tiny, pairs, tmp_path_factory):
    return train([pairs], str(tiny), tmp_path_factory.mktemp("first"), train_settings(**FAST))


def answer(model):
    chat = LocalChat(model=str(model), dtype="float32", temperature=0, max_tokens=8)
    text = chat.invoke("q1").text
    chat.unload()
    return text


def test_training_lowers_the_loss_from_log_2(first):
    assert first.losses[0] == pytest.approx(math.log(2), abs=1e-4)
    assert first.losses[-1] < first.losses[0] / 2
    assert first.metrics["rewards/accuracies"] == 1


def test_the_adapter_changes_the_answers(tiny, first):
    assert answer(first.adapter) != answer(tiny)


def test_the_next_round_starts_at_log_2_from_the_same_adapter(tiny, pairs, first, tmp_path):
    second = train([pairs], first.adapter, tmp_path / "second", train_settings(**{**FAST, "epochs": 1}))
    assert second.losses[0] == pytest.approx(math.log(2), abs=1e-4)
    assert adapter_base(second.adapter) == str(tiny)
    assert sorted(path.name for path in (tmp_path / "second").iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        REPORT,
    ]


def test_an_empty_file_beside_the_pairs_loses_no_training(tiny, pairs, tmp_path):
    """A run that was killed before its first commit leaves one."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "pairs.jsonl").write_bytes((pairs / "pairs.jsonl").read_bytes())
    (run / "judge_pairs.jsonl").touch()
    report = train([run], str(tiny), tmp_path / "out", train_settings(**{**FAST, "epochs": 1}))
    assert [(file.rows, file.path.rpartition("/")[2]) for file in report.pairs] == [
        (8, "pairs.jsonl"),
        (0, "judge_pairs.jsonl"),
    ]
    assert (tmp_path / "out" / "adapter_model.safetensors").is_file()


def test_all_that_can_be_refused_is_refused_before_training(tiny, pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("anyprefer.training.trainers.dpo._trainer", lambda *given: pytest.fail("it began to train"))
    settings, file = train_settings(**FAST), tmp_path / "file"
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "pairs.jsonl").touch()
    file.touch()
    with pytest.raises(TrainingError, match=r"empty/pairs\.jsonl holds no pairs"):
        train([pairs, tmp_path / "empty"], str(tiny), tmp_path / "out", settings)
    with pytest.raises(TrainingError, match="the adapter cannot be written to"):
        train([pairs], str(tiny), file / "adapter", settings)


def test_the_adapter_is_saved_before_what_is_said_of_it(tiny, pairs, tmp_path, monkeypatch):
    def full(report):
        raise OSError("no space left on device")

    monkeypatch.setattr("anyprefer.training.trainers.dpo.model_card", full)
    with pytest.raises(OSError, match="no space"):
        train([pairs], str(tiny), tmp_path / "out", train_settings(**{**FAST, "epochs": 1}))
    assert adapter_base(str(tmp_path / "out")) == str(tiny)
    assert (tmp_path / "out" / "adapter_model.safetensors").stat().st_size > 0


def test_pairs_equal_as_tokens_are_counted_in_the_report(tiny, pairs, tmp_path):
    rows = [json.loads(line) for line in (pairs / "pairs.jsonl").read_text().splitlines()]
    for answer, text in (("chosen", "w" * 80 + "a"), ("rejected", "w" * 80 + "b")):
        rows[0][answer][0]["content"] = text
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = train([file], str(tiny), tmp_path / "out", train_settings(**{**FAST, "epochs": 1}))
    assert (report.trained, report.left_out, report.pairs[0].rows) == (7, 1, 8)


def test_the_card_is_valid_and_says_what_was_trained_on(tiny, pairs, first):
    header, _, text = (Path(first.adapter) / "README.md").read_text(encoding="utf-8")[4:].partition("---\n")
    said = yaml.safe_load(header)
    assert (said["base_model"], said["library_name"], said["pipeline_tag"]) == (str(tiny), "peft", "text-generation")
    assert "8 preference pairs" in text
    assert first.pairs[0].sha256 in text
    assert str(pairs) not in text  # where the user's files lie is nobody's business
    [command] = [line for line in text.splitlines() if line.startswith("anyprefer train")]
    assert f"{pairs.name}/pairs.jsonl --base hf:{tiny}" in command
    assert "--epochs=6" in command
    assert "--learning-rate=0.005" in command
    assert "(licence: not known)" in text
    assert "8 pairs were trained on." in text
    assert "| rewards/accuracies | 1 |" in text
    assert "| learning_rate | 0.005 |" in text
    assert "report_to" not in json.loads((Path(first.adapter) / REPORT).read_text())["settings"]


def test_the_adapter_loads_by_peft_s_own_class_as_its_card_says(first):
    from peft import AutoPeftModelForCausalLM

    model = AutoPeftModelForCausalLM.from_pretrained(first.adapter)
    assert model.active_adapters == ["default"]
    assert "AutoPeftModelForCausalLM.from_pretrained" in (Path(first.adapter) / "README.md").read_text()


def test_curves_go_to_tensorboard_in_the_output(tiny, pairs, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = train_settings(**{**FAST, "epochs": 2, "report_to": "tensorboard"})
    report = train([pairs], str(tiny), tmp_path / "out", settings)
    events = EventAccumulator(str(tmp_path / "out" / "curves")).Reload()
    assert {"train/loss", "train/rewards/margins", "train/rewards/accuracies"} <= set(events.Tags()["scalars"])
    assert [one.value for one in events.Scalars("train/loss")] == pytest.approx(report.losses)
    assert "--report-to" not in (tmp_path / "out" / "README.md").read_text()


def test_a_viewer_that_is_not_installed_is_named_before_anything_is_loaded(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("anyprefer.training.trainers.curves.find_spec", lambda name: None)
    settings = train_settings(**{**FAST, "report_to": "wandb"})
    with pytest.raises(TrainingError, match="needs a package that is not installed: pip install wandb"):
        train([pairs], str(tmp_path / "no-model"), tmp_path / "out", settings)
    trained = trainer("text_dpo", {"report_to": "trackio"})
    with pytest.raises(TrainingError, match="pip install trackio"):
        trained.check("smollm2", RunSettings())


def test_trackio_and_wandb_are_transformers_own(tmp_path):
    assert arguments("wandb", tmp_path) == {"report_to": "wandb", "project": "anyprefer", "run_name": str(tmp_path)}
    assert set(arguments("trackio", tmp_path)) <= {field.name for field in fields(DPOConfig)}


def test_an_adapter_on_the_embedded_model_names_what_others_can_load(tmp_path):
    from anyprefer.training.trainers.card import model_card

    report = TrainReport(
        adapter="a", base="smollm2", pairs=(), trained=1, settings=train_settings("embedded"), versions={}, losses=(),
        metrics={}, seconds=1,
    )  # fmt: skip
    assert 'base_model: "HuggingFaceTB/SmolLM2-135M-Instruct"' in model_card(report)
    assert "anyprefer train --base smollm2 --preset embedded --out a" in model_card(report)
    assert public_name("smollm2") == "HuggingFaceTB/SmolLM2-135M-Instruct"
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": public_name("smollm2")}))
    assert adapter_base(str(tmp_path)) == "smollm2"


def test_with_the_base_as_reference_a_trained_start_is_ahead(pairs, first, tmp_path):
    settings = train_settings(**{**FAST, "epochs": 1, "reference": "base"})
    assert train([pairs], first.adapter, tmp_path / "out", settings).losses[0] < math.log(2) / 2


def test_the_report_says_where_the_adapter_comes_from(tiny, pairs, first, tmp_path_factory):
    file = pairs / "pairs.jsonl"
    saved = TrainReport.model_validate_json((tmp_path_factory.getbasetemp() / first.adapter / REPORT).read_text())
    assert saved == first
    assert saved.base == str(tiny)
    assert saved.pairs[0].sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (saved.pairs[0].rows, saved.trained) == (8, 8)


def test_equal_seeds_give_equal_losses(tiny, pairs, tmp_path):
    settings = train_settings(**{**FAST, "epochs": 1})
    one, two = (train([pairs], str(tiny), tmp_path / name, settings).losses for name in ("one", "two"))
    assert one == two


def test_answers_alone_are_scored_and_the_loss_is_trls(tiny, pairs, tmp_path, monkeypatch):
    from trl.kernels.chunked_logprob import ChunkedLogProbFunction

    from anyprefer.training.trainers import dpo

    rows, real = [], ChunkedLogProbFunction.forward
    monkeypatch.setattr(
        ChunkedLogProbFunction,
        "forward",
        staticmethod(lambda ctx, hidden, *more: (rows.append(len(hidden)), real(ctx, hidden, *more))[1]),
    )
    settings = train_settings(**{**FAST, "epochs": 1})
    ours, scored = train([pairs], str(tiny), tmp_path / "ours", settings).losses, max(rows)
    rows.clear()
    monkeypatch.setattr(dpo.Texts, "trainer", dpo.DPOTrainer)
    stock = train([pairs], str(tiny), tmp_path / "stock", settings).losses
    assert ours == pytest.approx(stock, abs=1e-5)
    assert scored < max(rows) / 2


def test_losses_add_up_by_weight(tiny, pairs, tmp_path):
    settings = train_settings(**{**FAST, "epochs": 1, "loss_type": ("sigmoid", "sft"), "loss_weights": (1.0, 0.5)})
    assert train([pairs], str(tiny), tmp_path / "out", settings).losses[0] > math.log(2) + 0.5


def test_named_modules_are_adapted(tiny, pairs, tmp_path):
    train(
        [pairs], str(tiny), tmp_path / "out", train_settings(**{**FAST, "epochs": 1, "lora_targets": "q_proj, v_proj"})
    )
    saved = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert sorted(saved["target_modules"]) == ["q_proj", "v_proj"]


def test_an_existing_adapter_is_not_overwritten(tiny, pairs, first):
    with pytest.raises(TrainingError, match="already holds an adapter"):
        train([pairs], str(tiny), Path(first.adapter), train_settings(**FAST))


def test_pairs_longer_than_max_length_are_named(tiny, pairs, tmp_path):
    with pytest.raises(TrainingError, match="max_length"):
        train([pairs], str(tiny), tmp_path / "out", train_settings(**{**FAST, "max_length": 8}))


def test_a_missing_base_is_named(pairs, tmp_path):
    with pytest.raises(ModelSetupError, match="nowhere"):
        train([pairs], str(tmp_path / "nowhere"), tmp_path / "out", train_settings(**FAST))


def test_the_paper_preset_is_table_3():
    settings = train_settings("paper")
    assert (settings.epochs, settings.lora_r, settings.lora_alpha) == (3, 128, 256)
    assert (settings.batch_size, settings.learning_rate, settings.max_length) == (1, 1e-7, 1024)
    assert settings.lora_targets == "all-linear"


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid_and_take_changes(preset):
    assert train_settings(preset, epochs=5, beta=None).epochs == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"preset": "huge"}, "unknown preset"),
        ({"epochs": 0}, "epochs"),
        ({"lora_rank": 4}, "lora_rank"),
        ({"loss_type": ("sigmoid", "sft")}, "same length"),
        ({"loss_type": ("dpo",)}, "sigmoid"),
    ],
)
def test_bad_settings_are_named(changes, said):
    with pytest.raises(TrainingError, match=said):
        train_settings(**changes)
