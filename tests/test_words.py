"""Texts for users say resume, retry, repair, outage: the field's words, which a reader can search for."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"][0]
PLACES = [*FLOORS["layers"], "public", "docs", "examples", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile"]
INSTEAD = {
    r"(go|goes|gone|going|went) on": "resume, continue",
    r"mend(s|ed|ing)?": "fix, repair",
    r"hears?|heard": "receives, listens",
    r"anew|afresh": "again",
    r"servers? (that )?(is|are|was|were|being|goes|went)? ?away|(is|are|was|were) away": "outage",
    r"(can|cannot|to) be had": "loaded, found, available",
    r"parted by": "separated by",
    r"tells? no|told no": "returns no, reports no",
    r"bec(o|a)mes? silent|fall(s|en)? silent": "timeout",
}
PROSE = {".md", ".py", ".toml", ".txt", ".html", ".js", ".ipynb"}


def texts():
    for place in (ROOT / name for name in PLACES):
        yield from [place] if place.is_file() else (path for path in place.rglob("*") if path.suffix in PROSE)


@pytest.mark.parametrize("words", INSTEAD)
def test_no_text_says_it_in_words_that_nobody_searches_for(words: str) -> None:
    pattern = re.compile(rf"\b({words})\b".replace(" ", r"\s+"), re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for path in texts()
        for text in [path.read_text(encoding="utf-8")]
        for match in pattern.finditer(text)
    ]
    assert found == [], f"say {INSTEAD[words]} instead"
