"""Which labels an answer names, and how that agrees with what is there."""

import time

import pytest

from anyprefer.core.mentions import Agreement, Vocabulary

SCENES = [f"{colour} {shape}" for colour in ("red", "blue", "green") for shape in ("circle", "square", "triangle")]
WORDS = Vocabulary(
    [*SCENES, "dog", "cat", "person", "hot dog", "knife", "bench", "horse", "dish", "bus", "stop sign"],
    {"person": ["man", "woman"], "dog": ["puppy"]},
)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a red circle, a blue square .", ["red circle", "blue square"]),
        ("A Red Circle and two green TRIANGLES", ["red circle", "green triangle"]),
        ("red circles near a red circle", ["red circle", "red circle"]),
        ("hot dogs and a dog", ["hot dog", "dog"]),
        ("Two men with knives; women, people", ["person", "knife", "person", "person"]),
        ("horses, buses, dishes, puppies", ["horse", "bus", "dish", "dog"]),
        ("a dog's tail; a stop-sign", ["dog", "stop sign"]),
        ("a circle, red, reddish circles, dogma", []),
        ("", []),
    ],
)
def test_labels_are_named_in_any_number_and_case(text: str, named: list[str]) -> None:
    assert WORDS.named(text) == named


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("There is no red circle or blue square, but a green triangle.", ["green triangle"]),
        ("No dog, cat or person on the bench.", ["bench"]),
        ("There isn't a dog and a cat is there", ["cat"]),
        ("no dog, a cat", ["cat"]),
        ("I don't see the dog. A cat.", ["cat"]),
        ("neither dogs nor cats are visible", []),
        ("The dog is absent and the cat isn’t in the picture", []),
        ("The dog is not brown.", ["dog"]),
        ("Not only a dog but also a cat", ["dog", "cat"]),
        ("a man without a dog sits on a bench", ["person", "bench"]),
        ("nothing on the bench; no one on the bus", ["bench", "bus"]),
        ("No. There is a dog", ["dog"]),
        ("No, there is a dog", ["dog"]),
    ],
)
def test_what_is_denied_is_not_named(text: str, named: list[str]) -> None:
    assert WORDS.named(text) == named


def test_a_mention_says_where_it_is_and_how_many_there_are() -> None:
    text = "Two dogs, a cat, 3 horses, horses and no bench"
    found = WORDS.mentions(text)
    assert [(one.label, one.count) for one in found if not one.denied] == [
        ("dog", 2), ("cat", 1), ("horse", 3), ("horse", None),
    ]  # fmt: skip
    assert [text[one.start : one.end] for one in found] == ["dogs", "cat", "horses", "horses", "bench"]
    assert [one.denied for one in found] == [False] * 4 + [True]


def test_agreement_with_what_is_there() -> None:
    found = WORDS.agreement("a dog, a dog, a cat, a bus and a bus; no bench", ["dog", "horse", "cat", "bench"])
    assert (found.right, found.wrong, found.missed) == (("dog", "cat"), ("bus",), ("horse", "bench"))
    assert found.repeated == ("dog", "bus")
    assert found.precision == pytest.approx(2 / 5)
    assert found.recall == pytest.approx(2 / 4)
    assert found.f1 == pytest.approx(2 * 0.4 * 0.5 / 0.9)


def test_what_is_there_twice_may_be_named_twice() -> None:
    twice = WORDS.agreement("a dog and a dog", ["dog", "dog"])
    assert (twice.repeated, twice.miscounted, twice.f1) == ((), (), 1.0)
    assert WORDS.agreement("three dogs", ["dog", "dog"]) == Agreement(right=("dog",), miscounted=("dog",))
    assert WORDS.agreement("two dogs", ["dog", "dog"]) == Agreement(right=("dog",))


@pytest.mark.parametrize(
    ("text", "seen", "f1"), [("", [], 1), ("", ["dog"], 0), ("a dog", [], 0), ("a cat", ["dog"], 0)]
)
def test_nothing_named_and_nothing_there(text: str, seen: list[str], f1: float) -> None:
    assert WORDS.agreement(text, seen).f1 == f1


@pytest.mark.parametrize("piece", ["dog ", "no dog ", "red ", "x", "a'", "\n", "dog is not ", "hot ", "1 ", "’s "])
def test_it_takes_linear_time(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    begun = time.thread_time()
    WORDS.mentions(text)
    assert time.thread_time() - begun < 5  # a tenth of it here; what is quadratic takes minutes
