"""A whole run on a server that refuses every optional part comes to the same as on one that refuses nothing."""

import json
from collections import Counter

import pytest

from anyprefer.graph import synth
from tests.loopback import Loopback, completion
from tests.refusing import PARTS, refused
from tests.server import play, role_of

TASKS = [f"{number} + {number + 3}" for number in range(6)]
JUDGED = '[{"tool": "calculator", "arguments": {}}]'


def run(folder, parts, status=400, words="openai"):
    """(outcomes, refusals, what run.json says of them)."""
    refusals = []

    def answer(asked, count):
        if (no := refused(asked, parts, status, words)) is not None:
            refusals.append(no)
            return no
        system = "".join(said["content"] for said in asked["messages"] if said["role"] != "user")
        user = "".join(said["content"] for said in asked["messages"] if said["role"] == "user")
        role = role_of(system, user)
        role = "reward" if "You rate a preference pair for RLHF" in user else role
        if role == "sample":
            return completion(*[f"Try {count} {n}: it is {n}." for n in range(asked.get("n", 1))])
        if role == "select_tools":
            return completion(JUDGED)
        if role == "judge":
            return completion("\n".join(f"Answer {n}: {10 - n}/10" for n in range(1, 4)))
        return completion("Good. 9/10" if role == "reward" else play(role, user, 0, False))

    with Loopback(answer) as server:
        spec = f"openai:any@{server.url}"
        players = {"target": spec, "judge": spec, "reward": spec, "engine": spec}
        rows = list(synth(TASKS, **players, tools=["calculator"], candidates=3, top_p=0.9, folder=folder))
    said = json.loads((folder / "run.json").read_text())["refused"]
    return Counter(row.outcome for row in rows), len(refusals), said


@pytest.mark.parametrize(("words", "status"), [("openai", 400), ("mistral", 422), ("llama.cpp", 500), ("gemini", 404)])
def test_a_run_without_any_optional_part_has_the_same_outcomes(tmp_path, words, status):
    outcomes, refusals, said = run(tmp_path / "free", ())
    assert (outcomes, refusals, said) == ({"accepted": len(TASKS)}, 0, {})
    outcomes, refusals, said = run(tmp_path / "strict", PARTS, status, words)
    assert outcomes == {"accepted": len(TASKS)}
    assert refusals <= 2 * len(PARTS)
    [parts] = said.values()
    assert {name.partition("=")[0] for name in parts} == set(PARTS) - {"logprobs"}
