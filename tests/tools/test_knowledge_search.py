import gzip
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import anyprefer.tools.knowledge_search as module
from anyprefer.core.errors import InputError
from anyprefer.tools import Finding
from anyprefer.tools.knowledge_search import PACKAGED, Corpus, knowledge_search, question_of


def write(path: Path, *rows: Any) -> str:
    lines = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines.encode()))
    else:
        path.write_text(lines, encoding="utf-8")
    return str(path)


def forget() -> None:
    module._opened.clear()


async def test_it_finds_passages_as_the_game_calls_it() -> None:
    found = await knowledge_search.ainvoke({"query": "What is the capital of Peru? Answer with the name only."})
    assert isinstance(found, Finding)
    assert found.text.startswith("[1] Peru: Lima is the capital of Peru")
    assert [set(passage) for passage in found.data] == [{"id", "title", "text", "score"}] * 3
    assert found.verdict is None


async def test_options_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "own.jsonl", *({"id": n, "title": f"t{n}", "text": "falcon"} for n in range(5)))
    found = await knowledge_search.with_options(corpus=path, k=2).ainvoke({"query": "falcons"})
    assert [passage["text"] for passage in found.data] == ["falcon", "falcon"]


def test_a_passage_without_a_title_has_none(tmp_path: Path) -> None:
    [found] = Corpus.open(write(tmp_path / "own.jsonl", {"id": None, "title": None, "text": "falcon"})).search("falcon")
    assert (found["id"], found["title"]) == ("", "")


@pytest.mark.parametrize("query", ["", "  ", "the of and", "zzzzqqq", "?!{}[]", "\x00", "Answer with the name only."])
async def test_a_query_without_a_match_finds_nothing(query: str) -> None:
    found = await knowledge_search.ainvoke({"query": query})
    assert (found.text, found.data) == ("No passage found.", [])


@pytest.mark.parametrize("query", ["Peru " * 100_000, "{answer} %s ${x} Peru"], ids=["long", "slots"])
async def test_odd_queries_still_find(query: str) -> None:
    assert (await knowledge_search.ainvoke({"query": query})).data[0]["title"] == "Peru"


async def test_a_huge_word_finds_nothing() -> None:
    assert (await knowledge_search.ainvoke({"query": "x" * 1_000_000})).data == []


def test_accents_do_not_matter() -> None:
    assert Corpus.open().search("Bogota")[0]["title"] == "Colombia"
    assert Corpus.open().search("NDjamena")[0]["title"] == "Chad"


def test_more_than_there_is(tmp_path: Path) -> None:
    corpus = Corpus.open(write(tmp_path / "one.jsonl", {"text": "falcon"}))
    assert len(corpus.search("falcon", 50)) == 1


def test_rarity_orders_terms() -> None:
    corpus = Corpus.open()
    assert corpus.rarity("capit") < corpus.rarity("peru") <= corpus.rarity("wakanda")


def test_question_of_drops_sentences_about_form_only() -> None:
    assert question_of("What is hot? Answer with the name only.") == "What is hot?"
    assert question_of("Who answered the phone? It rang.") == "Who answered the phone? It rang."
    assert question_of("Answer yes or no.\nIs it hot?") == "Is it hot?"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (('{"text": "a"}\n', "not json\n"), "line 2: not JSON"),
        (('{"text": "a"}\n', '{"id": 1}\n'), "line 2: no text"),
        (('{"text": "  "}\n',), "line 1: no text"),
        (('["a"]\n',), "line 1: no text"),
        (('{"text": 5}\n',), "line 1: no text"),
        (("\n", "\n"), "is empty"),
        ((), "is empty"),
    ],
)
def test_a_malformed_corpus_says_where_and_how_to_mend(tmp_path: Path, lines: tuple[str, ...], says: str) -> None:
    path = write(tmp_path / "bad.jsonl", *lines)
    with pytest.raises(InputError, match=says) as error:
        Corpus.open(path)
    assert "bad.jsonl" in str(error.value)


def test_unreadable_files_are_input_errors(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl.gz").write_bytes(b"not gzip")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a"}\n' * 999)[:-20])
    (tmp_path / "latin.jsonl").write_bytes(b'{"text": "caf\xe9"}\n')
    for name in ("bad.jsonl.gz", "cut.jsonl.gz", "latin.jsonl", "missing.jsonl", "."):
        with pytest.raises(InputError):
            Corpus.open(str(tmp_path / name))


def test_the_index_is_kept_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path / "a.jsonl.gz", {"id": "1", "text": "falcon"})
    Corpus.open(path)
    forget()
    monkeypatch.setattr(module, "_read", None)
    assert Corpus.open(path).search("falcon")[0]["id"] == "1"
    assert Corpus.open(path) is Corpus.open(path)
    monkeypatch.undo()
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "a.jsonl.gz", {"id": "2", "text": "falcon falcon"})
    assert Corpus.open(path).search("falcon")[0]["id"] == "2"
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_damaged_index_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path / "a.jsonl", {"id": "1", "text": "falcon"})
    Corpus.open(path)
    for name in ("data.csc.index.npy", "params.index.json", "vocab.index.json", "corpus.jsonl"):
        for damage in (lambda file: file.write_bytes(b""), lambda file: file.unlink()):
            forget()
            damage(next((tmp_path / "cache").glob(f"bm25-*/{name}")))
            assert Corpus.open(path).search("falcon")[0]["id"] == "1"


def test_passages_that_were_changed_in_the_cache_are_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path / "a.jsonl", {"id": "1", "text": "the capital is Lima"})
    Corpus.open(path)
    forget()
    [kept] = (tmp_path / "cache").glob("bm25-*/corpus.jsonl")
    kept.write_bytes(kept.read_bytes().replace(b"Lima", b"Oslo"))
    assert Corpus.open(path).search("capital")[0]["text"] == "the capital is Lima"


def test_an_index_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path / "a.jsonl", {"id": "1", "text": "falcon"})
    Corpus.open(path)
    forget()
    monkeypatch.setattr(module, "_owner", lambda folder: os.geteuid() + 1)
    monkeypatch.setattr(module.shutil, "rmtree", lambda *_, **__: None)  # nor can it be removed
    assert Corpus.open(path).search("falcon")[0]["id"] == "1"


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "file" / "cache"))
    path = write(tmp_path / "a.jsonl", {"id": "1", "text": "falcon"})
    assert Corpus.open(path).search("falcon")[0]["id"] == "1"


def test_threads_share_one_index(tmp_path: Path) -> None:
    rows = [{"id": str(n), "title": f"word{n}", "text": f"word{n} " + "filler " * (n % 7)} for n in range(200)]
    path = write(tmp_path / "many.jsonl", *rows)
    forget()
    opened: list[Corpus] = []
    wrong: list[int] = []

    def work() -> None:
        corpus = Corpus.open(path)
        opened.append(corpus)
        wrong.extend(n for n in range(200) if corpus.search(f"word{n}", 1)[0]["id"] != str(n))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, opened))) == 1
    assert wrong == []


def test_processes_may_build_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path / "a.jsonl", {"id": "1", "text": "falcon"})
    code = "import sys; from anyprefer.tools.knowledge_search import Corpus; Corpus.open(sys.argv[1]).search('falcon')"
    builders = [subprocess.Popen([sys.executable, "-c", code, path]) for _ in range(3)]
    assert [builder.wait(60) for builder in builders] == [0, 0, 0]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_packaged_corpus_is_small_and_complete() -> None:
    rows = [json.loads(line) for line in PACKAGED.read_text(encoding="utf-8").splitlines()]
    kinds = [row["kind"] for row in rows]
    assert PACKAGED.stat().st_size < 200_000
    assert len({row["id"] for row in rows}) == len(rows)
    assert (kinds.count("country"), kinds.count("state"), kinds.count("element")) == (197, 50, 118)
    assert [row["facts"]["number"] for row in rows if row["kind"] == "element"] == list(range(1, 119))
    assert all(str(fact) in row["text"] for row in rows for fact in row.get("facts", {}).values())


def test_building_that_stops_halfway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path / "a.jsonl", {"id": "1", "text": "falcon"})
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    assert Corpus.open(path).search("falcon")[0]["id"] == "1"
    assert list((tmp_path / "cache").iterdir()) == []
