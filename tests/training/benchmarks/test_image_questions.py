"""Benchmarks that ask about images, each on made rows of its own columns, answered by a local server."""

import base64
import json
from io import BytesIO

import pytest
from PIL import Image

from anyprefer.core.errors import InputError, ModelError
from anyprefer.training.evaluation.benchmarks import Asked, benchmark, measure
from tests.loopback import Loopback, completion


def picture(shade):
    data = BytesIO()
    Image.new("RGB", (8, 6), (shade, 0, 0)).save(data, format="PNG")
    return data.getvalue()


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Writes a benchmark's rows into a data folder, with images 0.png, 1.png, …"""
    monkeypatch.setenv("ANYPREFER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))

    def write(folder, *given, name="test"):
        home = tmp_path / "data" / folder
        (home / "images").mkdir(parents=True, exist_ok=True)
        for shade in range(4):
            (home / "images" / f"{shade}.png").write_bytes(picture(shade))
        (home / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
        return home

    return write


def asked_of(body):
    """(text, images as bytes) of a request."""
    parts = body["messages"][-1]["content"]
    parts = [{"type": "text", "text": parts}] if isinstance(parts, str) else parts
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return parts[-1]["text"] if parts[-1]["type"] == "text" else parts[0]["text"], [
        base64.b64decode(url.partition(",")[2]) for url in urls
    ]


def answered(name, answers, **given):
    """The result when each question that begins so is answered so, and the requests' bodies."""

    def answer(body, count):
        text = next(part for part in [asked_of(body)[0]])
        return completion(next(said for begin, said in answers.items() if text.startswith(begin)))

    with Loopback(answer) as server:
        return measure(name, f"openai:sees@{server.url}", **given), server.bodies


def test_pope_by_both_rules_and_in_sets(rows):
    asked = [("Is there a dog?", "yes"), ("Is there a cat?", "no"), ("Is there a cow?", "no")]
    for kind in ("random", "popular", "adversarial"):
        given = [
            {"question_id": n, "text": text, "label": label, "image": "0.png"} for n, (text, label) in enumerate(asked)
        ]
        rows("pope", *given, name=f"coco_pope_{kind}")
    answers = {"Is there a dog": "Yes", "Is there a cat": "maybe", "Is there a cow": "No."}
    found, bodies = answered("pope", answers)
    assert (found.n, found.correct) == (9, 6)
    # by LLaVA's rule "maybe" is yes: 1 true of 2 said yes and 1 gold yes
    assert found.value("mean F1 (llava)") == pytest.approx(2 / 3)
    assert found.value("mean F1 (strict)") == 1
    assert found.value("accuracy (llava)") == pytest.approx(2 / 3)
    assert found.value("said yes") == pytest.approx(1 / 3)
    assert found.value("in form") == pytest.approx(2 / 3)
    assert len(set(found.groups.values())) == 1
    text, images = asked_of(bodies[0])
    assert text.endswith("?\nAnswer the question using a single word or phrase.")
    assert images == [picture(0)]
    assert answered("pope", answers, limit=1)[0].n == 3  # of each set


def test_mme_counts_images_with_both_questions_right(rows):
    given = [
        {
            "question_id": f"{image}.png",
            "question": f"{ask} {image}?",
            "answer": gold,
            "category": kind,
            "image": f"{image}.png",
        }
        for kind in ("existence", "color")
        for image in (0, 1)
        for ask, gold in (("Is it", "Yes"), ("Is it not", "No"))
    ]
    rows("mme", *given)
    found, _ = answered("mme", {"Is it not 0": "no", "Is it not 1": "Yes, it is", "Is it": "yes"})
    assert (found.n, found.correct) == (8, 6)
    sums = {"existence: asked": 4, "existence: right": 3, "existence: images": 2, "existence: both": 1}
    totals = {name: sum(tally.get(name, 0) for tally in found.tallies.values()) for name in sums}
    assert totals == sums
    assert found.metrics["P"].highest == 2000
    assert found.metrics["C"].highest == 800
    assert found.value("P") != found.value("P")  # eight of its ten categories are missing
    both = found.metrics["P"].model_copy(update={"parts": found.metrics["P"].parts[:2]})
    assert both.value(sums) == pytest.approx(100 * 3 / 4 + 100 * 1 / 2)


def test_mmbench_is_right_when_every_rotation_is(rows):
    sure = {
        "index": 1,
        "question": "What is it?",
        "hint": "nan",
        "A": "a cat",
        "B": "a dog",
        "answer": "B",
        "image": "0.png",
    }
    biased = {"index": 2, "question": "Which?", "A": "red", "B": "blue", "C": "green", "answer": "A", "image": "1.png"}
    rows("mmbench", sure, biased)

    def answer(body, count):
        text = asked_of(body)[0]
        letter = next(line[0] for line in text.splitlines() if line[3:] == "a dog") if "dog" in text else "A"
        return completion(f"{letter}.")

    with Loopback(answer) as server:
        found = measure("mmbench", f"openai:sees@{server.url}")
    assert len(server.bodies) == 5
    assert (found.n, found.correct, found.marks) == (2, 1, {"1": True, "2": False})
    assert found.value("one pass") == 1
    assert found.value("in form") == 1
    assert found.tallies["2"] == {"questions": 1, "first": 1, "in_form": 1}


def test_science_qa_leaves_out_questions_without_an_image(rows):
    given = {"question": "Which melts?", "choices": ["ice", "iron"], "answer": 0, "hint": "It is hot."}
    rows("science_qa", {**given, "image": "0.png"}, {**given, "image": None})
    found, bodies = answered("science_qa", {"Context: It is hot.\nWhich melts?\nA. ice\nB. iron\nAnswer with": "A"})
    assert (found.n, found.correct, len(bodies)) == (1, 1, 1)


def test_vizwiz_is_marked_by_ten_people(rows):
    people = [{"answer": "a can"}] * 3 + [{"answer": "soup"}] * 7
    rows("vizwiz", {"question_id": 1, "question": "What is this?", "answers": people, "image": "0.png"})
    found, _ = answered("vizwiz", {"What": "Can"})
    assert (found.n, found.correct) == (1, 0)
    assert found.value("VQA accuracy") == pytest.approx(0.9)


def test_gqa_is_exact_but_for_case_and_marks(rows):
    given = [{"id": n, "question": f"Q{n}?", "answer": "tennis racket", "imageId": "0"} for n in range(2)]
    home = rows("gqa", *given)
    (home / "images" / "0.jpg").write_bytes(picture(0))
    found, _ = answered("gqa", {"Q0": "Tennis racket.", "Q1": "a racket"})
    assert (found.n, found.correct) == (2, 1)


def test_chair_reads_objects_and_captions_as_gold(rows):
    rows("chair", {"image_id": 7, "image": "0.png", "objects": ["dog"], "captions": ["A man with a pup"]})
    found, _ = answered("chair", {"Please describe": "A man, a dog and a cat. The cat sleeps."})
    assert (found.n, found.correct) == (1, 0)
    value = {name: found.value(name) for name in ("CHAIR-i", "CHAIR-s", "recall", "F1", "mentions", "words")}
    assert value == pytest.approx(
        {"CHAIR-i": 2 / 4, "CHAIR-s": 1, "recall": 1, "F1": 4 / 6, "mentions": 4, "words": 10}
    )


def test_iu_xray_asks_of_the_test_split_with_two_images(rows):
    given = {"id": "CXR1", "report": "Lungs are clear.", "image_path": ["0.png", "1.png"]}
    rows("iu_xray", {**given, "split": "test"}, {**given, "id": "CXR2", "split": "train"})
    found, bodies = answered("iu_xray", {"Write": "The lungs are clear."})
    assert (found.n, found.correct, len(bodies)) == (1, 0, 1)
    assert len(asked_of(bodies[0])[1]) == 2
    assert found.value("BLEU-1") == pytest.approx(4 / 5)


def test_images_as_bytes_are_kept_in_the_cache_once(rows, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    home = rows("vizwiz")
    (home / "test.jsonl").unlink()
    given = [
        {"question_id": str(n), "question": "?", "answers": ["x"], "image": {"bytes": picture(3), "path": None}}
        for n in range(2)
    ]
    pq.write_table(pa.Table.from_pylist(given), home / "val-00000.parquet")
    tasks = list(benchmark("vizwiz").tasks(None))
    files = [file for file in (tmp_path / "cache" / "images").rglob("*") if file.is_file()]
    assert [task.images for task in tasks] == [(str(files[0]),)] * 2
    assert (len(files), files[0].read_bytes()) == (1, picture(3))


@pytest.mark.parametrize(("how", "shown"), [("shown", [picture(1)]), ("none", []), ("blank", "grey")])
def test_text_only_controls_leave_images_out_or_blank(rows, tmp_path, how, shown):
    given = [{"question_id": n, "question": "What?", "answers": ["x"] * 10, "image": "1.png"} for n in range(2)]
    rows("vizwiz", *given)
    found, bodies = answered("vizwiz", {"What": "x"}, images=how, folder=tmp_path / "kept")
    images = asked_of(bodies[0])[1]
    if shown == "grey":
        with Image.open(BytesIO(images[0])) as grey:
            assert (grey.size, grey.getcolors()) == ((8, 6), [(48, (127, 127, 127))])
    else:
        assert images == shown
    assert len(set(found.groups.values())) == 1
    assert (tmp_path / "kept" / ("vizwiz.jsonl" if how == "shown" else f"vizwiz-{how}.jsonl")).is_file()


def test_missing_rows_columns_and_images_are_named(rows, monkeypatch):
    with pytest.raises(InputError, match=r"no rows in chair/\*.*ANYPREFER_DATA"):
        measure("chair", "openai:sees@http://127.0.0.1:9")
    rows("vizwiz", {"question_id": 1, "question": "?", "image": "0.png"})
    with pytest.raises(InputError, match=r"vizwiz, row 1 of test: no column 'answers'; it has: question_id"):
        measure("vizwiz", "openai:sees@http://127.0.0.1:9")
    rows("vizwiz", {"question_id": 1, "question": "?", "answers": ["x"], "image": "../../../etc/passwd"})
    with pytest.raises(InputError, match="leads out of the folders"):
        measure("vizwiz", "openai:sees@http://127.0.0.1:9")
    rows("pope", {"question_id": 1, "question": "?", "answer": "yes", "image": "0.png", "category": "easy"})
    with pytest.raises(InputError, match="category 'easy' is none of random, popular, adversarial"):
        measure("pope", "openai:sees@http://127.0.0.1:9")


def test_an_image_that_is_not_there_leaves_its_question_unscored(rows):
    given = [{"question_id": n, "question": "What?", "answers": ["x"] * 10, "image": f"{n * 9}.png"} for n in range(2)]
    rows("vizwiz", *given)
    found, bodies = answered("vizwiz", {"What": "x"})
    assert (found.n, found.unscored, len(bodies)) == (1, 1, 1)
    assert "9.png" in found.first_error


@pytest.mark.parametrize("name", ["llava_bench", "mm_vet"])
def test_benchmarks_with_a_judge_elsewhere_say_what_is_missing(name):
    with pytest.raises(InputError, match="lmms-eval, which is not installed: pip install lmms_eval"):
        measure(name, "hf:somewhere")
    assert not benchmark(name).budgeted
    assert "-m lmms_eval --model openai --model_args model_version=sees,base_url=http://x/v1" in benchmark(
        name
    ).command(Asked("openai:sees@http://x/v1"))


LMMS_EVAL = """
import json, pathlib, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if "broken" in given["--model_args"]:
    sys.exit("no such model")
folder = pathlib.Path(given["--output_path"]) / "sees"
folder.mkdir(parents=True)
(folder / "2026_results.json").write_text(json.dumps({"results": {given["--tasks"]: {"alias": "x", "gpt_eval_score,none": 31.5}}}))
"""


def test_lmms_evals_score_is_read_where_it_is_installed(tmp_path, monkeypatch):
    """A package of that name that writes its results where lmms-eval does."""
    (tmp_path / "lmms_eval").mkdir()
    (tmp_path / "lmms_eval" / "__main__.py").write_text(LMMS_EVAL, encoding="utf-8")
    (tmp_path / "lmms_eval" / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = measure("mm_vet", "hf:llava-hf/llava-1.5-7b-hf", limit=3, folder=tmp_path / "kept")
    assert (found.n, found.figures) == (0, {"gpt_eval_score": 0.315})
    with pytest.raises(ModelError, match="mm_vet: lmms-eval ended with 1: no such model"):
        measure("mm_vet", "hf:broken")
