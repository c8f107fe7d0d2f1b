import pytest

from anyprefer.core.errors import SettingsError
from anyprefer.graph import Settings, load_settings


def write(tmp_path, text):
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path):
    path = write(tmp_path, 'threshold = 6\ncandidates = 7\ntools = ["look"]\n[tool_options.look]\ndepth = 2\n')
    settings, origins = load_settings(path, candidates=3, seed=None)
    assert (settings.threshold, settings.candidates, settings.seed) == (6, 3, 0)
    assert settings.tools == ("look",)
    assert settings.tool_options == {"look": {"depth": 2}}
    assert origins["threshold"] == origins["tools"] == "file"
    assert origins["candidates"] == "flag"
    assert origins["seed"] == "default"
    assert set(origins) == set(Settings.model_fields)


@pytest.mark.parametrize(
    ("key", "words"), [("treshold", "did you mean 'threshold'"), ("zzz", "`anyprefer config` lists all settings")]
)
def test_an_unknown_setting_is_named_with_the_near_one(tmp_path, key, words):
    path = write(tmp_path, f"{key} = 1")
    with pytest.raises(SettingsError, match=f"unknown setting '{key}' in .*settings.toml; {words}"):
        load_settings(path)
    with pytest.raises(SettingsError, match=words):
        load_settings(**{key: 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("candidates", 1),
        ("candidates", 65),
        ("temperature", -0.1),
        ("temperature", 5.1),
        ("top_p", 0),
        ("top_p", 1.1),
        ("max_new_tokens", 0),
        ("resamples", -1),
        ("tool_timeout", 0),
        ("judge_passes", 0),
        ("judge_max_new_tokens", 15),
        ("reasks", 6),
        ("min_margin", -1),
        ("threshold", 0),
        ("threshold", 10.5),
        ("max_rounds", 0),
        ("max_rounds", 101),
        ("feedback", ("reward",)),
        ("feedback_mode", "both"),
        ("prompt_scope", "run"),
        ("prompt_batch", 0),
        ("prompt_holdout", 0),
        ("seed", -1),
        ("concurrency", 0),
        ("task_field", ""),
        ("tools", 3),
        ("candidates", "many"),
        ("threshold", float("nan")),
    ],
)
def test_a_value_out_of_its_range_is_refused_by_name_and_value(name, value):
    with pytest.raises(SettingsError, match=f"setting '{name}.*got ") as caught:
        load_settings(**{name: value})
    assert "pydantic" not in str(caught.value)


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.toml does not exist"):
        load_settings(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="cannot be read as TOML"):
        load_settings(write(tmp_path, "threshold = "))
    with pytest.raises(SettingsError, match="cannot be read as TOML"):
        load_settings(tmp_path)


def test_every_setting_says_what_it_is():
    assert all(field.description for field in Settings.model_fields.values())


def test_the_digest_changes_with_what_decides_a_row_and_with_nothing_else():
    first = Settings()
    assert first.digest() == Settings().digest()
    assert Settings(concurrency=3, record="tape", trace=True).digest() == first.digest()
    assert Settings(threshold=7).digest() != first.digest()
    assert Settings(tool_options={"look": {"depth": 1}}).digest() != first.digest()


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Settings().seed = 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"seed = {'9' * 5000}", "settings.toml"),
        (f"system = {'[' * 100_000}", "settings.toml"),
        ("seed = " + hex(10**5000), "too large to show"),
        ("target = [" + "1, " * 500 + "1]", "target"),
    ],
)
def test_odd_toml_is_one_clear_line(tmp_path, text, said):
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=said) as raised:
        load_settings(file)
    assert len(str(raised.value)) < 1000
