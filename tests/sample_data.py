"""A small data folder in the layout that ANYPREFER_DATA names, all made up here."""

import json
from pathlib import Path

QUESTIONS = [
    ("What melts ice?", ["heat", "cold", "dark", "sound"], "A"),
    ("What do plants need?", ["iron", "light", "glass", "salt"], "B"),
    ("What pulls things down?", ["wind", "noise", "gravity", "colour"], "C"),
    ("What is water?", ["a metal", "a rock", "a light", "a liquid"], "D"),
    ("What carries blood?", ["veins", "bones", "hair", "nails"], "A"),
    ("Which is a star?", ["Mars", "the Sun", "the Moon"], "2"),
]
SUMS = [
    ("Tom has 3 apples and buys 4. How many?", "3 + 4 = <<3+4=7>>7 apples\n#### 7"),
    ("A car costs 1000 and a van 500 more. What is a van?", "1000 + 500 = 1,500\n#### 1,500"),
    ("Ann had 5 and gave 8. What is left?", "5 - 8 = -3\n#### -3"),
]
ASKED = [f"Tell me about the number {n}." for n in range(8)]


def arc(first, count):
    rows = []
    for number in range(count):
        question, texts, key = QUESTIONS[number % len(QUESTIONS)]
        labels = ["1", "2", "3"] if key.isdigit() else ["A", "B", "C", "D"]
        rows.append(
            {
                "id": f"{first}-{number}",
                "question": question,
                "choices": {"text": texts, "label": labels},
                "answerKey": key,
            }
        )
    return rows


def make(folder):
    """Writes all files and returns the folder."""
    sums = [{"question": question, "answer": answer} for question, answer in SUMS]
    alpaca = [
        {"instruction": text, "dataset": "made", "output": f"It is {'very ' * n}good.", "generator": "gpt4"}
        for n, text in enumerate(ASKED)
    ]
    files = {
        "arc/easy_test_first_500.jsonl": arc("easy", 6),
        "arc/challenge_test_first_500.jsonl": arc("hard", 6),
        "arc/easy_train.jsonl": arc("easy-train", 12),
        "gsm8k/test_first_600.jsonl": sums,
        "gsm8k/train.jsonl": sums * 4,
        "alpaca_eval/outputs_gpt4_1106_preview.jsonl": alpaca,
    }
    for name, rows in files.items():
        file = Path(folder) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Path(folder)
