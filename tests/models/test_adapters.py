"""Adapters' folders: what does not fit is refused and named; models that are nowhere are, at once."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.local import model_files
from anyprefer.models.local.adapters import adapter_base
from anyprefer.models.local.weights import load_tokenizer, load_weights


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """An untrained adapter of rank 2 on the tiny model."""
    from peft import LoraConfig, get_peft_model

    folder = tmp_path_factory.mktemp("adapter")
    model = load_weights(str(tiny), dtype="float32", device="cpu").model
    get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")).save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "adapter")


def changed(adapter, change):
    weights = load_file(adapter / "adapter_model.safetensors")
    save_file(change(weights), adapter / "adapter_model.safetensors")
    return str(adapter)


def first(weights):
    return sorted(weights)[0]


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: {"x": torch.zeros(1)}, "does not fit its base: it lacks .*lora_A"),
        (lambda w: {k: v for k, v in w.items() if k != first(w)}, r"it lacks .*lora_A.weight \(1 in all\)"),
        (lambda w: {**w, first(w).replace("layers.0", "layers.9"): w[first(w)].clone()}, r"no place for, .*layers\.9"),
        (lambda w: {**w, first(w): torch.ones(3, 5)}, "does not fit its base: .*size mismatch"),
        (lambda w: {**w, first(w): torch.full_like(w[first(w)], float("nan"))}, "holds NaN or infinity, first in .*lora_A"),
        (lambda w: {**w, first(w): torch.full_like(w[first(w)], float("inf"))}, "holds NaN or infinity"),
    ],
)  # fmt: skip
def test_an_adapter_that_does_not_fit_is_named(adapter, change, words, merge):
    with pytest.raises(ModelSetupError, match=words) as caught:
        load_weights(changed(adapter, change), dtype="float32", device="cpu", merge=merge)
    assert str(adapter) in str(caught.value)


def test_an_adapter_that_fits_is_loaded(adapter):
    assert load_weights(str(adapter), dtype="float32", device="cpu").adapter


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda a: (a / "adapter_model.safetensors").write_bytes(b"\xff" * 100), "safetensors cannot be read"),
        (lambda a: (a / "adapter_model.safetensors").unlink(), "has no adapter_model.safetensors"),
        (lambda a: (a / "adapter_config.json").write_text("["), "adapter_config.json cannot be read"),
        (lambda a: (a / "adapter_config.json").write_text("[" * 100_000), "adapter_config.json cannot be read"),
        (lambda a: (a / "adapter_config.json").write_text("[]"), "names no base model"),
        (lambda a: (a / "adapter_config.json").write_text('{"base_model_name_or_path": 5}'), "names no base model"),
        (lambda a: configured(a, base_model_name_or_path=str(a)), "holds an adapter, not a whole model"),
        (lambda a: configured(a, peft_type="NONE"), "does not fit its base"),
        (lambda a: configured(a, target_modules=["nowhere"]), "does not fit its base"),
        (lambda a: configured(a, megatron_config={"x": 1}, megatron_core="os"), "names a module to import"),
    ],
)  # fmt: skip
def test_a_broken_adapter_is_one_clear_error(adapter, break_it, words):
    break_it(adapter)
    with pytest.raises(ModelSetupError, match=words):
        load_weights(str(adapter), dtype="float32", device="cpu")


def configured(adapter, **values):
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


@pytest.mark.parametrize("name", ["model.norm.weight", "model.layers.0.mlp.up_proj.weight"])
def test_a_model_that_lacks_weights_or_holds_nan_is_named(tiny, tmp_path, name):
    model = shutil.copytree(tiny, tmp_path / "model")
    weights = load_file(model / "model.safetensors")
    save_file({**weights, name: weights[name] * float("nan")}, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelSetupError, match=f"holds NaN or infinity, first in {name}"):
        load_weights(str(model), device="cpu")
    save_file({k: v for k, v in weights.items() if k != name}, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelSetupError, match=f"missing keys {name}"):
        load_weights(str(model), device="cpu")


@pytest.fixture
def no_hub(monkeypatch):
    """A hub that refuses every connection; whoever asks it more than once fails."""
    asked = []

    class Session:
        def head(self, url, **given):
            asked.append(url)
            assert len(asked) == 1, "the hub is asked once"
            raise ConnectionError("no network")

    monkeypatch.setattr("huggingface_hub.utils.get_session", Session)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    return asked


@pytest.mark.parametrize(
    ("spec", "words", "asks"),
    [
        ("smolm2", "no such folder or model; did you mean 'smollm2'", 0),
        ("SmolLM", "did you mean 'smollm2'", 0),
        ("./nope", "there is no such folder; name smollm2, scenes, a folder, or", 0),
        ("models/nope", r"the hub cannot be asked \(ConnectionError\)", 1),
        ("not a name", "no id of the hub", 0),
    ],
)
def test_a_model_that_is_nowhere_is_told_at_once(tmp_path, monkeypatch, no_hub, spec, words, asks):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelSetupError, match=words) as caught:
        load_weights(spec)
    assert repr(spec) in str(caught.value)
    assert len(no_hub) == asks


def test_a_near_folder_is_named(tmp_path, monkeypatch, no_hub):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "first").mkdir(parents=True)
    with pytest.raises(ModelSetupError, match="did you mean 'models/first'"):
        load_tokenizer("models/frist")


@pytest.mark.parametrize(("status", "there"), [(200, True), (404, False), (401, False), (503, True)])
def test_the_hubs_answer_counts(monkeypatch, status, there):
    class Session:
        def head(self, url, **given):
            assert url.endswith("/org/model/resolve/main/config.json")
            return type("Answer", (), {"status_code": status})()

    monkeypatch.setattr("huggingface_hub.utils.get_session", Session)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    if there:
        assert model_files.model_source("org/model") == "org/model"
    else:
        with pytest.raises(ModelSetupError, match=f"does not give it .status {status}"):
            model_files.model_source("org/model")


def test_offline_nothing_is_asked(monkeypatch, no_hub):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelSetupError, match="HF_HUB_OFFLINE forbids"):
        model_files.model_source("org/model")
    assert no_hub == []


def test_a_folder_that_is_no_adapter_has_no_base(tmp_path):
    assert adapter_base(str(tmp_path)) is None
    with pytest.raises(ModelSetupError, match="holds no model"):
        load_weights(str(tmp_path))
