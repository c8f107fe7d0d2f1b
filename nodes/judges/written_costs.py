"""A model writes what a trajectory costs, from keypoints and instruction; it is checked, and evaluated as `costs.py` does.

GRAPE's judge writes Python; ours writes data (`core/cost_spec.py`), which nothing executes. A specification that cannot be
used is refused with the reason and asked for again; then the task fails with the reason.
"""

from __future__ import annotations

from langchain_core.messages import AIMessage

from anyprefer.core.cost_spec import LONGEST, CostSpec, read_spec
from anyprefer.core.errors import AnswerError, InputError
from anyprefer.core.game_state import GameState
from anyprefer.core.keypoint_tracks import Tracks
from anyprefer.core.records import Judgment
from anyprefer.models.answer import read_answer
from anyprefer.models.ask import ask
from anyprefer.models.messages import asked
from anyprefer.nodes import prompt_texts
from anyprefer.nodes.judges.costs import scored, tracks_of
from anyprefer.nodes.judges.model import ModelJudge


class WrittenCostsJudge(ModelJudge):
    """`judge_form = "written_costs"`: p_j is what the specification is written by, so feedback rewrites it."""

    abstains = True
    rated_by = "accept"
    policy = prompt_texts.text("judges/written_costs_policy")

    async def aggregate(self, state: GameState) -> str:
        """The specification as JSON; "" where no tool found keypoints. Raises the last `AnswerError`."""
        tracks = tracks_of(state["candidate_knowledge"])
        return (
            (await self._written(state, next(iter(tracks.values())))).model_dump_json(exclude_defaults=True)
            if tracks
            else ""
        )

    async def score(self, state: GameState) -> list[Judgment]:
        """As the judge `costs` does, 1..10."""
        return scored(state)

    async def _written(self, state: GameState, tracks: Tracks) -> CostSpec:
        task, known = state["task"], _places(tracks)
        last = state["rounds"][-1].feedback if state["rounds"] else ""
        fence = prompt_texts.Fence(self.seed(state, "costs"), [task.text, known, last])
        body = fence.fill(
            prompt_texts.text("judges/written_costs"),
            {
                "keypoints": ("Keypoints:\n", known),
                "query": ("Query: ", task.text),
                "feedback": ("Feedback on the previous round: ", last),
            },
            examples=self.settings.examples,
        )
        return await ask(
            self.model,
            asked(state["prompts"].judge, body, task.images, await self.found(state)),
            "judge",
            parse=lambda answer: parse_spec(answer, tracks),
            seed=self.seed(state, "costs"),
            temperature=0.0,
            max_tokens=self.settings.judge_max_new_tokens,
        )


def _places(tracks: Tracks) -> str:
    """Where each keypoint is at the start, a line each."""
    return "\n".join(f"{name}: {', '.join(f'{at:.3f}' for at in track[0])}" for name, track in tracks.points.items())


def parse_spec(message: AIMessage, tracks: Tracks) -> CostSpec:
    """The specification of an answer: its last fenced block, or all from its first brace to its last. Raises
    `AnswerError` with what cannot be used."""
    answer = read_answer(message)
    text = answer.text
    if len(text) > 4 * LONGEST:
        raise AnswerError(f"an answer of {len(text):,} characters; a cost specification has at most {LONGEST:,}", text)
    fenced = [block for block in text.split("```")[1::2] if "{" in block]
    block = fenced[-1] if fenced else text
    written = block[max(0, block.find("{")) : block.rfind("}") + 1]
    if not written:
        raise AnswerError(answer.flaw or "no JSON object of a cost specification", text)
    try:
        return read_spec(written, tracks.points)
    except InputError as error:
        raise AnswerError(str(error), text) from error


offers = WrittenCostsJudge
