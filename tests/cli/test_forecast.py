import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from anyprefer.cli.forecast import Timer, forecast
from anyprefer.core.records import Row, Usage
from tests.command_line import counts, synth, write
from tests.folder import check


def said(tmp_path, rows, *used):
    """What a forecast of so many rows prints, from rows that took this much; blanks made one."""
    timer, console = Timer(), Console(width=200, file=io.StringIO())
    for number, usage in enumerate(used):
        timer(
            Row(
                id=str(number),
                outcome="accepted" if number < 2 else "rejected",
                usage={"judge": usage, "sample": Usage(calls=1)},
            )
        )
    forecast(console, tmp_path, rows, timer)
    return " ".join(console.file.getvalue().split())


def used(calls, read, written, cost):
    return Usage(calls=calls, input_tokens=read, output_tokens=written, cost=cost)


def test_a_forecast_is_the_mean_times_the_rows_with_its_95_percent_interval(tmp_path):
    text = said(tmp_path, 1000, used(1, 100, 10, 0.01), used(2, 200, 20, 0.02), used(3, 300, 30, 0.03))
    assert "All 1,000 rows" in text
    # means 3, 200, 20, $0.02; half widths 1.96 · s / √3 · √(1 - 3/1000) of s = 1, 100, 10, $0.01
    assert "calls 3,000 1,870 to 4,130" in text
    assert "tokens in 200,000 87,009 to 312,991" in text
    assert "tokens out 20,000 8,701 to 31,299" in text
    assert "cost $20.00 $8.70 to $31.30" in text
    assert "accepted pairs 667" in text


def test_rows_that_are_all_there_leave_no_doubt(tmp_path):
    text = said(tmp_path, 2, used(1, 100, 10, 0.0), used(2, 300, 10, 0.0))
    assert "tokens in 400 400 to 400" in text
    assert "cost $0.00 $0.00 to $0.00" in text


def test_an_unknown_price_is_said_and_never_zero(tmp_path):
    text = said(tmp_path, 10, used(1, 100, 10, None), used(1, 100, 10, 0.5))
    assert "cost unknown put the models' prices into a file and give it with --prices" in text
    assert "$" not in text


@pytest.mark.parametrize(("rows", "played"), [(None, 3), (10, 1), (10, 0)])
def test_without_length_or_rows_there_is_no_forecast(tmp_path, rows, played):
    assert said(tmp_path, rows, *[used(1, 1, 1, 0.0)] * played).startswith("no forecast: ")


@pytest.mark.usefixtures("here")
def test_estimate_plays_so_many_rows_and_the_same_command_goes_on(model):
    Path("prices.toml").write_text("any = [1, 2]\n")
    result = synth(model, "--estimate", 3, "--prices", "prices.toml")
    assert result.exit_code == 0, result.output
    assert sum(counts("runs/sums").values()) == 3
    assert "All 8 rows" in result.stdout
    assert re.search(r"^tokens in +[\d,]+ +[\d,]+ to [\d,]+", result.stdout, re.MULTILINE)
    assert re.search(r"^cost +\$[\d.]+ +\$[\d.]+ to \$[\d.]+", result.stdout, re.MULTILINE)
    assert "the same command without --estimate plays the others" in result.stdout
    again = synth(model, "--prices", "prices.toml")
    assert "8 rows, 3 finished before" in again.stdout
    assert "All 8 rows" not in again.stdout
    assert len(check("runs/sums")) == 8


@pytest.mark.usefixtures("here")
def test_an_estimate_that_is_given_again_says_the_same(model):
    first, again = (synth(model, "--estimate", 3).stdout for _ in range(2))
    assert "All 8 rows" in again
    shown = [line.split() for line in first.splitlines() if line.startswith(("calls", "tokens", "accepted pairs"))]
    assert shown == [
        line.split() for line in again.splitlines() if line.startswith(("calls", "tokens", "accepted pairs"))
    ]
    assert re.search(r"^time +unknown +this call played no row", again, re.MULTILINE)


def test_pairs_that_others_accepted_are_not_forecast_from_these_rows(tmp_path):
    timer, console = Timer(), Console(width=200, file=io.StringIO())
    for number in range(20):
        timer(Row(id=str(number), outcome="rejected"))
    (tmp_path / "run.json").write_text('{"counts": {"accepted": 10}}')
    forecast(console, tmp_path, 1000, timer)
    assert re.search(r"accepted pairs +0 ", console.file.getvalue())


@pytest.mark.usefixtures("here")
def test_estimate_plays_no_more_rows_than_the_limit(model):
    assert synth(model, "--estimate", 5, "--limit", 2).exit_code == 0
    assert sum(counts("runs/sums").values()) == 2


@pytest.mark.usefixtures("here")
def test_costs_are_unknown_in_the_summary_where_a_price_is(model):
    write("prices.toml", ["any = [1, 2]"])
    assert re.search(r"^all +[\d,]+ +[\d,]+ +[\d,]+ +unknown$", synth(model, "--limit", 2).stdout, re.MULTILINE)
    priced = synth(model, "--limit", 2, "--prices", "prices.toml", "--out", "runs/priced")
    assert re.search(r"^all +[\d,]+ +[\d,]+ +[\d,]+ +\$0\.\d+$", priced.stdout, re.MULTILINE)
