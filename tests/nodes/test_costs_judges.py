import json

import pytest
from langchain_core.messages import AIMessage

from anyprefer.core.errors import AnswerError, InputError, ModelError, SettingsError
from anyprefer.core.keypoint_tracks import Tracks
from anyprefer.core.records import Candidate, Judgment, Round
from anyprefer.core.task import Task
from anyprefer.graph import asynth
from anyprefer.nodes.judges.costs import CostsJudge, costs_in
from anyprefer.nodes.judges.written_costs import WrittenCostsJudge, parse_spec
from anyprefer.nodes.pair_builders.success_failure import success_failure
from anyprefer.tools import tool
from tests.carried import ENDS, carried
from tests.core.test_cost_spec import REFUSED
from tests.loopback import Loopback, completion
from tests.scripted import Scripted, play
from tests.server import role_of

TASK = Task(id="carrot-1", prompt="put the carrot on the plate", start={"simulator": "mujoco:carrot", "seed": 1})
WRITTEN = json.dumps(
    {
        "points": {"goal": {"of": "plate", "offset": [0, 0, 0.02]}},
        "stages": [
            {
                "name": "fetch",
                "until": {"event": "lifted", "of": ["carrot"]},
                "terms": [{"kind": "path", "measure": "distance", "of": ["hand", "carrot"], "over": "min"}],
            },
            {
                "name": "put",
                "terms": [
                    {"kind": "path", "measure": "distance", "of": ["carrot", "goal"], "over": "final", "limit": 0.2},
                    {"kind": "grasp", "measure": "not_released", "of": ["carrot"], "over": "final"},
                ],
            },
        ],
    }
)


class Carrier:
    """Its trajectories end in each of the four ways, the better the later."""

    name = "carrier"

    def __init__(self, *ends, **recorded):
        self.ends, self.recorded = ends or ENDS[::-1], recorded

    async def sample(self, task, prompt, seeds):
        return [carried(end, **self.recorded) for end, _ in zip(self.ends, seeds, strict=False)]


async def played(judge, **values):
    given = {"target": Carrier(), "tools": ["pose_keypoints"], "candidates": 4, "max_rounds": 1, **values}
    [row] = [row async for row in asynth([TASK], judge=judge, **given)]
    return row


async def test_the_default_costs_rank_trajectories_by_how_far_they_get():
    row = await played("costs")
    [only] = row.rounds
    scores = [judgment.score for judgment in only.judgments]
    assert row.outcome == "accepted"
    assert scores == sorted(scores)
    assert all(1 <= score <= 10 for score in scores)
    assert row.pair.chosen["success"] is True
    assert json.loads(only.context)["points"]["goal"]["of"] == "plate", "the specification is kept with the round"
    told = json.loads(only.judgments[3].analysis)
    assert told["parts"] == {"costs": pytest.approx(0.99, abs=0.005), "success": 1}
    assert set(told["costs"]) == {"reach", "move", "place"}
    costs = costs_in(only, 3)
    assert costs.total == pytest.approx(1 - told["parts"]["costs"], abs=1e-4)
    assert len(costs.over_time()) == 21
    assert costs_in(only, 4) is None


async def test_without_tools_the_policys_own_likelihood_ranks():
    class Surer(Carrier):
        async def sample(self, task, prompt, seeds):
            return [carried("placed", logprobs=[[-1.0 - n]] * 20) for n in range(len(seeds))]

    row = await played("costs", tools=[], target=Surer())
    assert json.loads(row.rounds[0].judgments[0].analysis) == {"parts": {"likelihood": 0.3679}}
    assert (row.pair.chosen_score, row.pair.rejected_score) == (pytest.approx(4.310915), pytest.approx(1.164841))
    assert row.pair.chosen["logprobs"][0] == [-1.0]
    row = await played("costs", tools=[])
    assert (row.outcome, "tools = ['pose_keypoints']" in row.reason) == ("failed", True)


@tool
def half_blind(task: Task, candidate: Candidate) -> dict:
    """Sees every second trajectory."""
    if candidate.index % 2:
        raise ValueError("too dark")
    poses = candidate.content["poses"]
    return {"keypoints": {name: [pose[:3] for pose in track] for name, track in poses.items()}}


@tool
def blind(task: Task, candidate: Candidate) -> str:
    """Sees nothing."""
    raise ValueError("too dark")


async def test_a_trajectory_that_no_tool_saw_is_left_out_and_none_at_all_is_an_error():
    row = await played("costs", tools=[half_blind], pair="ranks(1,2)")
    assert [judgment.candidate for judgment in row.rounds[0].judgments] == [0, 2]
    row = await played("costs", tools=[blind])
    assert row.outcome == "failed"
    assert "no tool found the keypoints of any trajectory (blind: ValueError: too dark)" in row.reason


async def test_the_users_own_costs_are_read_from_a_file(tmp_path):
    (tmp_path / "own.json").write_text(WRITTEN)
    row = await played(f"costs:{tmp_path}/own.json")
    assert [stage["name"] for stage in json.loads(row.rounds[0].context)["stages"]] == ["fetch", "put"]
    (tmp_path / "own.json").write_text(WRITTEN.replace("carrot", "carot"))
    row = await played(f"costs:{tmp_path}/own.json")
    assert "the scene has no object 'carot'; did you mean 'carrot'?" in row.reason
    with pytest.raises(SettingsError, match=r"costs:none\.json': the file cannot be read"):
        CostsJudge("none.json")


def writer(*texts, **script):
    return Scripted(select_tools='["pose_keypoints"]', judge=[f"It must be held.\n{one}" for one in texts], **script)


def by_writer(model, **values):
    given = {"judge_form": "written_costs", "target": Carrier(), "tools": ["pose_keypoints"], "candidates": 4}
    return play(model, TASK, **{"engine": "none", "max_rounds": 1, **given, **values})


async def test_a_model_writes_the_costs_from_keypoints_and_instruction():
    model = writer(f"```json\n{WRITTEN}\n```")
    row = await by_writer(model)
    [call] = model.asked("judge")
    assert "carrot: 0.300, -0.050, 0.016" in call.user
    assert "Query: put the carrot on the plate" in call.user
    assert call.system.startswith("[Task] You are an expert")
    assert row.outcome == "accepted"
    assert row.pair.chosen["success"] is True
    assert json.loads(row.rounds[0].context) == json.loads(WRITTEN)


async def test_a_specification_that_cannot_be_used_is_asked_for_again_and_then_the_task_fails():
    model = writer(WRITTEN.replace('"final"', '"sum"'), WRITTEN)
    assert (await by_writer(model)).outcome == "accepted"
    again = model.asked("judge")[1].user
    assert "Your answer number 1 could not be read: stages.1.terms.0.over is 'sum'" in again

    model = writer("import os; os.system('touch owned')")
    row = await by_writer(model)
    assert len(model.asked("judge")) == 2
    assert (row.outcome, row.pair) == ("failed", None)
    assert "no JSON object of a cost specification" in row.reason


@pytest.mark.parametrize("case", sorted(REFUSED.keys() - {"a comment"}))  # one is what stands around the object
def test_no_malicious_answer_of_a_judge_is_read(case):
    given, _ = REFUSED[case]
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    points = {"hand": [[0, 0, 0]], "carrot": [[0, 0, 0]], "plate": [[0, 0, 0]]}
    with pytest.raises(AnswerError):
        parse_spec(AIMessage(f"Here it is:\n```\n{text}\n```"), Tracks.of({"keypoints": points}))


async def test_a_server_whose_judge_writes_code_is_asked_again_and_the_row_says_why():
    def answer(asked, count):
        role = role_of(
            *(next((m["content"] for m in asked["messages"] if m["role"] == r), "") for r in ("system", "user"))
        )
        return completion('["pose_keypoints"]' if role == "select_tools" else f"```json\n{CODE}\n```")

    with Loopback(answer) as server:
        row = await played(f"openai:any@{server.url}", judge_form="written_costs", engine="none")
    asked = [body["messages"][-1]["content"] for body in server.bodies if "The costs are one JSON" in str(body)]
    assert len(asked) == 2
    assert """could not be read: stages.0.terms.0.measure is "__import__""" in asked[1]
    assert row.outcome == "failed"
    assert "stages.0.terms.0.measure is" in row.reason


CODE = json.dumps(
    {"stages": [{"name": "a", "terms": [{"kind": "path", "measure": "__import__('os').system('id')", "of": ["hand"]}]}]}
)


async def test_feedback_rewrites_what_costs_are_written_by_and_the_tools_instruction():
    model = writer(WRITTEN)
    row = await by_writer(model, engine=model, reward="evidence", threshold=10, max_rounds=2)
    assert [update.prompt for update in row.rounds[0].updates] == ["target", "judge", "tools.pose_keypoints"]
    first, second = model.asked("judge")
    assert second.system != first.system
    assert second.system.startswith("rewritten")
    assert "Feedback on the previous round: Evidence for the positive" in second.user


def state_of(*ends, scores=None):
    contents = [carried(end).model_dump(mode="json") for end in ends]
    return {
        "task": TASK,
        "candidates": [Candidate(index=n, content=content, seed=n) for n, content in enumerate(contents)],
        "judgments": [Judgment(candidate=n, score=score) for n, score in enumerate(scores or range(len(ends)))],
    }


def test_a_success_is_paired_with_a_failure_of_the_same_start():
    built = success_failure(state_of("placed", "placed", "dropped beside", "never touched", scores=[8, 9, 3, 2]))
    assert (built.chosen_index, built.rejected_index, built.margin) == (1, 3, 7)
    assert success_failure(state_of("placed", "placed")) == (
        "2 succeeded and 0 failed of 2 trajectories; a pair needs one of each from the same start."
    )
    with pytest.raises(InputError, match="no trajectory"):
        success_failure({**state_of("placed"), "candidates": [Candidate(index=0, content="text", seed=0)]})


def test_another_judges_context_holds_no_costs():
    poses = carried("placed").poses
    points = {name: [list(pose[:3]) for pose in track] for name, track in poses.items()}
    found = {"tool": "pose_keypoints", "candidate": 0, "data": {"keypoints": points}}
    prompts = {"target": "", "judge": "", "tools": {}}
    assert costs_in(Round(number=1, prompts=prompts, knowledge=[found], context="It is fine."), 0) is None


def test_a_round_without_knowledge_and_likelihood_cannot_be_ranked():
    from anyprefer.nodes.judges.costs import scored

    with pytest.raises(ModelError, match="does not record"):
        scored({**state_of("placed"), "candidate_knowledge": []})
    assert WrittenCostsJudge.abstains


async def test_feedback_shows_what_a_trajectory_did_and_no_more():
    model = writer(WRITTEN)
    await by_writer(model, engine=model, reward="evidence", threshold=10, max_rounds=2, feedback=("judge",))
    [call] = model.asked("textgrad")
    assert '"states": [[' in call.user
    assert "poses" not in call.user
    assert "success" not in call.user
