from anyprefer.core.records import Candidate
from anyprefer.core.settings import RunSettings
from anyprefer.nodes.judges.shortest import ShortestJudge
from tests.scripted import a_task


async def test_fewer_words_score_higher_and_nothing_else_counts():
    texts = ["A red circle.", "A circle.", "A blue ring."]
    state = {
        "task": a_task(),
        "rounds": [],
        "candidates": [Candidate(index=at, content=text, seed=at) for at, text in enumerate(texts)],
    }
    found = await ShortestJudge(RunSettings()).score(state)
    assert [(one.candidate, one.score) for one in found] == [(0, -3), (1, -2), (2, -3)]
