"""Do the filters of `anyprefer export` find what was planted, and leave clean rows alone?

    ANYPREFER_DATA=… python -m benchmarks.planted development    # what the thresholds were chosen by
    ANYPREFER_DATA=… python -m benchmarks.planted test           # what is reported

Planted among real rows: copies, near copies (case, marks, a letter and a word changed), pairs whose questions are put in other
words (`planted.toml`), and a benchmark's questions in other words within longer prompts. Clean rows: pairs of other real
questions, of the same kind as the benchmark's.
"""

import json
import os
import pickle
import random
import re
import sys
import time
import tomllib
from pathlib import Path

import numpy as np

from anyprefer.core.data_folder import data_file
from anyprefer.core.errors import InputError
from anyprefer.core.results import wilson
from anyprefer.models.local.embed import load_encoder
from anyprefer.training.export import contamination, duplicates
from anyprefer.training.export.exported_pair import ExportedPair
from anyprefer.training.pair_data.preference_rows import preference_file, prompt_of, read_preference

PLANTED = tomllib.loads((Path(__file__).parent / "planted.toml").read_text(encoding="utf-8"))


def pair(name, asked, chosen, rejected, messages=()):
    prompt = tuple(messages) or ({"role": "user", "content": asked},)
    return ExportedPair(name, "planted", 1, prompt, prompt, chosen, rejected)


def rows(file):
    return [row for _, row in preference_file(data_file(f"data:{file}"))]


def question(row):
    return prompt_of(row)[-1]["content"]


def wrong(text):
    """An answer with its last number off by one."""
    at = max(n for n, sign in enumerate(text) if sign.isdigit())
    return f"{text[:at]}{(int(text[at]) + 1) % 10}{text[at + 1 :]}"


def known(part):
    """(asked, chosen, rejected, in other words) of each question that `planted.toml` has words for."""
    found = []
    for file, texts in PLANTED[part].items():
        read = rows(file)
        others = rows("alpaca_eval/outputs_text_davinci_003.jsonl") if "alpaca" in file else []
        best = rows("alpaca_eval/outputs_gpt4_1106_preview.jsonl") if "alpaca" in file else []
        for at, text in texts.items():
            row = read[int(at)]
            if "gsm8k" in file:
                chosen, rejected = row["answer"], wrong(row["answer"])
            elif "arc" in file:
                choices = dict(zip(row["choices"]["label"], row["choices"]["text"], strict=True))
                chosen = choices.pop(row["answerKey"])
                rejected = next(iter(choices.values()))
            else:
                chosen, rejected = best[int(at)]["output"], others[int(at)]["output"]
            found.append((file, question(row), chosen, rejected, text))
    return found


def clean(part):
    """Pairs of real questions, 1,000 for the test: sums like the benchmark's, and for the test dialogues and instructions too."""
    draw = random.Random(0 if part == "development" else 1)
    sums = rows("gsm8k/train.jsonl")[1000:4000] if part == "development" else rows("gsm8k/train.jsonl")[4000:]
    made = [pair(f"sum-{at}", row["question"], row["answer"], wrong(row["answer"])) for at, row in enumerate(sums)]
    made = draw.sample(made, 300 if part == "development" else 500)
    if part == "test":
        talks = []
        for at, row in enumerate(rows("hh_rlhf/harmless_base_test.jsonl")):
            try:
                read = read_preference(str(at), row)
            except InputError:
                continue
            talks.append(pair(f"talk-{at}", "", read.chosen, read.rejected, read.prompt))
        best = rows("alpaca_eval/outputs_gpt4_1106_preview.jsonl")
        worse = rows("alpaca_eval/outputs_text_davinci_003.jsonl")
        told = [
            pair(f"told-{at}", a["instruction"], a["output"], b["output"])
            for at, (a, b) in enumerate(zip(best, worse, strict=True))
            if at >= 14
        ]
        made += draw.sample(talks, 300) + draw.sample(told, 200)
    return made


def nearly(text, draw):
    """Another case, other marks, and in a text of some length a letter and a word changed."""
    words = re.sub(r"([?.])(?=\s|$)", r" \1", text).split()
    if len(words) > 12:
        at = next(n for n in draw.sample(range(len(words)), len(words)) if words[n].isalpha() and len(words[n]) > 4)
        words[at] = words[at][:2] + words[at][3:]
        words.insert(at, "please")
    return " ".join(words).upper() if draw.random() < 0.3 else " ".join(words)


def reworded(text, draw):
    """An answer that says the same a little otherwise."""
    return text if draw.random() < 0.5 or len(text) < 40 else f"Sure, here it is. {text}"


def copies(part):
    """Originals, and what is planted of them by kind."""
    draw, originals, planted = random.Random(2), [], {"exact": [], "minhash": [], "embedding": []}
    for at, (_, asked, chosen, rejected, text) in enumerate(known(part)):
        originals.append(pair(f"o{at}", asked, chosen, rejected))
        planted["exact"].append(pair(f"e{at}", f" {asked}\n", chosen, rejected))
        planted["minhash"].append(pair(f"n{at}", nearly(asked, draw), nearly(chosen, draw), rejected))
        planted["embedding"].append(pair(f"m{at}", text, reworded(chosen, draw), reworded(rejected, draw)))
    return originals, planted


def kept(encode):
    """The encoder, with vectors kept in the file that ANYPREFER_VECTORS names, so that another look is quick."""
    file = Path(os.environ.get("ANYPREFER_VECTORS") or os.devnull)
    known = dict(pickle.loads(file.read_bytes())) if file.is_file() else {}

    def encoded(texts):
        new = [text for text in dict.fromkeys(texts) if text not in known]
        for at in range(0, len(new), 256):
            some = new[at : at + 256]
            known.update(zip(some, encode(some).astype("float32"), strict=True))
            if file.name != "null":
                file.write_bytes(pickle.dumps(known))
        return np.stack([known[text] for text in texts])

    return encoded


def share(k, n):
    low, high = wilson(k, n)
    return f"{k} of {n} ({low:.1%} to {high:.1%})"


def main(part):
    begun, encode = time.process_time(), kept(load_encoder())
    originals, planted = copies(part)
    others = clean(part)
    everything = [*originals, *others, *(one for kind in planted.values() for one in kind)]
    gone = {one.pair.id: one for one in duplicates.duplicates(everything, "embedding", lambda: encode)}
    for kind, some in planted.items():
        found = [one for one in some if one.id in gone]
        print(f"planted {kind}: {share(len(found), len(some))}; by", {gone[one.id].why for one in found})
        for one in some:
            if one.id not in gone:
                print("  missed:", one.id, one.asked[:150])
    report("duplicates", [gone[one.id] for one in others if one.id in gone], others)

    files = [file for file in PLANTED[part] if "alpaca" not in file]
    asked = contamination.questions([data_file(f"data:{file}") for file in files])
    if part == "development":  # rows that are benchmark and clean row at once say nothing
        asked = [one for one in asked if "train" not in one.where or number(one.where) <= 600]
    wrapped = [
        pair(f"b{at}", PLANTED["wrappers"][str(at % 4)].replace("{question}", text), chosen, rejected)
        for at, (file, _, chosen, rejected, text) in enumerate(known(part))
        if file in files
    ]
    if part == "test":  # and two word for word in a long prompt
        for at, file in enumerate(files):
            text = question(rows(file)[0])
            wrapped.append(pair(f"b-whole-{at}", PLANTED["wrappers"]["0"].replace("{question}", text), "a", "b"))
    hits = {one.pair.id: one for one in contamination.contaminated([*wrapped, *others], asked, lambda: encode)}
    found = [one for one in wrapped if one.id in hits]
    print(f"{len(asked)} benchmark questions; in disguise: {share(len(found), len(wrapped))}")
    for one in wrapped:
        if one.id not in hits:
            print("  missed:", one.id, one.asked[:150])
    report("benchmarks", [hits[one.id] for one in others if one.id in hits], others)
    print(f"CPU s: {time.process_time() - begun:.0f}")


def number(where):
    digits = "".join(sign for sign in where.rpartition("line")[2] if sign.isdigit())
    return int(digits or 0)


def report(what, alarms, others):
    print(f"{what}: clean rows removed: {share(len(alarms), len(others))}")
    for one in alarms[:12]:
        print("  ", one.why, one.similarity, one.like, json.dumps(one.pair.asked[:160]))


if __name__ == "__main__":
    main(sys.argv[1])
