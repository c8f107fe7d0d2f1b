"""What a question about a picture asks for."""

import time

import pytest

from anyprefer.core.mentions import Vocabulary
from anyprefer.tools.vision.questions import asks_description, asks_presence, says_present

WORDS = Vocabulary(["red circle", "blue star", "dog", "bench"])


@pytest.mark.parametrize(
    ("question", "label"),
    [
        ("Is there a red circle?", "red circle"),
        ("is there a red circle ?", "red circle"),
        ("Are there any dogs in the image?", "dog"),
        ("Please answer yes or no. Is there a dog in this picture? Yes or no?", "dog"),
        ("Do you see a dog?", "dog"),
        ("Does the image contain a bench?\nAnswer the question using a single word or phrase.", "bench"),
        ("Is there a dog visible in the photo", "dog"),
        ("Is there a dog on the bench?", None),
        ("Is there a dog on a sofa?", None),
        ("Is the dog brown?", None),
        ("Is there no dog?", None),
        ("What colour is the dog?", None),
        ("Describe the dog.", None),
        ("Is there a horse?", None),
        ("", None),
    ],
)
def test_presence_is_asked_of_one_label(question: str, label: str | None) -> None:
    assert asks_presence(question, WORDS) == label


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("Describe the picture.", True),
        ("Please describe this image in detail.", True),
        ("What is in the picture?", True),
        ("What can you see?", True),
        ("Which objects are on the table?", True),
        ("Caption:", True),
        ("a picture of", True),
        ("What colour is the dog?", False),
        ("How many dogs are there?", False),
        ("Is the dog brown", False),
        ("Where is the bench?", False),
    ],
)
def test_a_description_is_asked_of_the_whole(question: str, asks: bool) -> None:
    assert asks_description(question) is asks


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("yes", True), ("Yes, there is a red circle.", True), ("No.", False), ("no", False), ("No, a dog", False),
        ("There is a dog.", True), ("There is no dog.", False), ("The dog is absent.", False),
        ("yes or no", None), ("A bench.", None), ("There is a dog. There is no dog.", None), ("", None), ("not sure", None),
    ],
)  # fmt: skip
def test_an_answer_says_yes_or_no_or_neither(answer: str, said: bool | None) -> None:
    assert says_present(answer, "dog", WORDS) is said


@pytest.mark.parametrize("piece", ["is there a ", "dog ", "? ", ". ", "in the ", "what ", "the image ", "a" * 50, "\n"])
def test_hostile_questions_take_linear_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    begun = time.thread_time()
    asks_presence(f"Is there a dog {text}?", WORDS)
    asks_description(text)
    says_present(text, "dog", WORDS)
    assert time.thread_time() - begun < 4
