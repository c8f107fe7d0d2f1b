import pytest
from pydantic import ValidationError

import anyprefer.graph
from anyprefer.core.records import RECORDS, Candidate, Prompts, Reward, Row
from anyprefer.core.task import Record, Task
from anyprefer.core.values import derive_seed, stable_hash


def test_a_row_survives_json():
    row = Row(id="1", outcome="failed", reason="x", task=Task(id="1", prompt="ü", meta={"a": [1, None]}, start=[0.5]))
    assert Row.model_validate_json(row.model_dump_json()) == row


def test_seeds_depend_on_every_part_and_fit_31_bits():
    seeds = {derive_seed(*parts) for parts in [(0, "a", 1), (1, "a", 1), (0, "b", 1), (0, "a", 2), (0, "a1")]}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert derive_seed(0, "a", 1) == 395717519


def test_the_hash_is_the_same_whatever_the_order():
    assert stable_hash({"a": 1, "b": [2]}) == stable_hash({"b": [2], "a": 1})
    assert stable_hash("ü") != stable_hash("u")


@pytest.mark.parametrize("odd", [2**70, "\ud800"])
def test_what_orjson_refuses_has_a_hash_too(odd):
    assert stable_hash({"a": odd, "b": 1}) == stable_hash({"b": 1, "a": odd}) != stable_hash({"a": 0, "b": 1})


def test_equal_prompts_have_equal_versions():
    one, other = (Prompts(target=t, judge="j", tools={"a": "b"}) for t in ("x", "y"))
    assert one.version == one.model_copy().version
    assert one.version != other.version
    assert len(one.version) == 12


@pytest.mark.parametrize("score", [0.9, 10.1, float("nan")])
def test_a_reward_lies_between_1_and_10(score):
    with pytest.raises(ValidationError):
        Reward(score=score)


def test_records_cannot_be_changed_and_take_no_unknown_field():
    with pytest.raises(ValidationError):
        Candidate(index=0, content="a", seed=1).content = "b"
    with pytest.raises(ValidationError):
        Task(id="1", prompt="a", promt="b")


def test_every_record_of_the_state_is_listed_for_checkpoints():
    frozen = {
        kind for kind in vars(anyprefer.core.records).values() if isinstance(kind, type) and issubclass(kind, Record)
    }
    assert {kind.__name__ for kind in frozen} - {kind.__name__ for kind in RECORDS} == {"Record", "Row", "Usage"}


def test_the_public_names_exist_and_others_do_not():
    assert all(getattr(anyprefer.graph, name) for name in anyprefer.graph.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        anyprefer.graph.nonsense  # noqa: B018
