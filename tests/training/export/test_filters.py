"""Duplicates and benchmarks' questions among clean pairs, each filter by its name."""

import json

import numpy as np
import pytest

from anyprefer.models.local.embed import load_encoder
from anyprefer.training.export.contamination import Question, contaminated, questions
from anyprefer.training.export.duplicates import duplicates
from anyprefer.training.export.exported_pair import ExportedPair

LAKE = (
    "A lake holds 1200 litres of water, and 150 litres run out of it every single day. After how many days is it empty?"
)
MEALS = "Which process do green plants use to turn the light of the sun into food for themselves?"
CLEAN = [
    ("How many legs does a spider have?", "A spider has eight legs.", "A spider has six legs."),
    ("How many wings does a bee have?", "A bee has four wings.", "A bee has two wings."),
    ("Which planet is the largest one in our solar system?", "Jupiter is the largest.", "Mars is the largest."),
    ("Which planet is the closest one to the sun?", "Mercury is the closest.", "Venus is the closest."),
    ("Who wrote the play about the prince of Denmark?", "Shakespeare wrote Hamlet.", "Goethe wrote Hamlet."),
    ("What is the capital city of the country Peru?", "The capital is Lima.", "The capital is Cusco."),
    ("Name a metal that is liquid at room temperature.", "Mercury is a liquid metal.", "Iron is a liquid metal."),
    (LAKE, "1200 / 150 = 8, so after 8 days.", "1200 - 150 = 1050, so after 1050 days."),
    (LAKE.replace("1200", "1500"), "1500 / 150 = 10, so after 10 days.", "1500 - 150 = 1350, so after 1350 days."),
    (MEALS, "They use photosynthesis.", "They use respiration."),
    ("Which gas do green plants give off while they make their food?", "They give off oxygen.", "They give off carbon."),
]  # fmt: skip


def pair(name, asked, chosen, rejected, **more):
    prompt = ({"role": "user", "content": asked},)
    return ExportedPair(name, "run", 1, prompt, prompt, chosen, rejected, **more)


CLEAN_PAIRS = [pair(f"clean-{n}", *texts) for n, texts in enumerate(CLEAN)]
BY_NAME = {one.asked: one for one in CLEAN_PAIRS}


def never():
    raise AssertionError("no encoder is wanted")


def alike(*planted):
    """(id, why, what it is like) of what is removed."""

    def found(kind, encoder=never):
        return [(one.pair.id, one.why, one.like) for one in duplicates([*CLEAN_PAIRS, *planted], kind, encoder)]

    return found


def copy(name, of, **changes):
    known = BY_NAME[of]
    texts = {"asked": of, "chosen": known.chosen, "rejected": known.rejected, **changes}
    return pair(name, **texts)


def test_exact_copies_are_found_whatever_their_white_space_is():
    planted = copy("copy", LAKE, asked=f"  {LAKE.replace(' ', '  ')}\n")
    assert alike(planted)("exact") == [("copy", "exact", BY_NAME[LAKE].id)]
    assert alike(planted)("none") == []
    assert alike(copy("seen", LAKE, images=("a.png",)))("minhash") == []


def test_minhash_finds_near_copies():
    near = copy("near", LAKE, asked=LAKE.upper().replace("EVERY SINGLE DAY", "every day"))
    assert alike(near)("exact") == []
    assert alike(near)("minhash") == [("near", "minhash", BY_NAME[LAKE].id)]


def test_minhash_leaves_other_numbers_and_other_answers():
    assert alike(copy("more", LAKE, asked=LAKE.replace("150", "100")))("minhash") == []
    assert alike(copy("again", LAKE, chosen="It runs dry on the eighth day, since 8 * 150 = 1200."))("minhash") == []


def test_the_pair_of_the_highest_reward_stays():
    kept = copy("better", LAKE, reward=9.0)
    assert alike(kept)("exact") == [(BY_NAME[LAKE].id, "exact", "better")]


@pytest.fixture(scope="module")
def minilm():
    encode = load_encoder()
    return lambda: encode


@pytest.mark.slow
def test_embeddings_find_pairs_in_other_words(minilm):
    told = [
        copy("lake", LAKE, asked="Every day a lake loses 150 of the 1200 litres in it. When will no water be left?"),
        copy("meals", MEALS, asked="How is it called when plants make food from sunlight?"),
        copy("peru", "What is the capital city of the country Peru?", asked="Which city is Peru's capital?"),
    ]
    assert alike(*told)("minhash") == []
    found = alike(*told)("embedding", minilm)
    assert {(name, why) for name, why, _ in found} == {(one.id, "embedding") for one in told}


@pytest.mark.slow
def test_embeddings_leave_questions_that_share_their_answers(minilm):
    """Letters and single words are many questions' answers: they say little."""
    letters = [pair(f"letter-{n}", f"{asked} A: {best} B: {worst}", "A", "B") for n, (asked, best, worst) in enumerate(CLEAN[:7])]  # fmt: skip
    assert alike(*letters)("embedding", minilm) == []


@pytest.fixture
def benchmark(tmp_path):
    file = tmp_path / "benchmark.jsonl"
    file.write_text("".join(json.dumps({"question": one}) + "\n" for one in (LAKE, MEALS)), encoding="utf-8")
    return questions([file])


OTHERS = [one for one in CLEAN_PAIRS if "lake" not in one.asked and one.asked != MEALS]


def test_ngrams_find_a_question_in_a_prompt_and_in_an_answer(benchmark):
    held = pair("prompt", f"Please help me with my homework. {LAKE} Thank you!", "a", "b")
    told = pair("answer", "Give me a riddle.", "a", f"Gladly. {MEALS}")
    found = contaminated([*OTHERS, held, told], benchmark, None)
    assert [(one.pair.id, one.why, one.like) for one in found] == [
        ("prompt", "n-gram", "benchmark.jsonl, line 1"),
        ("answer", "n-gram", "benchmark.jsonl, line 2"),
    ]


@pytest.mark.slow
def test_embeddings_find_a_question_in_disguise(minilm, benchmark):
    said = "By what process do green plants make food for themselves out of sunlight?"
    hidden = pair("hidden", f"My daughter has a test tomorrow. {said} Explain it to her.", "a", "b")
    found = contaminated([*OTHERS, hidden], benchmark, minilm)
    assert [(one.pair.id, one.why) for one in found] == [("hidden", "benchmark embedding")]


GILLS = ("They breathe through gills.", "They breathe through lungs.")


@pytest.mark.parametrize(
    ("cosine", "answers", "alike"), [(0.7, GILLS, True), (0.6, GILLS, False), (0.7, "AB", False), (0.85, "AB", True)]
)
def test_how_alike_prompts_must_be_goes_by_what_the_answers_tell(cosine, answers, alike):
    told = {"one": [1.0, 0.0], "other": [cosine, (1 - cosine**2) ** 0.5]}

    def encode(texts):
        return np.array([told.get(text, [0.0, 1.0]) for text in texts], np.float32)

    pairs = [pair(name, name, *answers) for name in told]
    assert [one.pair.id for one in duplicates(pairs, "embedding", lambda: encode)] == ["other"] * alike


def test_questions_say_where_they_stand(benchmark):
    assert benchmark[0] == Question("benchmark.jsonl, line 1", LAKE)
