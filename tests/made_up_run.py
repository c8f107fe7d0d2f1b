"""Run folders made of rows that nobody played, for tests of what reads them."""

import json
from pathlib import Path

from anyprefer.core.records import (
    Candidate,
    Judgment,
    Knowledge,
    PreferencePair,
    Prompts,
    Reward,
    Round,
    Row,
    Update,
    Usage,
)
from anyprefer.core.settings import RunSettings
from anyprefer.core.task import Task

MODELS = {"target": "toy", "judge": "toy judge", "reward": "toy reward", "engine": "none"}


def played(number=1, answers=("four", "five"), scores=(9.0, 2.0), reward=9.0, found=(), prompt="x", updates=()):
    """A round whose best candidate is the first and whose worst is the last."""
    pair = PreferencePair(
        chosen=answers[0], rejected=answers[-1], chosen_index=0, rejected_index=len(answers) - 1,
        chosen_score=scores[0], rejected_score=scores[-1],
    )  # fmt: skip
    return Round(
        number=number,
        prompts=Prompts(target=prompt, judge="Judge well.", tools={}),
        candidates=tuple(Candidate(index=i, content=one, seed=i) for i, one in enumerate(answers)),
        knowledge=tuple(found),
        judgments=tuple(Judgment(candidate=i, score=one) for i, one in enumerate(scores)),
        pair=pair if reward is not None else None,
        reward=Reward(score=reward, analysis="so it is") if reward is not None else None,
        feedback="" if reward is not None else "The judge scored both the same.",
        updates=updates,
        usage={"sample": Usage(calls=2, input_tokens=10, output_tokens=5, cost=0.001)},
    )


def row(name, *rounds, outcome="accepted", reason="", prompt="2 + 2?", **task):
    """A row; of an accepted one the pair and R are the last round's."""
    last = rounds[-1] if rounds else None
    taken = outcome == "accepted"
    return Row(
        id=name, outcome=outcome, reason=reason, task=Task(id=name, prompt=prompt, **task), rounds=rounds,
        pair=last.pair if taken else None, reward=last.reward.score if taken else None, models=MODELS,
        usage={"sample": Usage(calls=2, input_tokens=100, output_tokens=5, cost=0.001)},
    )  # fmt: skip


def finding(tool="calculator", candidate=0, verdict=1.0, text="2 + 2 = 4.", **more):
    return Knowledge(tool=tool, candidate=candidate, verdict=verdict, text=text, seconds=0.25, **more)


UPDATE = Update(prompt="target", changed=True)


def write_run(folder: Path, rows, **settings) -> Path:
    """The folder as a run leaves it, without a ledger."""
    folder.mkdir(parents=True)
    made = RunSettings(target="toy", judge="toy judge", **settings)
    (folder / "settings.json").write_text(json.dumps(made.model_dump(mode="json")), encoding="utf-8")
    usage = {"sample": Usage(calls=7, input_tokens=1000, output_tokens=50, cost=0.5).model_dump()}
    note = {"source": "", "models": MODELS, "usage": usage, "seed": 0, "started": "2026-01-01T00:00:00+00:00"}
    (folder / "run.json").write_text(json.dumps(note), encoding="utf-8")
    for stream, kept in (
        ("rows", [r for r in rows if r.outcome != "failed"]),
        ("failed", [r for r in rows if r.outcome == "failed"]),
    ):
        text = "".join(one.model_dump_json() + "\n" for one in kept)
        (folder / f"{stream}.jsonl").write_text(text, encoding="utf-8")
    return folder
