import pytest

from anyprefer.core.errors import SettingsError
from anyprefer.graph import RunSettings, ServerSettings, Settings, load_settings


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
    assert set(origins) == set(RunSettings.model_fields)


@pytest.mark.parametrize(("key", "words"), [("treshold", "did you mean 'threshold'"), ("zzz", "there are: accept, ")])
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
        ("tool_timeout", 0),
        ("judge_passes", 0),
        ("judge_max_new_tokens", 15),
        ("min_margin", -1),
        ("threshold", 0),
        ("threshold", 10.5),
        ("max_rounds", 0),
        ("max_rounds", 101),
        ("feedback", ("reward",)),
        ("feedback_mode", "both"),
        ("prompt_scope", "run"),
        ("seed", -1),
        ("format", "csv"),
        ("format", "jsonl:0"),
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
    assert all(field.description for field in RunSettings.model_fields.values())


def test_the_digest_changes_with_what_decides_a_row_and_with_nothing_else():
    first = RunSettings()
    assert first.digest() == RunSettings().digest()
    assert RunSettings(concurrency=3, record="tape", trace="mlflow", trace_share=0.5).digest() == first.digest()
    assert RunSettings(threshold=7).digest() != first.digest()
    assert RunSettings(tool_options={"look": {"depth": 1}}).digest() != first.digest()


def test_only_what_decides_a_row_is_digested_and_held_against_a_folder():
    assert set(Settings().deciding()) == set(RunSettings().deciding()) == set(Settings.model_fields)
    manner = set(RunSettings.model_fields) - set(Settings.model_fields)
    assert {"concurrency", "accept", "workers", "trace", "trace_share", "servers"} | set(
        ServerSettings.model_fields
    ) <= manner


SERVERS = {"http://gpu:8000": {"rpm": 5, "patience": 1}, "http://gpu:8000/v1": {"patience": 2}}


@pytest.mark.parametrize(
    ("url", "rpm", "patience"),
    [
        ("http://gpu:8000/v1", 5, 2),
        ("http://gpu:8000/v1beta", 5, 1),
        ("http://gpu:80", 7, 600),
        ("http://me:pw@GPU:8000/v1/", 5, 2),
    ],
)
def test_a_server_has_its_tables_settings_over_those_of_all(tmp_path, url, rpm, patience):
    path = write(
        tmp_path,
        'rpm = 7\n[servers."http://gpu:8000"]\nrpm = 5\npatience = 1\n[servers."http://gpu:8000/v1"]\npatience = 2\n',
    )
    settings = load_settings(path)[0]
    assert settings == load_settings(rpm=7, servers=SERVERS)[0]
    assert settings == RunSettings.model_validate_json(settings.model_dump_json())
    assert (settings.server(url).rpm, settings.server(url).patience) == (rpm, patience)


def test_a_servers_key_may_be_named_in_its_table_or_in_one_line():
    in_one_line = load_settings(key_env="http://a/v1=A_KEY, B_KEY", servers={"http://a/v1": {"rpm": 3}})[0]
    tables = {"http://a/v1": {"rpm": 3, "key_env": "A_KEY"}}
    assert in_one_line == load_settings(key_env="B_KEY", servers=tables)[0]
    assert (
        in_one_line
        == load_settings(key_env=["http://a/v1=A_KEY", "B_KEY"], servers={"http://a/v1": ServerSettings(rpm=3)})[0]
    )


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        ({"http://me:pa55word@a": {"rmp": 3}}, r"unknown setting 'servers\.http://a\.rmp'; did you mean 'rpm'"),
        ({"http://a": {"rpm": -3}}, r"'servers\.http://a\.rpm': .* \(got -3\)$"),
        ({"http://a": {"headers": {"X-Key": 12345678}}}, r"'servers\.http://a\.headers\.X-Key': .* string$"),
        ({"http://a": {"api_key": 12345678}}, r"'servers\.http://a\.api_key': .* string$"),
    ],
)
def test_a_wrong_value_in_a_servers_table_is_named_and_no_secret_repeated(servers, words):
    with pytest.raises(SettingsError, match=words) as caught:
        load_settings(servers=servers)
    assert "12345678" not in str(caught.value)


def test_headers_and_further_fields_are_in_no_dump():
    settings = RunSettings(
        headers={"X-A": "value-one"}, servers={"http://a": {"extra_body": {"k": "value-two"}, "rpm": 3}}
    )
    said = settings.model_dump_json() + repr(settings)
    assert "value-one" not in said
    assert "value-two" not in said
    assert settings.model_dump()["servers"] == {"http://a": {"rpm": 3}}


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        RunSettings().seed = 3


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
