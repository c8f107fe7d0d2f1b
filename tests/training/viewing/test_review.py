"""The review page: driven over HTTP as its script does it, and as others would like to."""

import asyncio
import json
import threading
from contextlib import contextmanager

import aiohttp
import pytest

from anyprefer.core.errors import InputError
from anyprefer.core.marks import Mark
from anyprefer.core.secrets import redact
from anyprefer.graph.runs.marks import FILE, Marks
from anyprefer.training.analysis.agreement import Reviewed, left_is_chosen, measured
from anyprefer.training.analysis.quality import by_people
from anyprefer.training.viewing.folders import shown_parts
from anyprefer.training.viewing.later_sections import people
from anyprefer.training.viewing.page import report
from anyprefer.training.viewing.queue_of_pairs import Queue
from anyprefer.training.viewing.review import serve
from tests.made_up_run import played, row, write_run

NAMES = [f"sums-{n}" for n in range(6)]


@pytest.fixture
def folder(tmp_path):
    rows = [row(name, played(reward=float(3 + n))) for n, name in enumerate(NAMES)]
    rows.append(row("tie-1", played(reward=None), outcome="rejected", reason="a tie"))
    return write_run(tmp_path / "run", rows)


@contextmanager
def page(folder, by="ana"):
    """The address of a page that is served meanwhile."""
    loop, address, ready = asyncio.new_event_loop(), [], threading.Event()
    queue = Queue(shown_parts(folder), 200)
    task = loop.create_task(serve(queue, by, 0, lambda url: (address.append(url), ready.set())))
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.wait([task])))
    thread.start()
    assert ready.wait(30)
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(30)
        loop.close()


def ask(url, body=None, **headers):
    """Status, headers and text of one request."""

    async def once():
        async with aiohttp.ClientSession() as session:
            sent = {"data": body} if isinstance(body, str) else {"json": body} if body is not None else {}
            async with session.request("GET" if body is None else "POST", url, headers=headers, **sent) as answer:
                return answer.status, answer.headers, await answer.text()

    return asyncio.run(once())


def said(url, body=None):
    status, _, text = ask(url, body)
    assert status == 200, text
    return json.loads(text)


def test_marks_are_written_before_the_answer_and_survive_page_and_server(folder):
    with page(folder) as url:
        for at in range(5):
            said(url + "mark", {"at": at, "field": "better", "value": "left"})
            said(url + "mark", {"at": at, "field": "satisfaction", "value": "satisfied"})
        assert len((folder / FILE).read_text().splitlines()) == 10
        assert [bool(mark) for mark in said(url + "state")["marks"]] == [True] * 5 + [False]
    with page(folder) as url:
        marks = said(url + "state")["marks"]
    assert [mark and (mark["better"], mark["satisfaction"]) for mark in marks] == [("left", "satisfied")] * 5 + [None]


def test_the_judges_choice_is_told_once_a_side_was_taken(folder):
    with page(folder) as url:
        blind = said(url + "pair/0")
        assert {blind["left"]["text"], blind["right"]["text"]} == {"four", "five"}
        assert not {"entry", "chosen", "score", "reward"} & set(json.dumps(blind).replace('"', " ").split())
        said(url + "mark", {"at": 0, "field": "better", "value": "right"})
        told = said(url + "pair/0")["entry"]
        assert told["chosen"]["text"] == "four"
        assert ask(url + "mark", {"at": 0, "field": "better", "value": "left"})[0] == 400  # having seen it
    [mark] = Marks(folder / FILE).current().values()
    assert mark.better == ("chosen" if blind["right"]["text"] == "four" else "rejected")


def test_two_tabs_lose_nothing_and_undo_takes_back_the_last_act(folder):
    with page(folder) as url, page(folder) as other, page(folder, "bo") as third:
        said(url + "mark", {"at": 0, "field": "difficulty", "value": "easy"})
        said(other + "mark", {"at": 0, "field": "difficulty", "value": "hard"})
        said(third + "mark", {"at": 0, "field": "difficulty", "value": "medium"})
        said(other + "mark", {"at": 1, "field": "note", "value": "odd <b>"})
        assert said(url + "state")["marks"][0]["difficulty"] == "hard"
        assert said(url + "state")["marks"][1]["note"] == "odd <b>"
        assert said(url + "undo", {})["at"] == 1
        assert said(url + "undo", {})["marks"][0]["difficulty"] == "easy"
        assert said(third + "state")["marks"][0]["difficulty"] == "medium"
        assert said(url + "undo", {})["marks"][0] is None
        assert said(url + "undo", {})["at"] is None
    assert len((folder / FILE).read_text().splitlines()) == 7


def test_nobody_else_gets_in(folder):
    with page(folder) as url:
        home, token = url.rstrip("/").rsplit("/", 1)
        assert redact(url) == url  # it can be printed
        mark = {"at": 0, "field": "better", "value": "left"}
        assert ask(f"{home}/")[0] == 404
        assert ask(f"{home}/{token[:-1]}x/state")[0] == 404
        assert ask(f"{home}/{token}é/state")[0] == 404
        assert ask(url + "state", Host="evil.example")[0] == 403
        assert ask(url + "state", Host="127.0.0.1")[0] == 403
        assert ask(url + "mark", mark, Origin="http://evil.example")[0] == 403
        assert ask(url + "mark", mark, Origin="null")[0] == 403
        assert ask(url + "state", **{"Sec-Fetch-Site": "cross-site"})[0] == 403
        assert ask(url + "mark", json.dumps(mark), **{"Content-Type": "text/plain"})[0] == 403
        assert not (folder / FILE).exists()
        assert ask(url + "mark", mark, Origin=home)[0] == 200


@pytest.mark.parametrize(
    "body",
    ["[1]", "{", {"at": 99}, {"at": True}, {"at": None}, {"at": "x"}, {"at": 0, "field": "colour", "value": "red"},
     {"at": 0, "field": "satisfaction", "value": "great"}, {"at": 0, "field": "note", "value": "x" * 6000}],
)  # fmt: skip
def test_what_is_no_mark_is_refused_and_not_written(folder, body):
    with page(folder) as url:
        sent = {"Content-Type": "application/json"} if isinstance(body, str) else {}
        status, _, text = ask(url + "mark", body, **sent)
        assert status == 400
        assert json.loads(text)["error"]
    assert not (folder / FILE).exists()


def test_the_page_forbids_everything_from_elsewhere(folder):
    with page(folder) as url:
        status, headers, text = ask(url)
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_a_file_that_was_cut_or_edited_keeps_what_is_whole(tmp_path):
    marks = Marks(tmp_path / FILE)
    marks.add("ana", "a", "satisfaction", "okay")
    with marks.file.open("ab") as file:
        file.write(b'{"by": "ana", "at": "now", "id": "a", "field": "satisfaction", "value": "gre')
    marks.add("ana", "b", "difficulty", "hard")
    assert marks.current() == {("ana", "a"): Mark(satisfaction="okay"), ("ana", "b"): Mark(difficulty="hard")}
    assert marks.undo("ana") == "b"
    assert marks.undo("ana") == "a"
    assert marks.undo("ana") == ""
    with pytest.raises(InputError, match="no row"):
        Queue(shown_parts(write_run(tmp_path / "none", [row("t", played(reward=None), outcome="rejected")])), 5)


def test_marks_measure_the_judge_and_the_reward():
    told = [("chosen", "satisfied", 9.0)] * 6 + [("rejected", "dissatisfied", 4.0)] * 2 + [("neither", "okay", 5.0)] * 2
    pairs = [
        Reviewed("ana", str(n), Mark(better=better, satisfaction=level), reward, reward >= 8)
        for n, (better, level, reward) in enumerate(told)
    ]
    found = {one.what: one for one in measured(pairs)}
    assert found["judge: people prefer the chosen answer"].value == pytest.approx(0.75)
    assert found["judge: people prefer the chosen answer"].n == 8
    assert found["satisfied"].words.startswith("60.0% [")
    assert found["R: AUC for satisfied"].value == 1
    assert found["R: kappa of accepted with satisfied"].value == 1
    assert found["neither answer is better"].value == pytest.approx(0.2)
    sides = [left_is_chosen(str(n)) for n in range(200)]
    assert 70 < sum(sides) < 130
    assert measured([]) == []


def test_kappa_of_people_who_always_say_left_is_near_zero():
    pairs = [
        Reviewed("ana", str(n), Mark(better="chosen" if left_is_chosen(str(n)) else "rejected"), None, True)
        for n in range(400)
    ]
    found = {one.what: one.value for one in measured(pairs)}
    assert abs(found.get("judge: kappa with people", 0.0)) < 0.1


def test_marks_feed_the_analysis_as_ratings(tmp_path):
    folder = write_run(tmp_path / "run", [row("a-1", played())])
    assert by_people(folder) == []
    Marks(folder / FILE).add("ana", "a-1", "satisfaction", "okay")
    [one] = by_people(folder)
    assert (one.id, one.satisfaction, one.difficulty) == ("a-1", "okay", None)


def test_the_report_says_what_the_marks_say(folder, tmp_path):
    marks = Marks(folder / FILE)
    for name in NAMES[:4]:
        marks.add("ana", name, "better", "chosen")
        marks.add("ana", name, "satisfaction", "okay")
    said = dict(line for section in people([*_reviewed(folder)]) for table in section.tables for line in table.rows)
    assert said["judge: people prefer the chosen answer"].startswith("100.0% [51.0%, 100.0%], n = 4")
    assert '<section id="review">' in report(folder, tmp_path / "r.html").read_text(encoding="utf-8")


def _reviewed(folder):
    return Queue(shown_parts(folder), 200).reviewed()
