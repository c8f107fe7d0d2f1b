"""Preference data that are there already, judged again with tools. No model.

python examples/rejudge_a_file.py
"""

import json
from pathlib import Path

from anyprefer.training.export.rejudge import export_judged, rejudge, rejudge_settings

PAIRS = [
    {"prompt": "What is 12 * 12?", "chosen": "12 * 12 = 144", "rejected": "12 * 12 = 124"},
    {"prompt": "What is 31 + 46?", "chosen": "31 + 46 = 87", "rejected": "31 + 46 = 77"},  # the wrong way round
    {"prompt": "Who are you?", "chosen": "A model.", "rejected": "Nobody."},  # nothing that a tool could check
]
file = Path("runs/given.jsonl")
file.parent.mkdir(exist_ok=True)
file.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS), encoding="utf-8")

judged = rejudge(file, rejudge_settings(tools=("calculator",)), "runs/rejudged")
for one in judged:
    print(one.verdict, "|", one.given.chosen, "|", one.why)
print(export_judged(judged, Path("runs/rejudged")).scale, "pairs in runs/rejudged/dataset")
