"""Your own tool: it works the question out and says of each answer whether it is right.

python examples/your_tool.py            # SmolLM2 answers; or give another model
"""

import re
import sys
from datetime import date

from anyprefer import Candidate, Task, synth
from anyprefer.tools.base import Finding, tool

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@tool
def weekday(task: Task, candidate: Candidate) -> Finding:
    """Works out the weekday of a date; use it when the question asks for one."""
    asked = re.search(r"\d{4}-\d\d-\d\d", task.text)
    said = [day for day in DAYS if day in candidate.text]
    if not asked or len(said) != 1:
        return Finding("No date is asked for, or not one day is named.")  # no verdict: it takes no side
    right = DAYS[date.fromisoformat(asked[0]).weekday()]
    return Finding(f"{asked[0]} was a {right}.", verdict=1.0 if said == [right] else 0.0)


DATES = ("1969-07-20", "1989-11-09", "2000-01-01")
TASKS = [f"On which day of the week was {day}? Answer with the day only." for day in DATES]
TARGET = sys.argv[1] if len(sys.argv) > 1 else "smollm2"

for row in synth(TASKS, target=TARGET, judge="evidence", tools=[weekday], max_new_tokens=16, folder="runs/weekdays"):
    print(row.outcome, (row.pair.chosen, row.pair.rejected) if row.pair else row.reason)
