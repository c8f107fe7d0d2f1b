"""The report: parsed as a browser would, its rows unpacked, whatever models wrote."""

import base64
import gzip
import hashlib
import json

import numpy
import pytest
from lxml import html
from plotly.graph_objects import Figure

from anyprefer.core.errors import RunFolderError
from anyprefer.core.regions import Region, encoded, regions_data
from anyprefer.training.viewing.packing import packed
from anyprefer.training.viewing.page import report
from tests.command_line import refused, run
from tests.made_up_run import UPDATE, finding, played, row, write_run
from tests.pictured import picture

ATTACKS = (
    "</script><script>alert(1)</script>",
    "<img src=http://evil.example/x onerror=alert(1)>",
    "{{ 7 * 7 }}",
    "<!--",
)


def rows():
    again = played(2, prompt="y", reward=9.0)
    return [
        row("sums-1", played(found=[finding(), finding(candidate=1, verdict=0.0, text="It is 4, not 5.")])),
        row("sums-2", played(reward=3.0, updates=(UPDATE,), prompt="Add 2 and 2."), again),
        row("facts-1", played(reward=None), outcome="rejected", reason="no pair after 1 round: a tie"),
        row("facts-2", outcome="failed", reason="ModelError: the server is gone"),
    ]


@pytest.fixture
def page(tmp_path):
    return parsed(report(write_run(tmp_path / "first", rows(), threshold=8), tmp_path / "report.html"))


def parsed(file):
    return html.fromstring(file.read_text(encoding="utf-8"))


def data(page, name):
    return json.loads(page.get_element_by_id(name).text_content())


def entries(page):
    pieces = page.xpath("//script[@class='piece']")
    return [entry for piece in pieces for entry in json.loads(gzip.decompress(base64.b64decode(piece.text_content())))]


def table(page, caption):
    [found] = page.xpath(f"//table[caption='{caption}']")
    return [[cell.text_content() for cell in line] for line in found.xpath("./tbody/tr")]


def test_what_the_tables_and_figures_say(page):
    assert table(page, "Rows") == [["first", "2", "1", "1", "50.0% [15.0%, 85.0%]"]]
    assert ["1", "rejected", "no pair after 1 round: a tie"] in table(page, "Why there is no pair")
    assert ["1", "round 1", "The judge scored both the same."] in table(page, "What rounds lacked")
    assert table(page, "Use of tools") == [["calculator", "2", "0", "2", "0.25", "0.25", "1", "0", "0", "1"]]
    assert ["sample", "7", "1,000", "50", "0.5"] in table(page, "By step")
    assert table(page, "Rewrites by prompt") == [["target", "1", "0"]]
    figures = data(page, "figures")
    assert figures["funnel"]["data"][0]["x"] == [4, 3, 3, 2, 2]
    assert figures["rewards"]["layout"]["shapes"][0]["x0"] == 8
    assert sum(sum(trace["y"]) for trace in figures["rewards"]["data"]) == 3
    assert {div.get("data-figure") for div in page.find_class("chart")} == set(figures)
    for figure in figures.values():
        Figure(figure)  # raises for what Plotly does not know


def test_rows_come_with_all_that_led_to_them(page):
    first, second, third, failed = entries(page)
    assert (first["id"], first["chosen"]["text"], first["rejected"]["text"], first["margin"]) == (
        "sums-1",
        "four",
        "five",
        7,
    )
    assert [one["verdict"] for one in first["rounds"][0]["found"]] == [1.0, 0.0]
    assert second["rewrites"] == [{"target": [["out", "Add 2 and 2."], ["in", "y"]]}]
    assert third["chosen"] is None
    assert third["reason"] == "no pair after 1 round: a tie"
    assert failed["outcome"] == "failed"
    index = json.loads(gzip.decompress(base64.b64decode(page.get_element_by_id("index").text_content())))
    assert [line[0] for line in index] == ["sums-1", "sums-2", "facts-1", "facts-2"]
    assert [line[5] for line in index] == ["sums", "sums", "facts", "facts"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_text_of_a_model_becomes_markup(attack, tmp_path):
    told = played(found=[finding(tool=attack, text=attack)], answers=(attack, "no"), updates=(UPDATE,), prompt=attack)
    hostile = [
        row(attack, told, played(2), prompt=attack, meta={"source": attack}, reference=attack),
        row("other", outcome="failed", reason=attack),
    ]
    page = parsed(report(write_run(tmp_path / "run", hostile), tmp_path / "r.html"))
    plain = parsed(report(write_run(tmp_path / "plain", rows()), tmp_path / "p.html"))
    kinds = ("//script", "//img", "//iframe", "//*[@onerror]", "//link", "//comment()")
    assert [len(page.xpath(kind)) for kind in kinds] == [len(plain.xpath(kind)) for kind in kinds]
    assert entries(page)[0]["prompt"] == attack
    assert attack in [line[0] for line in table(page, "Use of tools")]
    assert "<" not in json.dumps([trace.get("x") for trace in data(page, "figures")["by-source"]["data"]])


def test_the_policy_allows_the_scripts_of_the_page_and_nothing_else(page):
    [policy] = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "http" not in policy.replace("http-equiv", "")
    ours = [script.text for script in page.xpath("//script[not(@type)]")]
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in ours}
    assert set(rules["script-src"].split()) == hashes
    assert page.xpath("//script[@src] | //link[@rel='stylesheet'] | //iframe") == []


def test_images_are_small_each_once_and_drawn_with_what_was_seen(tmp_path):
    image = picture("red", (1200, 900))
    mask = numpy.zeros((900, 1200), bool)
    mask[120:380, 120:380] = True
    seen = regions_data([Region("square", (100, 100, 400, 400), 0.9, encoded(mask))], (1200, 900))
    found = [finding("detector", 0, data=seen), finding("detector", 1, verdict=0.0, data={**seen, "named": ["square"]})]
    played_rows = [row(f"p-{n}", played(found=found), images=(image,)) for n in range(3)]
    played_rows.append(row("far-1", played(), images=("https://example.invalid/x.png", "missing.png")))
    page = parsed(report(write_run(tmp_path / "run", played_rows), tmp_path / "r.html"))
    known = data(page, "pictures")
    assert len(known) == 3  # the picture, and what was seen, named and not
    assert all(url.startswith("data:image/webp;base64,") and len(url) < 60_000 for url in known.values())
    first, *_, far = entries(page)
    assert first["images"][0]["key"] in known
    assert [one["images"][0]["key"] in known for one in first["rounds"][0]["found"]] == [True, True]
    assert "not fetched" in far["images"][0]["note"]
    assert "missing.png" in far["images"][1]["note"]


def test_a_trajectory_is_a_strip(tmp_path):
    walks = [{"states": [[0, 0], [n, 1], [2, n]], "actions": [[1, 1], [1, 0]], "success": n > 2} for n in (3, 1)]
    page = parsed(report(write_run(tmp_path / "run", [row("w-1", played(answers=walks))]), tmp_path / "r.html"))
    [entry] = entries(page)
    assert entry["chosen"]["text"] == "a trajectory of 2 steps, success"
    assert entry["rejected"]["film"]["tracks"] == {"state": [[0, 0], [1, 1], [2, 1]]}


def test_a_loop_shows_its_iterations_training_and_held_out_results(tmp_path):
    loop = tmp_path / "loop"
    for number in (1, 2):
        home = loop / f"iteration-{number}"
        write_run(home / "pairs", rows()[: 2 * number])
        (home / "adapter").mkdir()
        told = {"trained": 2, "losses": [0.7, 0.5], "seconds": 3.0, "metrics": {"loss": 0.5, "rewards/accuracies": 1.0}}
        (home / "adapter" / "anyprefer.json").write_text(json.dumps(told))
        (home / "gate.json").write_text(json.dumps({"adopted": number == 1, "reason": "sums fell"}))
    for number, home in enumerate(("base", "iteration-1", "iteration-2")):
        (loop / home).mkdir(exist_ok=True)
        marks = {str(n): n < 4 + number for n in range(10)}
        result = {"model": "toy", "n": 10, "correct": sum(marks.values()), "marks": marks}
        (loop / home / "evaluation.json").write_text(json.dumps({"sums": result}))
    page = parsed(report(loop, tmp_path / "r.html"))
    assert [line[:3] for line in table(page, "Rows")] == [["iteration 1", "2", "0"], ["iteration 2", "2", "1"]]
    [held] = table(page, "By iteration")
    assert held[0] == "sums (n = 10)"
    assert held[1].startswith("40.0% [")
    assert held[3].startswith("60.0% [")
    assert "iteration 2 was not adopted: sums fell" in page.get_element_by_id("heldout").text_content()
    assert data(page, "figures")["losses"]["data"][1]["y"] == [0.7, 0.5]
    assert [entry["part"] for entry in entries(page)] == [0, 0, 1, 1, 1, 1]


def test_long_texts_are_cut_where_the_page_would_be_too_large():
    def text(n):
        return "".join(hashlib.sha256(f"{n} {m}".encode()).hexdigest() for m in range(40))

    def one(n):
        found = [{"candidate": None}, {"candidate": 1}, {"candidate": 2}]
        candidates = [{"index": at, "text": text(n)} for at in range(4)]
        return {"rounds": [{"chosen": 0, "rejected": 2, "candidates": candidates, "found": found, "context": "c"}]}

    many = [json.dumps(one(n)).encode() for n in range(120)]
    assert packed(many, 10**8).level.whole
    found = packed(many, 60_000)
    assert sum(map(len, found.pieces)) <= 60_000
    assert len(found.pieces) == 3
    [last] = json.loads(gzip.decompress(base64.b64decode(found.pieces[2])))[-1]["rounds"]
    assert [one["index"] for one in last["candidates"]] == [0, 2]
    assert last["found"] == [{"candidate": None}, {"candidate": 2}]
    assert last["candidates"][0]["text"].startswith(text(119)[: found.level.cut] + "… (")
    assert packed([], 10).pieces == []


def test_the_command_writes_beside_the_run_and_refuses_what_is_none(tmp_path):
    folder = write_run(tmp_path / "run", rows())
    assert "report.html" in run("report", folder).stdout
    assert (folder / "report.html").stat().st_size > 1_000_000
    (tmp_path / "empty").mkdir()
    assert "is no run folder" in refused(run("report", tmp_path / "empty"))
    with pytest.raises(RunFolderError, match="is no run folder"):
        report(tmp_path, tmp_path / "r.html")


def test_show_lists_a_run_and_tells_a_row(tmp_path):
    folder = write_run(tmp_path / "run", rows())
    listed = run("show", folder).stdout
    assert "sums-1" in listed
    assert "The judge scored both the same." in listed
    assert "50.0%" in listed
    assert "facts-2" not in run("show", folder, "--outcome", "accepted").stdout
    told = run("show", folder, "sums-1").stdout
    assert "candidate 1 chosen score 9 four" in " ".join(told.split())
    assert "calculator: verdict 0 It is 4, not 5." in " ".join(told.split())
    assert refused(run("show", folder, "sums-9")) == "no row 'sums-9' in the run; did you mean 'sums-2'?"
