"""DPO on pairs with images, on tiny models in the shape of the named ones: TRL's vision DPO is what it must equal."""

import gc
import math
from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, CLIPVisionModel, TrainerCallback
from trl import DPOConfig, DPOTrainer

from anyprefer.core.errors import TrainingError
from anyprefer.core.pictures import content_hash, opened
from anyprefer.models.local.chat_prompts import as_dicts, prompt_of
from anyprefer.models.local.weights import load_processor, load_weights
from anyprefer.models.messages import user
from anyprefer.training.pair_data.read import read_pairs
from anyprefer.training.trainers import dpo, image_features
from anyprefer.training.trainers.choice import BestStep, kept_out
from anyprefer.training.trainers.image_features import FromPixels, Remembered
from anyprefer.training.trainers.image_features import _before as before
from anyprefer.training.trainers.image_rows import ImageRows
from anyprefer.training.trainers.image_training import ImageCollator, Images, image_lora, trained_projector
from anyprefer.training.trainers.settings import IMAGE_PRESETS, ImageTrainSettings
from tests.command_line import run as run_cli
from tests.command_line import write
from tests.pictured import LLAVA_15, picture, save_idefics, save_llava, save_qwen_vl

PICTURES = [picture("red"), picture("blue", (64, 30)), picture("green", (20, 60)), picture("black")]
FAST = {
    "dtype": "float32", "epochs": 2, "learning_rate": 5e-3, "projector_rate": 5e-3, "lora_r": 2, "lora_alpha": 4,
    "batch_size": 4, "max_length": 256, "threads": 1,
}  # fmt: skip
MADE = {
    "llava": lambda folder: save_llava(folder, template="{{ bos_token }}" + LLAVA_15),  # TRL adds none itself
    "qwen": save_qwen_vl,
    "idefics": save_idefics,
}


def settings(**changes):
    return ImageTrainSettings(**{**FAST, **changes})


def pair(number, images, prompt="what"):
    answers = {"chosen": "yes" * (1 + number % 3), "rejected": "no no" * (1 + number % 2)}
    messages = {name: [{"role": "assistant", "content": text}] for name, text in answers.items()}
    return {"prompt": [{"role": "user", "content": prompt + " q" * number}], **messages, "images": images}


def turned(row):
    """As `read_pairs` gives it."""
    return {**row, "turns": row["prompt"]}


def save(folder, rows):
    write(folder / "pairs.jsonl", rows)
    return folder


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    return MADE["llava"](tmp_path_factory.mktemp("llava"))


@pytest.fixture
def run(tmp_path):
    """Rows with one image, two and none; the third image in two of them."""
    shown = [PICTURES[:1], PICTURES[1:3], [], PICTURES[2:3], [PICTURES[3]], PICTURES[:2]]
    return save(tmp_path, [pair(number, images) for number, images in enumerate(shown)])


def stock(rows, base, wanted, folder):
    """TRL's vision DPO, given our adapter's shape."""
    model = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
    arguments = DPOConfig(
        output_dir=str(folder), num_train_epochs=wanted.epochs, learning_rate=wanted.learning_rate, seed=wanted.seed,
        per_device_train_batch_size=wanted.batch_size, max_length=None, remove_unused_columns=False, bf16=False,
        gradient_checkpointing=False, use_cpu=True, logging_steps=1, report_to="none", save_strategy="no",
    )  # fmt: skip
    return DPOTrainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        processing_class=load_processor(base),
        peft_config=image_lora(model, wanted, trained_projector(model, wanted, base)),
    )


def losses(trainer):
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def ours(rows, base, wanted, folder):
    folder.mkdir()
    work = Images(base, wanted)
    work.check(rows)
    return dpo._trainer(work, folder, Dataset.from_list(work.tokenised(rows)))


@pytest.mark.parametrize("kind", MADE)
def test_every_loss_is_that_of_trls_vision_dpo(kind, tmp_path):
    base = str(MADE[kind](tmp_path / kind))
    rows = [pair(number, [PICTURES[number % 4], PICTURES[-1]][: 1 + number % 2]) for number in range(8)]
    trainer = ours([turned(row) for row in rows], base, settings(), tmp_path / "ours")
    trainer.args.train_sampling_strategy = "random"
    mark = trainer.processing_class.tokenizer.convert_tokens_to_ids("q")
    order = [row["prompt_ids"].count(mark) for row in trainer.train_dataset]  # shortest first
    shown = [{**rows[at], "images": [opened(image) for image in rows[at]["images"]]} for at in order]
    expected = losses(stock(Dataset.from_list(shown), base, settings(), tmp_path / "stock"))
    assert expected[0] == pytest.approx(math.log(2), abs=1e-4)
    assert expected[-1] < 0.8 * expected[0]
    assert losses(trainer) == pytest.approx(expected, abs=2e-3)
    assert isinstance(trainer.data_collator.images, Remembered)


def towers_runs(monkeypatch, model):
    """How many images each of its runs sees."""
    runs, real = [], model.forward

    def forward(self, pixel_values, *args, **kwargs):
        runs.append(len(pixel_values))
        return real(self, pixel_values, *args, **kwargs)

    monkeypatch.setattr(model, "forward", forward)
    return runs


def test_the_tower_sees_each_image_once(llava, run, tmp_path, monkeypatch):
    runs = towers_runs(monkeypatch, CLIPVisionModel)
    report = dpo.train([run], str(llava), tmp_path / "out", settings(epochs=3), Images)
    assert runs == [4, 2]  # four distinct images at once, and one, for chosen and rejected, to compare with
    assert report.losses[0] == pytest.approx(math.log(2), abs=1e-4)
    assert report.losses[-1] < 0.8 * report.losses[0]
    assert (report.trained, report.left_out) == (6, 0)


def test_where_features_do_not_do_what_pixels_do_the_tower_runs_at_every_step(
    llava, run, tmp_path, monkeypatch, caplog
):
    kept = dpo.train([run], str(llava), tmp_path / "kept", settings(), Images).losses
    monkeypatch.setattr(image_features, "_before", lambda *given: 1 + before(*given))
    runs = towers_runs(monkeypatch, CLIPVisionModel)
    pixels = dpo.train([run], str(llava), tmp_path / "pixels", settings(), Images).losses
    assert runs[:2] == [4, 2]
    assert sum(runs[2:]) == 2 * 7 * 3  # twice as many as the rows show, for the reference and both epochs
    assert "its logits are others" in caplog.text
    assert pixels == pytest.approx(kept, abs=2e-3)


def test_image_tokens_are_counted_and_none_is_lost(llava, run, tmp_path):
    processor = load_processor(str(llava))
    mark = processor.image_token_id
    work = Images(str(llava), settings(batch_size=2))
    rows = [row for _, found in read_pairs(run) for row in found]
    work.check(rows)
    tokens = work.tokenised(rows)
    assert [row["prompt_ids"].count(mark) for row in tokens] == [16 * len(row["pictures"]) for row in tokens]
    assert sum(len(row["pictures"]) for row in tokens) == 7
    trainer = dpo._trainer(work, tmp_path, Dataset.from_list(tokens))
    seen = 0
    for batch in trainer.get_train_dataloader():
        seen += int((batch["input_ids"] == mark).sum())
        shown = sum(len(features) for features in batch.get("pixel_values", []))
        assert int((batch["input_ids"] == mark).sum()) == 2 * 16 * shown
    assert seen == 2 * 7 * 16


class Held(TrainerCallback):
    """Bytes of all tensors that are there, after every eighth step."""

    def __init__(self):
        self.bytes = []

    def on_step_end(self, args, state, *others, **kwargs):
        if state.global_step % 8 == 0:
            tensors = [one for one in gc.get_objects() if issubclass(type(one), torch.Tensor)]
            self.bytes.append(sum(one.nbytes for one in tensors))


def test_memory_is_flat_over_200_rows(llava, tmp_path):
    rows = [turned(pair(0, [PICTURES[number % 4]], f"row {number:03}")) for number in range(200)]
    work = Images(str(llava), settings(batch_size=8, epochs=1))
    work.check(rows)
    trainer = dpo._trainer(work, tmp_path, Dataset.from_list(work.tokenised(rows)))
    held = Held()
    trainer.add_callback(held)
    trainer.train()
    assert len(held.bytes) == 3
    assert held.bytes[2] - held.bytes[0] < 2**14  # a picture's pixels are 12 KB, and each step has 16 of them


def test_prompts_are_those_the_model_is_sampled_with(llava):
    weights = load_weights(str(llava), dtype="float32", device="cpu")
    asked = [user("what <image> is this?", PICTURES[:2])]
    reader = ImageRows(weights.processor, 256, "llava")
    prompt = [{"role": "user", "content": "what <image> is this?"}]
    row = {**pair(0, PICTURES[:2]), "turns": prompt}
    assert tuple(reader.tokenised([row])[0]["prompt_ids"]) == prompt_of(weights, as_dicts(asked)).ids


def test_images_stand_where_the_conversation_has_them(tmp_path):
    base = save_idefics(tmp_path / "base")
    tokens = load_processor(str(base)).tokenizer
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}, {"type": "image"}]
    rows = [{**pair(1, PICTURES[:2]), "prompt": [{"role": "user", "content": parts}]}]
    read = read_pairs(save(tmp_path, rows))[0][1]
    ids = ImageRows(load_processor(str(base)), 256, "idefics").tokenised(read)[0]["prompt_ids"]
    text = tokens.decode(ids).replace("<image>", "").replace("<global-img>", "")
    pair_of_marks = "<fake_token_around_image>" * 2
    assert f"a{pair_of_marks}b{pair_of_marks}" in text


def test_pairs_that_are_too_long_or_show_no_image_are_named_and_left_out(llava, tmp_path, caplog):
    rows = [
        pair(0, PICTURES[:1]),
        pair(1, PICTURES[:2], "w" * 60),
        pair(2, ["data:image/png;base64,AAAA"]),
        pair(3, []),
    ]
    report = dpo.train([save(tmp_path, rows)], str(llava), tmp_path / "out", settings(max_length=90), Images)
    assert (report.trained, report.left_out) == (2, 2)
    assert "2 of 4 pairs are left out" in caplog.text
    assert "line 2: 1" in caplog.text
    assert "those of images counted, and max_length is 90" in caplog.text
    assert "line 3: image 'data:image/png" in caplog.text
    with pytest.raises(TrainingError, match=r"nothing to train on: 2 of 2.*max_length is 20"):
        dpo.train([save(tmp_path, rows[:2])], str(llava), tmp_path / "none", settings(max_length=20), Images)


def test_adapter_and_projector_load_to_equal_logits_and_train_on(llava, run, tmp_path):
    base, first = str(llava), tmp_path / "first"
    work = Images(base, settings())
    rows = [row for _, found in read_pairs(run) for row in found]
    work.check(rows)
    tokens = work.tokenised(rows)
    trainer = dpo._trainer(work, tmp_path, Dataset.from_list(tokens))
    trainer.train()
    dpo._save_adapter(trainer, base, first)
    batch = FromPixels(load_processor(base), work._sources, torch.float32)
    inputs = ImageCollator(0, batch)([row for row in tokens if len(row["pictures"]) == 2])
    inputs.pop("completion_mask")
    expected = trainer.model.eval()(**inputs).logits
    for merge in (False, True):
        loaded = load_weights(str(first), dtype="float32", device="cpu", merge=merge).model.eval()
        torch.testing.assert_close(loaded(**inputs).logits, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(
        load_weights(base, dtype="float32", device="cpu").model(**inputs).logits, expected, atol=0.1
    )
    second = dpo.train([run], str(first), tmp_path / "second", settings(epochs=1), Images)
    assert second.losses[0] == pytest.approx(math.log(2), abs=1e-4)
    changed = load_file(tmp_path / "second" / "adapter_model.safetensors")
    before = load_file(first / "adapter_model.safetensors")
    assert changed.keys() == before.keys()
    assert all(not torch.equal(changed[name], before[name]) for name in before if "projector" in name)


def test_the_projector_has_a_rate_of_its_own_and_the_tower_stays(llava, run, tmp_path):
    work = Images(str(llava), settings(learning_rate=1e-2, projector_rate=1e-3))
    rows = [row for _, found in read_pairs(run) for row in found]
    work.check(rows)
    trainer = dpo._trainer(work, tmp_path, Dataset.from_list(work.tokenised(rows)))
    names = {id(weight): name for name, weight in trainer.model.named_parameters()}
    rates = {
        names[id(weight)]: group["lr"]
        for group in trainer.create_optimizer().param_groups
        for weight in group["params"]
    }
    assert {rate for name, rate in rates.items() if "multi_modal_projector" in name} == {1e-3}
    assert {rate for name, rate in rates.items() if "language_model" in name} == {1e-2}
    assert not any("vision_tower" in name for name in rates)
    assert sum("multi_modal_projector" in name for name in rates) == 4
    frozen = dpo.train([run], str(llava), tmp_path / "out", settings(projector_rate=0), Images)
    assert not any("projector" in name for name in load_file(tmp_path / "out" / "adapter_model.safetensors"))
    assert frozen.losses[-1] < frozen.losses[0]


def test_the_projector_is_trained_in_float32(llava, run, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    small = settings(dtype="bfloat16", projector_rate=1e-5, epochs=1)
    dpo.train([run], str(llava), first, small, Images)
    dpo.train([run], str(first), second, small, Images)
    kept, again = (load_file(folder / "adapter_model.safetensors") for folder in (first, second))
    name = next(name for name in kept if "linear_1.weight" in name)
    assert kept[name].dtype == torch.float32
    assert 0 < (kept[name] - again[name]).abs().max() < 1e-4  # not what bfloat16 would round


def test_the_step_that_did_best_on_pairs_kept_out_is_kept(llava, tmp_path):
    """Chosen and rejected are the other way round in the pairs kept out: every step does worse there."""
    rows = [pair(0, [image], prompt) for image in PICTURES for prompt in ("a", "b")]
    wanted = settings(dev=0.25, check_every=2, batch_size=2, epochs=2)
    _, out = kept_out(as_tokens(llava, rows), wanted)
    assert len({row["pictures"][0] for row in out}) == 1
    assert len(out) == 2
    for row in rows:
        if content_hash(row["images"][0]) == out[0]["pictures"][0]:
            row["chosen"], row["rejected"] = row["rejected"], row["chosen"]
    report = dpo.train([save(tmp_path, rows)], str(llava), tmp_path / "out", wanted, Images)
    assert (report.trained, report.kept_out, report.step) == (6, 2, 0)
    assert [check["step"] for check in report.checks] == [0, 2, 4, 6]
    assert report.checks[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert report.checks[-1]["loss"] > report.checks[0]["loss"]
    saved = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert all(not weight.any() for name, weight in saved.items() if "lora_B" in name)  # as before the first step


def test_a_step_that_makes_chosen_answers_less_likely_is_not_kept_however_low_its_loss():
    model, best = torch.nn.Linear(1, 1), BestStep()
    for step, (loss, reward) in enumerate([(0.69, 0.0), (0.68, 0.01), (0.5, -0.01), (0.67, 0.0), (0.4, -1.0)]):
        torch.nn.init.constant_(model.weight, step)
        metrics = {"eval_loss": loss, "eval_rewards/chosen": reward}
        best.on_evaluate(None, SimpleNamespace(global_step=10 * step), None, metrics=metrics, model=model)
    best.restore(model)
    assert (best.step, model.weight.item(), len(best.checks)) == (30, 3, 5)


def as_tokens(base, rows):
    return ImageRows(load_processor(str(base)), 256, "llava").tokenised([turned(row) for row in rows])


def test_from_the_command_line(llava, run, tmp_path):
    out = tmp_path / "adapter"
    options = [f"--trainer-option={name}={value}" for name, value in (("projector_rate", 1e-3),)]
    told = run_cli(
        "train", str(run), "--base", f"hf:{llava}", "--trainer", "image_dpo", "--epochs", "1", "--threads", "1", *options,
        "--dtype", "float32", "--lora-r", "2", "--out", str(out),
    )  # fmt: skip
    assert told.exit_code == 0, told.stderr
    assert "6 pairs" in told.stdout
    card = (out / "README.md").read_text()
    assert "pipeline_tag: image-text-to-text" in card
    assert "--trainer image_dpo --preset paper --epochs=1.0 --lora-r=2" in card
    assert "--trainer-option=projector_rate=0.001" in card
    refused = run_cli("train", str(run), "--base", f"hf:{llava}", "--epochs", "1", "--out", str(tmp_path / "other"))
    assert refused.exit_code
    assert "image_dpo" in refused.stderr


def test_a_model_that_does_not_see_is_refused_and_so_is_one_that_does_by_the_other_trainer(tiny, llava, run, tmp_path):
    with pytest.raises(TrainingError, match="is a model that sees; train it with the trainer image_dpo"):
        dpo.Texts(str(llava), settings()).check([pair(0, [])])
    with pytest.raises(TrainingError, match="does not see; train it on texts with the trainer text_dpo"):
        dpo.train([run], str(tiny), tmp_path / "out", settings(), Images)


def test_the_paper_preset_is_table_3():
    paper = ImageTrainSettings(**IMAGE_PRESETS["paper"])
    assert (paper.epochs, paper.lora_r, paper.lora_alpha, paper.learning_rate) == (3, 128, 256, 1e-7)
    assert (paper.batch_size, paper.max_length, paper.projector_rate) == (1, 1024, 2e-5)
