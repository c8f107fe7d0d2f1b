"""One reader of preference data: what train, judge-eval and analyse make of other people's rows."""

import json
import logging

import pytest

from anyprefer.core.errors import AnypreferError, InputError
from anyprefer.training.evaluation.gold import read_gold
from anyprefer.training.pair_data.any_data_set import read_samples
from anyprefer.training.pair_data.preference_rows import read_preference
from anyprefer.training.pair_data.read import load_pairs


def said(role, text):
    return {"role": role, "content": text}


def user(text):
    return said("user", text)


def bot(text):
    return said("assistant", text)


def parts(text):
    return [{"type": "text", "text": text}]


SKY, BLUE, GREEN = user("Sky?"), bot("Blue."), bot("Green.")
TURNS = [user("Hi"), bot("Hello"), SKY]
HH = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Sky?\n\nAssistant:"
ONE = "Sky?"
FORMS = {
    "TRL, texts": ({"prompt": "Sky?", "chosen": "Blue.", "rejected": "Green."}, [SKY]),
    "TRL, messages": ({"prompt": [SKY], "chosen": [BLUE], "rejected": [GREEN]}, [SKY]),
    "TRL, implicit messages": ({"chosen": [*TURNS, BLUE], "rejected": [*TURNS, GREEN]}, TURNS),
    "TRL, implicit texts": ({"chosen": "The sky is Blue.", "rejected": "The sky is Green."}, [user("The sky is")]),
    "one message each": ({"prompt": "Sky?", "chosen": BLUE, "rejected": GREEN}, [SKY]),
    "UltraFeedback": ({"prompt": "Sky?", "chosen": [SKY, BLUE], "rejected": [SKY, GREEN]}, [SKY]),
    "UltraFeedback, several turns": ({"prompt": "Hi", "chosen": [*TURNS, BLUE], "rejected": [*TURNS, GREEN]}, TURNS),
    "a system column beside dialogues": (
        {"system": "s", "prompt": "Sky?", "chosen": [SKY, BLUE], "rejected": [SKY, GREEN]},
        [said("system", "s"), SKY],
    ),
    "dialogues that go on from the prompt": (
        {"prompt": [user("Hi")], "chosen": [bot("Hello"), SKY, BLUE], "rejected": [bot("Hello"), SKY, GREEN]},
        TURNS,
    ),
    "HH-RLHF": ({"chosen": f"{HH} Blue.", "rejected": f"{HH} Green."}, TURNS),
    "HH-RLHF with a prompt": ({"prompt": HH, "chosen": " Blue.", "rejected": " Green."}, TURNS),
    "texts that hold the prompt": ({"prompt": "Sky?", "chosen": "Sky? Blue.", "rejected": "Sky? Green."}, [SKY]),
    "orca": ({"system": "", "question": "Sky?", "chosen": "Blue.", "rejected": "Green."}, [SKY]),
    "orca with a system message": (
        {"system": "s", "question": "Sky?", "chosen": "Blue.", "rejected": "Green."},
        [said("system", "s"), SKY],
    ),
    "argilla's orca": ({"system": "s", "input": "Sky?", "chosen": "Blue.", "rejected": "Green."}, [said("system", "s"), SKY]),
    "Alpaca": ({"instruction": "Say it.", "input": "Sky?", "chosen": "Blue.", "rejected": "Green."}, [user("Say it.\n\nSky?")]),
    "LLaMA-Factory's history": (
        {"instruction": "Sky?", "history": [["Hi", "Hello"]], "chosen": "Blue.", "rejected": "Green."},
        TURNS,
    ),
    "ShareGPT": (
        {
            "conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "Sky?"}],
            "chosen": {"from": "gpt", "value": "Blue."},
            "rejected": {"from": "gpt", "value": "Green."},
        },
        [said("system", "s"), SKY],
    ),
    "content parts": (
        {"prompt": [user(parts("Sky?"))], "chosen": [bot(parts("Blue."))], "rejected": [bot(parts("Green."))]},
        [SKY],
    ),
}  # fmt: skip


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_read_alike_everywhere(name, tmp_path):
    row, prompt = FORMS[name]
    file = write(tmp_path / "p.jsonl", row)
    [pair] = load_pairs(file)
    assert pair["prompt"] == prompt
    assert (pair["chosen"][0]["content"].strip(), pair["rejected"][0]["content"].strip()) == ("Blue.", "Green.")
    [gold], [sample] = read_gold(str(file)), read_samples(file)
    assert gold.right == {"Blue.": True, "Green.": False}
    assert (sample.chosen, sample.rejected) == ("Blue.", "Green.")
    assert gold.task.messages() == sample.task.messages() == prompt


@pytest.mark.parametrize(
    ("chosen", "rejected"),
    [("Blue", "Blue and vast"), ("The capital is Paris.", "The capital is Lyon."), ("B", "Blue")],
)
def test_answers_that_begin_alike_keep_their_beginning(chosen, rejected):
    for row in (
        {"chosen": f"\n\nHuman: q\n\nAssistant: {chosen}", "rejected": f"\n\nHuman: q\n\nAssistant: {rejected}"},
        {"chosen": [user("q"), bot(chosen)], "rejected": [user("q"), bot(rejected)]},
        {"prompt": "q", "chosen": chosen, "rejected": rejected},
    ):
        pair = read_preference("row 1", row)
        assert (pair.prompt, pair.chosen, pair.rejected) == ((user("q"),), chosen, rejected)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (7, "must be a JSON object"),
        ({"prompt": "q", "chosen": "a"}, "needs columns chosen and rejected; it has: prompt, chosen"),
        ({"question": " ", "chosen": "a", "rejected": "b"}, r"there is no question.*\(columns: question, chosen, rejected\)"),
        ({"prompt": "", "chosen": "Blue", "rejected": "Blue and vast"}, "there is no prompt"),
        ({"chosen": "Blue", "rejected": "Green"}, "there is no prompt; name one of the columns prompt, question"),
        ({"chosen": [BLUE], "rejected": [GREEN]}, "there is no question"),
        ({"prompt": "q", "chosen": "", "rejected": "b"}, "'chosen': the answer is empty"),
        ({"prompt": "q", "chosen": "a", "rejected": [GREEN]}, "one of chosen and rejected is a text"),
        ({"prompt": "q", "chosen": [SKY, BLUE], "rejected": [SKY, GREEN]}, "prompt does not occur in the dialogues"),
        ({"prompt": [{"text": "q"}], "chosen": "a", "rejected": "b"}, "'prompt': message 1 of the conversation"),
        ({"prompt": [said("narrator", "q")], "chosen": "a", "rejected": "b"}, "'prompt': message 1 .* role 'narrator'"),
        ({"prompt": [SKY], "chosen": [bot({"x": 1})], "rejected": [BLUE]}, "'chosen', message 1: the content is no text"),
        ({"prompt": [SKY], "chosen": [bot([[0.0, 1.0]])], "rejected": [BLUE]}, "the content is no text"),
        ({"prompt": "q", "history": "no", "chosen": "a", "rejected": "b"}, "column 'history' must be a list of pairs"),
        ({"prompt": [SKY], "chosen": [user("a")], "rejected": [user("b")]}, "exactly one assistant message"),
        ({"chosen": [SKY, BLUE], "rejected": [user("Sea?"), GREEN]}, "part before their last message"),
        ({"chosen": 4, "rejected": 5}, "'chosen' must be a text or a list of messages"),
        ({"prompt": "q\ud800", "chosen": "a", "rejected": "b"}, "surrogates not allowed"),
    ],
)  # fmt: skip
def test_what_is_no_pair_is_one_line_with_row_and_columns(tmp_path, row, words):
    with pytest.raises(InputError, match=f"^row 3: .*{words}"):
        read_preference("row 3", row)
    file = write(tmp_path / "p.jsonl", {"prompt": "q", "chosen": "a", "rejected": "b"}, {}, row)
    for read in (load_pairs, read_samples, lambda file: read_gold(str(file))):
        with pytest.raises(AnypreferError, match=r"p\.jsonl, line 2"):
            read(file)


def test_dialogues_that_part_early_are_left_out_and_told(tmp_path, caplog):
    good = {"chosen": [SKY, BLUE], "rejected": [SKY, GREEN]}
    parted = {"chosen": [user("q"), BLUE], "rejected": [user("r"), GREEN]}
    file = write(tmp_path / "p.jsonl", good, parted, parted)
    for read in (load_pairs, read_samples, lambda file: read_gold(str(file))):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "anyprefer"):
            assert len(read(file)) == 1
        assert "2 rows are left out, 1 are not" in caplog.text
        assert "line 2" in caplog.text


def test_files_of_other_kinds_and_systems_are_read(tmp_path):
    import pyarrow
    import pyarrow.parquet as parquet

    row = {"prompt": [SKY], "chosen": [BLUE], "rejected": [GREEN]}
    texts = {"prompt": "Sky?", "chosen": "Blue.", "rejected": "Green."}
    bom = tmp_path / "bom.jsonl"
    bom.write_bytes(b"\xef\xbb\xbf" + json.dumps(row).encode() + b"\r\n\r\n")
    table, flat, own = tmp_path / "a.parquet", tmp_path / "b.parquet", tmp_path / "c.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([row]), table)
    parquet.write_table(pyarrow.Table.from_pylist([texts]), flat)
    parquet.write_table(pyarrow.Table.from_pylist([{name: json.dumps(value) for name, value in row.items()}]), own)
    whole = tmp_path / "d.json"
    whole.write_text(json.dumps([row]), encoding="utf-8")
    for file in (bom, table, flat, own, whole):
        assert load_pairs(file)[0] == row


def test_an_answer_that_is_json_stays_text(tmp_path):
    row = {"prompt": "Give JSON.", "chosen": '[{"role": "user", "content": "x"}]', "rejected": "{}"}
    assert load_pairs(write(tmp_path / "p.jsonl", row))[0]["chosen"][0]["content"] == row["chosen"]
