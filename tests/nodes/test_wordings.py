"""Feedback by a task's other wordings."""

from anyprefer.core.records import Prompts, Round
from anyprefer.core.task import Task
from anyprefer.graph import Trajectory, asynth
from anyprefer.nodes.engines.wordings import WordingsEngine


def walk(*logprobs):
    steps = len(logprobs)
    return Trajectory(states=[[0]] * (steps + 1), actions=[[0]] * steps, logprobs=[[one] for one in logprobs])


class Told:
    """Does what it does in several ways where it is told so in the right words."""

    name = "told"

    def __init__(self):
        self.heard = []

    async def sample(self, task, prompt, seeds):
        self.heard.append(prompt)
        return [walk(-float(at) if prompt == "raise it" else -1.0) for at in range(len(seeds))]


async def test_each_round_without_a_pair_goes_on_with_the_next_wording():
    target = Told()
    task = Task(id="t", prompt="lift it", meta={"wordings": ["raise it", "lift it", "up"]})
    given = {"target": target, "judge": "costs", "engine": "wordings", "max_rounds": 3, "tools": ()}
    [row] = [row async for row in asynth([task], feedback=("target",), pair="best_worst", **given)]
    assert list(dict.fromkeys(target.heard)) == ["lift it", "up", "raise it"]
    assert (row.outcome, len(row.rounds)) == ("accepted", 3)


async def test_what_has_no_other_wording_stays():
    prompts, engine = Prompts(target="lift it", judge="j", tools={}), WordingsEngine()
    played = [(Task(id="t", prompt="lift it"), Round(number=1, prompts=prompts))]
    assert await engine.rewrite("target", prompts, played) == (
        "lift it",
        "the task has no other wording (meta.wordings)",
    )
    assert (await engine.rewrite("judge", prompts, played))[0] == "j"
