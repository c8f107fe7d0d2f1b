from anyprefer.core.records import Candidate
from anyprefer.core.settings import RunSettings
from anyprefer.nodes.judges.chance import ChanceJudge
from tests.scripted import Scripted, a_task, play


def state(task="t", rounds=()):
    return {
        "task": a_task(id=task),
        "rounds": list(rounds),
        "candidates": [Candidate(index=at, content=text, seed=at) for at, text in enumerate("abc")],
    }


async def drawn(seed, **given):
    return [one.score for one in await ChanceJudge(RunSettings(seed=seed)).score(state(**given))]


async def test_chance_depends_on_seed_and_task_and_on_nothing_else():
    first = await drawn(0)
    assert first == await drawn(0)
    assert len({tuple(first), tuple(await drawn(1)), tuple(await drawn(0, task="other"))}) == 3
    assert all(1 <= score <= 10 for score in first)


async def test_a_game_judged_by_chance_gives_a_pair_of_every_task():
    row = await play(Scripted(), judge="chance", tools=[], max_rounds=1)
    assert (row.outcome, row.models["judge"]) == ("accepted", "chance (random scores, no model)")
    assert row.pair.chosen != row.pair.rejected
