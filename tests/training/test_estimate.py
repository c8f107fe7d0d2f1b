"""The estimate against what is known and what is counted: Llama-2-7B's size, a real step's tensors."""

import pytest
import torch
from transformers import AutoConfig

from anyprefer.core.errors import ModelSetupError, TrainingError
from anyprefer.graph import RunSettings
from anyprefer.training.trainers.answers_only import AnswersTrainer
from anyprefer.training.trainers.dpo import train
from anyprefer.training.trainers.estimate import GIB, estimate_sampling, estimate_training, mean_tokens
from anyprefer.training.trainers.memory import activation_bytes, checkpointed_bytes
from anyprefer.training.trainers.settings import Gpu, ImageTrainSettings, gpu, train_settings
from anyprefer.training.trainers.shape import KNOWN, SIDE, Shape, read_shape
from tests.command_line import write
from tests.stand_ins import PLAIN, save_llama, tokenizer

PAPER = train_settings("paper")
CHAT = "meta-llama/Llama-2-7b-chat-hf"


@pytest.fixture(scope="module")
def llama_2() -> Shape:
    return read_shape(CHAT, PAPER)


def test_llama_2_7b_is_counted_exactly(llama_2, tmp_path):
    assert llama_2.parameters == 6_738_415_616
    assert llama_2.multiplied == 6_738_415_616 - 32000 * 4096
    layer = 128 * (4 * (4096 + 4096) + 3 * (4096 + 11008))  # q, k, v, o; gate, up, down
    assert llama_2.lora == 32 * layer == 319_815_680
    AutoConfig.for_model(**KNOWN[CHAT]).save_pretrained(tmp_path)
    assert read_shape(str(tmp_path), PAPER).parameters == llama_2.parameters
    half = read_shape(CHAT, train_settings("paper", lora_r=64, lora_targets="q_proj, v_proj"))
    assert half.lora == 32 * 2 * 64 * 8192


def test_the_papers_run_fits_one_80_gb_gpu(llama_2):
    found = estimate_training(llama_2, PAPER, pairs=6000)
    assert found.memory["weights"] == 2 * 6_738_415_616
    assert sum(found.memory[name] for name in found.memory if "LoRA" in name or "Adam" in name) == 16 * llama_2.lora
    assert found.memory["logits, at most"] == 2 * 1024 * 32000 * 2
    assert found.memory["reference"] == 0
    assert found.fits
    assert not found.checkpointing
    assert 35 < found.total / GIB < 45
    small = estimate_training(llama_2, PAPER, pairs=6000, gpu=Gpu(24, 312, 2039))
    assert small.checkpointing
    assert (small.memory["activations"], small.other) == (found.other, found.memory["activations"])
    assert small.fits
    assert not estimate_training(llama_2, PAPER, pairs=6000, gpu=Gpu(16, 312, 2039)).fits


def test_time_is_operations_over_what_the_gpu_reaches(llama_2):
    found = estimate_training(llama_2, PAPER, pairs=6000)
    tokens = 6000 * 2 * 1024
    frozen, lora = llama_2.multiplied, llama_2.lora
    attention = 2 * 32 * 1024 * 4096
    steps = tokens * 3 * (4 * frozen + 6 * lora + 3 * attention)
    assert found.flops == pytest.approx(steps + tokens * (2 * frozen + attention))
    assert found.seconds == pytest.approx(found.flops / (312e12 * 0.3))
    assert estimate_training(llama_2, PAPER, 6000, Gpu(80, 624, 2039)).seconds == pytest.approx(found.seconds / 2)
    assert estimate_training(llama_2, PAPER, 6000, length=512).flops < found.flops / 2
    assert estimate_training(llama_2, PAPER, 6000, length=5000).flops == found.flops
    again = estimate_training(llama_2, PAPER, 6000, Gpu(24, 312, 2039))
    assert again.flops - found.flops == pytest.approx(tokens * 3 * (2 * frozen + 2 * lora + attention))


def test_sampling_holds_keys_and_values(llama_2):
    found = estimate_sampling(llama_2, tasks=6000, prompt=512)
    assert found.sequences == 16 * 5
    assert found.memory["keys and values"] == 80 * 1024 * 2 * 32 * 4096 * 2
    assert found.fits
    tight = estimate_sampling(llama_2, 6000, 512, Gpu(24, 312, 2039))
    assert (tight.fits, tight.sequences < 80) == (True, True)
    assert tight.seconds > found.seconds
    assert not estimate_sampling(llama_2, 6000, 512, Gpu(12, 312, 2039)).fits
    assert estimate_sampling(llama_2, 2, 512).sequences == 10
    assert estimate_sampling(llama_2, 6000, 512, settings=RunSettings(max_new_tokens=256)).seconds < found.seconds / 2


def test_a_continued_adapter_holds_its_reference(tiny, tmp_path):
    write(tmp_path / "pairs.jsonl", [pair("yes", "no")])
    train([tmp_path], str(tiny), tmp_path / "adapter", train_settings("embedded", lora_r=4, max_length=64, threads=1))
    shape = read_shape(str(tmp_path / "adapter"), PAPER)
    assert shape.adapter
    assert shape.lora == read_shape(str(tiny), train_settings(lora_r=4)).lora  # its own rank, not the settings'
    assert estimate_training(shape, PAPER, 10).memory["reference"] == 4 * shape.lora
    base = train_settings(reference="base")
    assert estimate_training(shape, base, 10).memory["reference"] == 2 * shape.parameters


def pair(chosen, rejected, prompt="q"):
    answers = {"chosen": chosen, "rejected": rejected}
    messages = {name: [{"role": "assistant", "content": text}] for name, text in answers.items()}
    return {"prompt": [{"role": "user", "content": prompt}], **messages}


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
def test_activations_are_within_a_factor_of_two_of_those_a_step_keeps(tmp_path, monkeypatch, checkpointing):
    """Counted, not measured: the storages autograd keeps over the loss of one real step, in bfloat16 on a CPU.

    A GPU's kernels may keep others; the whole of a 7B run was not measured.
    """
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    tokens = tokenizer(("<pad>", "<s>", "</s>"), PLAIN, merges=False, **names)
    shape = {"hidden_size": 128, "intermediate_size": 344, "num_hidden_layers": 4, "max_position_embeddings": 128}
    model = save_llama(tmp_path / "model", tokens, **shape, initializer_range=0.02)
    write(tmp_path / "pairs.jsonl", [pair("y" * 150, "n" * 150)])  # a byte is a token: both are cut to max_length
    settings = train_settings("paper", lora_r=8, epochs=1, max_length=128, dtype="bfloat16", threads=1)
    monkeypatch.setattr("anyprefer.training.trainers.dpo.needs_checkpointing", lambda *_: checkpointing)
    kept = {}
    monkeypatch.setattr(AnswersTrainer, "compute_loss", counting(AnswersTrainer.compute_loss, kept))
    train([tmp_path], str(model), tmp_path / "adapter", settings)
    config = AutoConfig.from_pretrained(model)
    expected = activation_bytes(config, settings)
    if checkpointing:  # the layer computed again lives in the backward pass, which keeps nothing
        expected = checkpointed_bytes(config, settings) - expected // config.num_hidden_layers
    assert expected / 2 < sum(kept.values()) < expected * 2


def counting(real, kept):
    """`real`, noting the bytes of every storage that is kept for the backward pass and is no parameter."""

    def compute_loss(self, model, *args, **kwargs):
        weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}

        def pack(tensor):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            return real(self, model, *args, **kwargs)

    return compute_loss


def test_lengths_are_the_means_of_the_pairs():
    rows = [pair("x" * 8, "x" * 4, "p" * 4), pair("x" * 4, "x" * 16, "p" * 12)]
    assert mean_tokens(rows) == (2, 5)


def test_llava_1_5_7b_is_counted_exactly():
    paper = ImageTrainSettings()
    found = read_shape("llava-hf/llava-1.5-7b-hf", paper)
    projector = 1024 * 4096 + 4096 + 4096 * 4096 + 4096
    language = 6_738_415_616 + 2 * 64 * 4096  # Llama-2-7B with 64 tokens more
    assert found.parameters == 7_063_427_072  # as its hub page has it
    assert (found.sight.tower, found.projector) == (7_063_427_072 - language - projector, projector)
    assert (found.sight.tokens, found.sight.patches, found.sight.width) == (576, 576, 1024)
    assert found.lora == 319_815_680  # none on the tower: as much as Llama-2-7B's
    training = estimate_training(found, paper, pairs=6000)
    assert training.memory["projector, trained"] == 18 * projector
    assert training.fits
    text = estimate_training(read_shape(CHAT, PAPER), PAPER, pairs=6000)
    assert training.flops - text.flops > 6000 * 2 * found.sight.tower * 576
    assert training.flops < 1.02 * text.flops
    frozen = read_shape("llava-hf/llava-1.5-7b-hf", ImageTrainSettings(projector_rate=0))
    assert frozen.projector == 0
    assert "projector, trained" not in estimate_training(frozen, paper, pairs=6000).memory
    assert estimate_sampling(found, 6000, 640).fits


def test_llava_med_has_mistrals_text():
    found = read_shape("microsoft/llava-med-v1.5-mistral-7b", ImageTrainSettings())
    assert found.config.model_type == "mistral"
    assert found.parameters - found.sight.tower - found.projector == 7_241_732_096 + 2 * 4096  # Mistral-7B and <image>
    assert found.sight.tokens == 576


def test_models_that_see_are_counted_as_they_are_trained(tmp_path):
    from tests.pictured import save_idefics, save_qwen_vl

    small = ImageTrainSettings(lora_r=4)
    seen = read_shape(str(save_idefics(tmp_path / "idefics")), small).sight
    assert (seen.patches, seen.tokens) == (16, 4)
    seen = read_shape(str(save_qwen_vl(tmp_path / "qwen")), small).sight
    assert (seen.patches, seen.tokens) == ((SIDE // 8) ** 2, (SIDE // 16) ** 2)
    for base, settings in ((CHAT, small), (str(tmp_path / "qwen"), train_settings())):
        with pytest.raises(ModelSetupError, match="try --trainer"):
            read_shape(base, settings)


def test_image_tokens_count_in_the_means():
    rows = [{**pair("x" * 8, "x" * 4, "p" * 4), "images": ["a", "b"]}, pair("x" * 4, "x" * 16, "p" * 12)]
    assert mean_tokens(rows, 16) == (2 + 16, 5 + 16)


def test_what_cannot_be_estimated_is_named(tmp_path):
    with pytest.raises(ModelSetupError, match=r"config\.json"):
        read_shape(str(tmp_path), PAPER)
    with pytest.raises(TrainingError, match="unknown GPU 'a10'; did you mean 'a100'"):
        gpu("a10")
