"""Applications as data: loading, checking, tasks. `tests/cli/test_apps.py` plays one from its TOML alone."""

import json
import tomllib

import pytest

from anyprefer.core.errors import AnypreferError, InputError, SettingsError
from anyprefer.core.input_rows import BadRow
from anyprefer.core.task import Task
from anyprefer.training.applications.application import (
    PACKAGED,
    Application,
    application_and_scale,
    list_applications,
    load_application,
)
from anyprefer.training.applications.demo import demo
from anyprefer.training.applications.task_source import TaskSource
from anyprefer.training.bases.by_name import missing
from tests import sample_data

MINE = """
name = "mine"
title = "Mine"
tools = ["calculator"]
benchmarks = ["sums"]

[scales.small]
target = "smollm2"
judge = "evidence"
iterations = 2
preset = "embedded"
settings = { candidates = 3 }
training = { epochs = 1 }

[[scales.small.sources]]
name = "science"
source = "data:arc/easy_train.jsonl"
columns = { prompt = "question", reference = "answerKey" }
template = "{prompt}\\n{choices}"
tasks = 6
"""


@pytest.fixture
def data(tmp_path, monkeypatch):
    folder = sample_data.make(tmp_path / "data")
    monkeypatch.setenv("ANYPREFER_DATA", str(folder))
    return folder


def load(tmp_path, text=MINE):
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return load_application(file)


@pytest.mark.parametrize("name", list_applications())
def test_every_packaged_application_has_both_scales_and_loads(name):
    app = load_application(name)
    assert app.name == name
    assert {"embedded", "paper"} <= set(app.scales)
    for scale in app.scales:
        assert app.settings(scale).judge == app.scale(scale).judge
        assert app.trainer(scale).name == app.scale(scale).trainer
        assert app.measured(scale)


def test_the_papers_natural_language_is_appendix_a2_and_table_3():
    app = load_application("natural-language")
    settings, training = app.settings("paper"), app.trainer("paper").settings
    assert settings.target == "hf:meta-llama/Llama-2-7b-chat-hf"
    assert {settings.judge, settings.reward, settings.engine} == {"openai:gpt-4o"}
    assert settings.tools == ("web_search", "reward_model")
    assert settings.tool_options == {"reward_model": {"model": "sfairXC/FsfairX-LLaMA3-RM-v0.1"}}
    assert (settings.candidates, settings.pair) == (5, "best_worst")
    assert (training.epochs, training.lora_r, training.learning_rate, training.max_length) == (3, 128, 1e-7, 1024)
    assert app.measured("paper") == ("gsm8k", "arc_easy", "arc_challenge", "alpaca_eval")
    assert [source.name for source in app.scale("paper").sources] == ["gsm8k", "arc-easy", "arc-challenge"]
    assert all(source.source.startswith("hub:") and "train" in source.source for source in app.scale("paper").sources)


def test_the_demonstration_is_the_demo_scale():
    app = load_application("natural-language")
    plan, _ = demo(seed=4)
    assert plan.settings == app.settings("demo", seed=4)
    assert plan.trainer.settings == app.trainer("demo").settings
    for iteration in (1, 2):
        assert app.tasks("demo", iteration, seed=4) == plan.tasks(iteration)


def test_an_application_of_python_and_one_of_toml_are_equal(tmp_path):
    source = {
        "name": "science",
        "source": "data:arc/easy_train.jsonl",
        "columns": {"prompt": "question", "reference": "answerKey"},
        "template": "{prompt}\n{choices}",
        "tasks": 6,
    }
    small = {"target": "smollm2", "judge": "evidence", "iterations": 2, "preset": "embedded", "sources": [source]}
    small |= {"settings": {"candidates": 3}, "training": {"epochs": 1}}
    mine = Application(name="mine", title="Mine", tools=("calculator",), benchmarks=("sums",), scales={"small": small})
    assert mine == load(tmp_path)
    assert mine.settings("small").candidates == 3
    assert mine.trainer().settings.epochs == 1


def test_iterations_share_no_task_and_a_seed_gives_the_same_again(tmp_path, data):
    app = load(tmp_path)
    first, second = app.tasks("small", 1, seed=5), app.tasks("small", 2, seed=5)
    assert len(first) == len(second) == 6
    assert not {task.id for task in first} & {task.id for task in second}
    assert app.tasks("small", 1, seed=5) == first != app.tasks("small", 1, seed=6)


def test_a_template_writes_choices_as_lines(tmp_path, data):
    tasks = {task.id: task for task in load(tmp_path).tasks()}
    task = tasks.get("science-easy-train-0") or load(tmp_path).tasks(iteration=2)[0]
    question, texts = task.meta["choices"]["text"], task.prompt.splitlines()
    assert texts[1:] == [
        f"{label}. {text}" for label, text in zip(task.meta["choices"]["label"], question, strict=True)
    ]
    assert task.reference in task.meta["choices"]["label"]


def test_a_question_with_braces_survives_the_template(tmp_path, data):
    row = {"question": "What is {choices} in {x}?", "choices": "none", "answerKey": "A"}
    (data / "arc" / "easy_train.jsonl").write_text(json.dumps(row) + "\n")
    app = load(tmp_path, MINE.replace("tasks = 6", "tasks = 1").replace("iterations = 2", "iterations = 1"))
    assert app.tasks()[0].prompt == "What is {choices} in {x}?\nnone"


def test_a_row_without_a_templates_column_is_a_bad_row(tmp_path, data):
    app = load(tmp_path, MINE.replace("{choices}", "{choice}"))
    row = app.tasks()[0]
    assert isinstance(row, BadRow)
    assert "no column 'choice'; did you mean 'choices'?" in row.error


def test_local_rows_are_read_where_they_are_and_the_source_elsewhere(tmp_path, data):
    text = MINE.replace('"data:arc/easy_train.jsonl"', '"nowhere.jsonl"\nlocal = "data:arc/easy_train.jsonl"')
    assert len(load(tmp_path, text).tasks()) == 6
    (data / "arc" / "easy_train.jsonl").unlink()
    with pytest.raises(InputError, match=r"nowhere\.jsonl"):
        load(tmp_path, text).tasks()


def test_more_tasks_than_there_are_is_an_error(tmp_path, data):
    with pytest.raises(InputError, match="holds 12 tasks; 2 iterations of 7 need 14"):
        load(tmp_path, MINE.replace("tasks = 6", "tasks = 7")).tasks()


def test_an_iteration_there_is_not_is_an_error(tmp_path, data):
    with pytest.raises(InputError, match="iterations 1 to 2, not 3"):
        load(tmp_path).tasks(iteration=3)
    assert load(tmp_path).with_iterations("small", 1).scale("small").iterations == 1


def test_without_the_data_folder_the_variable_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("ANYPREFER_DATA", raising=False)
    with pytest.raises(InputError, match="ANYPREFER_DATA names none"):
        load(tmp_path).tasks()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("training = {", "arms = { tool = {} }\ntraining = {", "unknown arm 'tool'; did you mean 'tools'?"),
        ("training = {", "arms = { tools = { candidate = 3 } }\ntraining = {", "did you mean 'candidates'?"),
        ("training = {", "arms.tools.training = { epoch = 1 }\ntraining = {", "unknown training setting 'epoch'"),
        ('title = "Mine"', 'titel = "Mine"', "unknown key 'titel' in application; did you mean 'title'?"),
        ('judge = "evidence"', 'jugde = "evidence"', "unknown key 'jugde' in scale; did you mean 'judge'?"),
        ("tasks = 6", "task = 6", "unknown key 'task' in a source; did you mean 'tasks'?"),
        ("candidates = 3", "candidate = 3", "did you mean 'candidates'?"),
        ("candidates = 3", "candidates = 1", "candidates"),
        ("epochs = 1", "epoch = 1", "unknown training setting 'epoch'; did you mean 'epochs'?"),
        ('preset = "embedded"', 'preset = "embeded"', "unknown preset 'embeded'"),
        ('tools = ["calculator"]', 'tools = ["calculater"]', "unknown tool 'calculater'; did you mean 'calculator'?"),
        ('benchmarks = ["sums"]', 'benchmarks = ["sum"]', "unknown benchmark 'sum'; did you mean 'sums'?"),
        ('title = "Mine"', 'title = "Mine"\npair = "best_wurst"', "best_wurst"),
        ('prompt = "question"', 'promt = "question"', "'promt' is no task field; did you mean 'prompt'?"),
        ('name = "science"', 'family = "sums"', "either a family"),
        ('name = "science"\nsource = "data:arc/easy_train.jsonl"', 'family = "sum"', "unknown family 'sum'"),
        ('name = "science"\n', "", "needs a name"),
        ('name = "mine"', 'name = "My App"', "name"),
        ('title = "Mine"', "", "title"),
        ('title = "Mine"', 'title = "Mine', "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(tmp_path, old, new, words):
    assert old in MINE
    with pytest.raises(AnypreferError) as caught:
        load(tmp_path, MINE.replace(old, new))
    assert words in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_unknown_names_are_named_with_the_near_one():
    with pytest.raises(SettingsError, match="unknown application 'natural-langage'; did you mean 'natural-language'"):
        load_application("natural-langage")
    with pytest.raises(SettingsError, match=r"mine.toml does not exist"):
        load_application("mine.toml")
    with pytest.raises(SettingsError, match="no scale 'papr'; did you mean 'paper'"):
        application_and_scale("natural-language:papr")


def test_a_name_alone_means_the_first_scale():
    assert application_and_scale("natural-language")[1] == "demo"  # plays with what comes with the package
    assert application_and_scale("natural-language:paper")[1] == "paper"
    assert application_and_scale(f"{PACKAGED / 'natural-language.toml'}:paper")[1] == "paper"


def test_the_packaged_files_are_what_their_names_say():
    for file in PACKAGED.glob("*.toml"):
        assert tomllib.loads(file.read_text(encoding="utf-8"))["name"] == file.stem


def test_more_iterations_leave_the_tasks_of_earlier_ones(tmp_path):
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"q{number}"}) + "\n" for number in range(60)))
    for source in (TaskSource(family="sums", tasks=48), TaskSource(name="own", source=str(file), tasks=6)):
        first = source.tasks_of(1, 1, 0)
        assert all(source.tasks_of(1, count, 0) == first for count in (2, 3, 8))
        assert source.tasks_of(3, 3, 0) == source.tasks_of(3, 8, 0)
        assert first != source.tasks_of(1, 1, 1)
        played = [task.prompt for number in range(1, 9) for task in source.tasks_of(number, 8, 0)]
        assert len(set(played)) == len(played)


def test_iterations_of_a_stream_are_its_next_rows(monkeypatch):
    rows = [Task(id=str(number), prompt=f"q{number}") for number in range(40)]
    monkeypatch.setattr("anyprefer.training.applications.task_source.read_tasks", lambda place, columns: iter(rows))
    source = TaskSource(name="far", source="hub:some/data:train", tasks=10)
    for number in (1, 2):
        found = [source.tasks_of(number, count, 0) for count in (2, 4)]
        assert found[0] == found[1]
        assert {task.prompt for task in found[0]} == {f"q{n}" for n in range(10 * number - 10, 10 * number)}
        assert found[0] != source.tasks_of(number, 2, 1)
    with pytest.raises(InputError, match="holds 40 tasks; 5 iterations of 10 need 50"):
        source.tasks_of(1, 5, 0)


def test_models_that_are_built_here_are_built_before_anything_is_played(tmp_path, monkeypatch):
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path))
    settings = load_application("vision").settings("embedded", seed=2)
    assert missing(settings) == ["scenes-2", "scene_detector"]
    (tmp_path / "scenes-2").mkdir()
    (tmp_path / "scenes-2" / "config.json").touch()
    assert missing(settings) == ["scene_detector"]
    assert missing(load_application("vision").settings("paper")) == []


def test_a_scale_leaves_out_arms_that_there_are():
    given = load_application("vision").model_dump()
    given["scales"]["embedded"]["left_out"] = {"judge-onyl": "no prompt"}
    with pytest.raises(SettingsError, match="did you mean 'judge-only'"):
        Application.model_validate(given)
