"""Pairs of sums, DPO on them, and held-out sums before and after. SmolLM2: ten minutes on two cores.

python examples/train_and_evaluate.py                 # or: TARGET BASE TASKS; the answers may be another model's
"""

import asyncio
import sys
from pathlib import Path

from anyprefer import synth
from anyprefer.models import load_model
from anyprefer.training.evaluation.evaluate import evaluate
from anyprefer.training.evaluation.families import FAMILIES
from anyprefer.training.trainers.by_name import trainer

TARGET = sys.argv[1] if len(sys.argv) > 1 else "smollm2"
BASE = sys.argv[2] if len(sys.argv) > 2 else TARGET
COUNT = int(sys.argv[3]) if len(sys.argv) > 3 else 60
SUMS = FAMILIES["sums"]

tasks = SUMS.make(COUNT, 0, "train")
played = {"tools": ["calculator", "answer_form"], "temperature": 0.7, "max_new_tokens": 24}
rows = list(synth(tasks, target=TARGET, judge="evidence", folder="runs/sums", **played))
print(sum(row.outcome == "accepted" for row in rows), "pairs of", len(rows), "tasks")

dpo = trainer("text_dpo", {"epochs": 1}, preset="embedded")
checkpoint = dpo.train([Path("runs/sums")], BASE, Path("models/sums"), seed=0)

heldout = SUMS.make(COUNT, 0, "heldout")
for name in (BASE, checkpoint):
    result = asyncio.run(evaluate(load_model(name), heldout, SUMS.is_correct, max_tokens=SUMS.max_tokens))
    print(f"{name}: {result.correct} of {result.n} right, {result.accuracy:.0%}, 95% {result.interval}")
