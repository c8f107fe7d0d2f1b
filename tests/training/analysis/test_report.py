import csv
import io

import pytest

from anyprefer.core.errors import InputError, RunFolderError
from anyprefer.training.analysis import plots
from anyprefer.training.analysis.paper_results import paper
from anyprefer.training.analysis.report import Cell, Figure, Note, Report, Table, as_csv, as_markdown, write_report

GSM8K = Cell(0.4125, n=300, seeds=(0, 1), low=0.358, high=0.469, paper=0.3753, form=".1%")
TABLE = Table(
    "tools",
    "Tools",
    ("mode", "GSM8K", "seconds"),
    [["a|b", GSM8K, Cell(3.0)], ["none", Cell(None), "1"]],
    "Read it so.",
)


def test_a_cell_shows_what_it_rests_on():
    assert str(GSM8K) == "41.2% [35.8%, 46.9%] (n = 300, seeds 0, 1, paper 37.5%)"
    assert str(Cell(3.0, seeds=(4,), text="about")) == "3.00 about (seed 4)"
    assert str(Cell(None, n=5, text="too few")) == "too few (n = 5)"
    assert str(Cell(None)) == "not measured"


def test_markdown():
    report = Report(
        "Ablation", "Some words.", [Note("A note."), TABLE, Figure("f", "What it shows", lambda path: None)]
    )
    assert as_markdown(report) == (
        "# Ablation\n\nSome words.\n\nA note.\n\n## Tools\n\n"
        "| mode | GSM8K | seconds |\n| --- | --- | --- |\n"
        "| a\\|b | 41.2% [35.8%, 46.9%] (n = 300, seeds 0, 1, paper 37.5%) | 3.00 |\n"
        "| none | not measured | 1 |\n\nRead it so.\n\n![What it shows](f.png)\n\nWhat it shows\n"
    )


def test_the_number_under_each_seed_stands_beside_the_mean():
    cell = Cell(-0.09, 200, (0, 1, 2), (-0.025, -0.23, -0.015), form="+.1%")
    assert str(cell) == "-9.0% (n = 200, seeds 0, 1, 2: -2.5%, -23.0%, -1.5%)"
    [row] = csv.DictReader(io.StringIO(as_csv(Table("t", "T", ("a", "b"), [["x", cell]]))))
    assert row["b each"] == "-0.025 -0.23 -0.015"


def test_names_and_errors_from_outside_are_shown_as_text():
    bad = "<img src=x onerror=alert(1)>\x1b[31m ![p](http://x/p.png) [l](javascript:x) & |"
    table = Table("t", bad, ("a", bad), [[bad, Cell(None, text=bad)]], bad)
    text = as_markdown(Report(bad, bad, [Note(bad), table, Figure("f", bad, lambda path: None)]))
    for active in ("<img", "\x1b", "](http", "](javascript"):
        assert active not in text
    assert text.count("&lt;img src=x onerror=alert(1)&gt;") == 10


def test_csv_has_a_column_for_each_number():
    rows = list(csv.DictReader(io.StringIO(as_csv(TABLE))))
    assert rows[0] == {
        "mode": "a|b",
        "GSM8K": "0.4125",
        "GSM8K n": "300",
        "GSM8K seeds": "0 1",
        "GSM8K low": "0.358",
        "GSM8K high": "0.469",
        "GSM8K paper": "0.3753",
        "seconds": "3",
    }
    assert (rows[1]["mode"], rows[1]["GSM8K"], rows[1]["seconds"]) == ("none", "", "1")
    assert as_csv(Table("t", "T", ("a", "b"), [])) == "a,b\n"


def test_the_same_report_is_the_same_bytes(tmp_path):
    def draw(path):
        plots.bars(path, ["x"], {"s": [plots.Point(0.5, 0.4, 0.6)]}, "share")

    for name in ("one", "two"):
        report = Report("R", parts=[TABLE])
        report.add(Figure("bars", "Bars", draw))
        assert write_report(report, tmp_path / name) == tmp_path / name / "REPORT.md"
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["REPORT.md", "bars.png", "tools.csv"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([TABLE, TABLE], "'tools': names are file names in lower case and occur once"),
        ([Figure("../x", "", lambda path: None)], r"'\.\./x': names"),
        ([Table("t", "T", ("a", "b"), [["1"]])], "table 't': 2 columns, but a row of 1 cells"),
    ],
)
def test_a_report_that_cannot_be_written_writes_nothing(tmp_path, parts, said):
    with pytest.raises(InputError, match=said):
        write_report(Report("R", parts=parts), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match=r"file.* cannot be written"):
        write_report(Report("R"), tmp_path / "file" / "out")


def test_the_papers_numbers():
    found = paper()
    assert found.table("5").value("tools", "GSM8K") == 37.53
    assert found.table("2").value("tools + feedback", "VLA") == 40.5
    assert found.table("4").value("Meta Rewarding", "AlpacaEval LC") is None
    assert [row["GSM8K"] for row in found.table("6").rows.values()] == [22.44, 38.14, 39.04, 41.32]
    assert found.table("16").unit == ""
    assert [fact.value for fact in found.figure(4)] == [89.6, 67.2]
    assert {fact.figure for fact in found.facts} == {3, 4, 5, 6, 7}
    # what the paper states twice agrees
    assert found.table("4").rows["Anyprefer"] == found.table("5").rows["tools + feedback"]
    with pytest.raises(InputError, match="no table '99'"):
        found.table("99")
    with pytest.raises(InputError, match=r"Table 5, Appendix B\.1 has no 'tools' × 'MMLU'"):
        found.table("5").value("tools", "MMLU")
