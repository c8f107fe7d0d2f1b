"""Tables of figures that are no accuracies, from outcomes given as they are."""

import pytest

from anyprefer.core.errors import SettingsError
from anyprefer.core.results import EvalResult, ratio
from anyprefer.training.analysis.paper_results import paper
from anyprefer.training.analysis.report import Report, as_markdown
from anyprefer.training.applications.arms import ARMS, arm
from anyprefer.training.experiments.figure_tables import Column, difference_table, points, table
from anyprefer.training.experiments.image_tables import ABLATIONS, BASELINES, columns, table7, table8, table9
from anyprefer.training.experiments.lab import Outcome
from anyprefer.training.experiments.outcomes import Results
from anyprefer.training.experiments.studies import STUDIES, application_of
from anyprefer.training.loop.iterate import Iteration

METRICS = {"CHAIR-i": ratio("wrong", "mentions", better="lower"), "recall": ratio("right", "gold")}
COLUMNS = [Column("CHAIR-i", "scenes", "CHAIR-i"), Column("recall", "scenes", "recall"), Column("POPE", "pope")]


def described(wrong, right):
    """8 descriptions of 4 mentions each, so many of them wrong, so many of 4 objects named."""
    tallies = {str(n): {"wrong": wrong, "mentions": 4, "right": right, "gold": 4} for n in range(7)}
    tallies["7"] = {"wrong": 0, "mentions": 4, "right": 4, "gold": 4}
    marks = {str(n): n < right for n in range(8)}
    return {
        "scenes": EvalResult(model="m", n=8, correct=1, marks=marks, tallies=tallies, metrics=METRICS),
        "pope": EvalResult.of("m", marks),
    }


def outcome(name, seed, *after, tmp_path):
    before = Iteration(0, "t", {}, described(2, 2))
    later = [Iteration(n, "t", {"accepted": 5}, results) for n, results in enumerate(after, 1)]
    return Outcome(arm(name), seed, [before, *later], tmp_path)


class FakeLab:
    """What a table asks of a lab: which benchmarks there are."""

    scale = "embedded"

    class app:
        @staticmethod
        def measured(scale):
            return ("scenes", "pope")


@pytest.fixture
def results(tmp_path):
    made = {
        "anyprefer": [
            outcome("anyprefer", seed, described(1, 3), described(0, 3), tmp_path=tmp_path) for seed in (0, 1)
        ],
        "random-pairs": [outcome("random-pairs", 0, described(2, 2), tmp_path=tmp_path)],
    }
    return Results(FakeLab(), made, {"judge-only": "no prompt to rewrite"})


def test_cells_are_ratios_of_sums_with_intervals_and_say_which_way_is_better(results):
    shown = table("t", "T", [results.before(), results.line("anyprefer", "Ours")], COLUMNS)
    assert shown.columns == ("arm", "CHAIR-i ↓", "recall", "POPE")
    before, ours = shown.rows
    assert before[1].value == pytest.approx(14 / 32)
    assert ours[1].value == pytest.approx(7 / 32)
    assert ours[1].low < 7 / 32 < ours[1].high
    assert (ours[2].value, ours[3].value, ours[1].seeds) == (pytest.approx(25 / 32), pytest.approx(3 / 8), (0, 1))
    assert points(results.line("nothing", "None"), COLUMNS) == [None, None, None]


def test_differences_are_paired_by_the_seeds_that_both_have(results):
    shown = difference_table(
        "d", "D", results.line("anyprefer", "Ours"), [results.line("random-pairs", "Chance"), results.before()], COLUMNS
    )
    chance, before = shown.rows
    assert chance[1].value == pytest.approx(-7 / 32)
    assert (chance[1].seeds, before[1].seeds) == ((0,), (0, 1))
    assert chance[1].high < 0


def test_tables_7_to_9_have_every_arm_and_the_papers_own_numbers(results):
    for made, number, arms in ((table7, "7", BASELINES["vision"]), (table9, "9", ABLATIONS)):
        report = Report("r", "")
        report.add(*made(results))
        text = as_markdown(report)
        for name in ("anyprefer", "random-pairs" if number == "7" else "ranks-3-5"):
            assert f"| {ARMS[name].title} |" in text
        assert all(f"| {row} |" in text for row in paper().table(number).rows)
        assert text.count("| Before |") == 1
        assert len(arms) < text.count("not run")
    assert "no prompt to rewrite" in as_markdown(report)


def test_table_8_shows_every_iteration(results):
    report = Report("r", "")
    report.add(*table8(results))
    text = as_markdown(report)
    assert "| iteration 2 |" in text
    assert "The last iteration against each" in text
    assert "anyprefer: 5+5, 5+5; random-pairs: 5" in text


def test_columns_follow_from_what_was_measured(results):
    assert [column.title for column in columns(results)][:3] == ["F1", "recall", "CHAIR-i"]
    assert columns(results)[-1] == Column("pope", "pope")


def test_tables_know_their_application_and_those_of_two_are_not_mixed():
    assert [application_of([name]) for name in ("table4", "figure3", "table7", "table12")] == [
        "natural-language", "natural-language", "vision", "medical",
    ]  # fmt: skip
    with pytest.raises(SettingsError, match="table4: natural-language, table7: vision"):
        application_of(["table4", "table7"])
    with pytest.raises(SettingsError, match="did you mean 'table7'"):
        application_of(["tabel7"])
    assert {name for study in STUDIES.values() for name in study.arms} <= ARMS.keys()
