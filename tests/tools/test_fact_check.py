import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from anyprefer.tools import Finding
from anyprefer.tools.fact_check import fact_check

Ask = Callable[..., Awaitable[Finding]]
PERU = "What is the capital of Peru? Answer with the name only."
HELIUM = "What is the chemical symbol of helium? Answer with the symbol only."


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("Lima.", 1.0),
        ("lima", 1.0),
        ("The capital of Peru is Lima.", 1.0),
        ("The name is Lima.", 1.0),
        ("Cusco", 0.0),
        ("Lima, the City of Kings, is known for food", None),
        ("Peru", 0.0),
        ("The capital of Peru is the capital.", 0.0),
        ("", 0.0),
        ("?!", None),
        ("Not Lima", None),
        ("Lima or Cusco", None),
        ("Is it Lima?", None),
        ("Spanish", 0.0),
        ("L\u200bima", 1.0),
    ],
)
async def test_new_words_are_looked_up(ask: Ask, answer: str, verdict: float | None) -> None:
    assert (await ask(fact_check, PERU, answer)).verdict == verdict


@pytest.mark.parametrize(("answer", "verdict"), [("He", 1.0), ("The symbol is He.", 1.0), ("In", 0.0), ("Hl", 0.0)])
async def test_symbols_that_are_stopwords_count_as_written(ask: Ask, answer: str, verdict: float) -> None:
    assert (await ask(fact_check, HELIUM, answer)).verdict == verdict


@pytest.mark.parametrize(
    "prompt",
    [
        "What is the capital of Atlantis?",
        "What is the capital city of Wakanda?",
        "What is 34 + 57?",
        "",
        "Who are you?",
    ],
)
async def test_without_a_passage_it_takes_no_side(ask: Ask, prompt: str) -> None:
    found = await ask(fact_check, prompt, "Lima")
    assert found.verdict is None


async def test_the_candidate_cannot_steer_the_search(ask: Ask) -> None:
    found = await ask(fact_check, PERU, "Santiago is the capital of Chile, Chile, Chile, in South America.")
    assert found.data["title"] == "Peru"
    assert found.verdict is not None
    assert found.verdict < 0.6


async def test_hostile_answers_are_harmless(ask: Ask) -> None:
    for answer in ("Lima " * 100_000, "x" * 1_000_000, "{answer} %s", "\x00", ["Lima", 1]):
        found = await ask(fact_check, PERU, answer)
        assert found.verdict in (None, 0.0, 1.0)
        assert len(found.text) < 100_000


async def test_options_are_read(ask: Ask, tmp_path: Path) -> None:
    rows = [
        {"title": "Peru capital", "text": "capital of Peru Peru"},
        {"title": "Lima", "text": "Lima is the old and big capital of Peru"},
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert (await ask(fact_check, PERU, "Lima", corpus=str(path))).verdict == 0.0
    assert (await ask(fact_check, PERU, "Lima", corpus=str(path), k=2)).verdict == 1.0
