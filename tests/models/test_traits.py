import pytest
from langchain_core.language_models import GenericFakeChatModel

from anyprefer.models import Traits, accepted_settings, load_model, model_name, model_string, redact, traits_of
from anyprefer.models.tape import RecordingChat, ReplayChat, Tape
from anyprefer.models.traits import unload
from tests.scripted import Scripted, ScriptedWithTools

ASKED = ("choices", "releases", "sees", "in_process", "weighs")
WANTED = {"seed": 1, "temperature": 0.5, "top_p": 0.9, "max_tokens": 8, "response_format": {}}


def test_a_model_gets_the_sampling_settings_it_declares_and_everything_else():
    assert accepted_settings(Scripted(), WANTED) == WANTED
    assert accepted_settings(GenericFakeChatModel(messages=iter([])), WANTED) == {"response_format": {}}


def test_tool_calling_is_seen_from_the_class():
    assert not traits_of(Scripted()).tools
    assert traits_of(ScriptedWithTools()).tools


def test_stated_traits_win():
    class Stating(Scripted):
        traits: Traits = Traits(name="me", fields=("seed",), tools=True, shapes=True)

    assert traits_of(Stating()).shapes
    assert model_name(Stating()) == "me"
    assert accepted_settings(Stating(), WANTED) == {"seed": 1, "response_format": {}}


def test_what_a_model_does_beside_answering_is_said_by_its_traits(tiny, tmp_path, monkeypatch):
    local, served = load_model(f"hf:{tiny}"), load_model("openai:m@http://127.0.0.1:9/v1")
    said = {name: [getattr(traits_of(model), name) for model in (local, served, Scripted())] for name in ASKED}
    assert said == {
        "choices": [False, True, False],
        "releases": [True, False, False],
        "sees": [False, True, True],
        "in_process": [True, False, False],
        "weighs": [True, False, False],
    }
    taped = RecordingChat.around(local, Tape.new(str(tmp_path / "tape.jsonl")), "judge")
    assert (traits_of(taped).choices, traits_of(taped).releases) == (False, True)
    freed = []
    monkeypatch.setattr(type(local), "unload", lambda self: freed.append(self.model))
    for model in (taped, served, Scripted()):
        unload(model)
    assert freed == [str(tiny)]
    assert not traits_of(ReplayChat.from_file(tmp_path / "tape.jsonl", "judge")).releases


def test_a_model_is_named_by_its_own_name_or_its_class():
    class Named(Scripted):
        model: str = "org/model"

    assert model_name(Named()) == "org/model"
    assert (
        model_name(
            Named(),
        )
        != model_name(Scripted())
        == "Scripted"
    )


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("key: sk-abcdef123456.", "key: [secret]."),
        ("sk-proj-****wxyz", "[secret]"),
        ("token hf_abcdefgh", "token [secret]"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [secret]"),
        ("hf-internal-testing/tiny and a risk-based task", "hf-internal-testing/tiny and a risk-based task"),
        ("we say very-secret-value twice: very-secret-value", "we say [MY_API_KEY] twice: [MY_API_KEY]"),
        ("short", "short"),
    ],
)
def test_secrets_are_taken_out(monkeypatch, text, clean):
    monkeypatch.setenv("MY_API_KEY", "very-secret-value")
    monkeypatch.setenv("A_TOKEN", "short")
    assert redact(text) == clean


@pytest.mark.parametrize(
    "spec", ["smollm2", "hf:models/first", "openai:gpt-4o", "openai:my-7b@http://127.0.0.1:8000/v1"]
)
def test_a_models_string_is_the_one_it_was_made_of(monkeypatch, spec):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-any-key-there-is")
    assert model_string(load_model(spec)) == spec
