from pathlib import Path

import pytest

from anyprefer.core.errors import InputError
from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.tools.calculator import calculator
from anyprefer.tools.fact_check import fact_check
from anyprefer.training.evaluation.families import FAMILIES, facts, sums
from anyprefer.training.evaluation.family import Family
from tests import sample_data

ALL = {"sums": (2018, 2077), "facts": (267, 293), "geography": (252, 241)}
SHIPPED = [FAMILIES[name] for name in ALL]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path_factory.getbasetemp() / "families"))


@pytest.mark.parametrize("family", SHIPPED, ids=lambda family: family.name)
def test_splits_share_no_entity_and_do_not_depend_on_the_seed(family: Family) -> None:
    train, heldout = (family.make(n, 0, split) for n, split in zip(ALL[family.name], ("train", "heldout"), strict=True))
    entities = [{"+".join(sorted(t.meta["entity"].split("+"))) for t in tasks} for tasks in (train, heldout)]
    assert not entities[0] & entities[1]
    assert {t.prompt for t in train}.isdisjoint(t.prompt for t in heldout)
    assert {t.meta["entity"] for t in family.make(200, 7, "train")} <= {
        t.meta["entity"] for t in train
    } or family.name == "sums"
    assert family.make(20, 3, "train") == family.make(20, 3, "train")
    assert family.make(20, 3, "train") != family.make(20, 4, "train")
    assert [t.id for t in train[:2]] == [f"{family.name}-train-0001", f"{family.name}-train-0002"]


def test_too_many_and_unknown_splits_are_refused() -> None:
    for n in (0, 268, -1):
        with pytest.raises(InputError, match="1 to 267 train tasks"):
            facts(n, 0, "train")
    with pytest.raises(InputError, match="no split 'test'"):
        sums(1, 0, "test")  # type: ignore[arg-type]


def test_every_gold_answer_is_right_and_supported_by_the_tools() -> None:
    tools = {"sums": calculator, "facts": fact_check}
    for name in tools:
        family = FAMILIES[name]
        for task in [*family.make(200, 0, "train"), *family.make(200, 0, "heldout")]:
            assert family.is_correct(task, task.reference)
            found = tools[name].function(task, Candidate(index=0, content=task.reference, seed=0))
            assert found.verdict == 1.0, task.prompt


def test_geographys_gold_answers_are_supported_but_where_no_passage_is_found() -> None:
    tasks = [*FAMILIES["geography"].make(252, 0, "train"), *FAMILIES["geography"].make(241, 0, "heldout")]
    verdicts = [fact_check.function(task, Candidate(index=0, content=task.reference, seed=0)).verdict for task in tasks]
    assert all(FAMILIES["geography"].is_correct(task, task.reference) for task in tasks)
    assert verdicts.count(1.0) > 0.9 * len(tasks)


@pytest.mark.parametrize(
    ("family", "prompt", "gold", "answer", "right"),
    [
        ("sums", "", "91", "34 + 57 = 91.", True),
        ("sums", "", "91", "91. Next: 3 + 4 = 7", False),
        ("sums", "", "91", "ninety-one", True),
        ("facts", "", "Bogotá", "the capital is bogota.", True),
        ("facts", "", "St. George's", "It is St. George's.", True),
        ("facts", "", "Lima", "Lima. It is a big city.", False),
        ("facts", "", "Lima", "Lima\n\nCusco", False),
        ("facts", "", "Lima", "Limassol", False),
        ("facts", "", "Lima", "", False),
        ("facts", "Answer with the symbol only.", "Fe", "Fe", True),
        ("facts", "Answer with the symbol only.", "Fe", "fe", False),
    ],
)
def test_what_counts_as_right(family: str, prompt: str, gold: str, answer: str, right: bool) -> None:
    assert FAMILIES[family].is_correct(Task(id="1", prompt=prompt, reference=gold), answer) is right


def test_science_is_arcs_questions_with_their_choices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANYPREFER_DATA", str(sample_data.make(tmp_path)))
    science = FAMILIES["science"]
    tasks = {task.reference: task for task in science.make(6, 0, "heldout")}
    task = tasks["heat"]
    assert task.prompt == "What melts ice?\n- heat\n- cold\n- dark\n- sound\nAnswer with one of these choices only."
    assert {answer: science.is_correct(task, answer) for answer in ("Heat.", "heat", "cold", "The answer is heat")} == {
        "Heat.": True, "heat": True, "cold": False, "The answer is heat": False
    }  # fmt: skip
    assert {t.meta["entity"] for t in science.make(12, 0, "train")}.isdisjoint(t.meta["entity"] for t in tasks.values())
    with pytest.raises(InputError, match="1 to 6 heldout tasks"):
        science.make(7, 0, "heldout")


@pytest.mark.parametrize("name", ["sums", "facts", "geography"])
def test_more_tasks_are_the_same_ones_and_others_behind_them(name):
    few, many = FAMILIES[name].make(20, 3, "train"), FAMILIES[name].make(90, 3, "train")
    assert many[:20] == few
