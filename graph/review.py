"""The review as an interrupt: a node after the last round asks a person what they think of the pair (Appendix D.3).

    graph = with_review(state_graph(target="smollm2", judge="evidence"), "runs/reviewed").compile(MemorySaver())
    thread = {"configurable": {"thread_id": "1"}}
    state = await graph.ainvoke({"task": {"prompt": "What is 17 + 26?"}}, thread)
    state["__interrupt__"][0].value                       # the pair with its scores and evidence
    await graph.ainvoke(Command(resume={"satisfaction": "satisfied", "difficulty": "easy"}), thread)

A mark measures the judge and the reward, as those of `anyprefer review` do: it changes neither the pair nor how the game
ends. The task's row and the mark go into a run folder, which `anyprefer report`, `analyse` and `export` read.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, Literal, cast

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END
from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anyprefer.core.background_loop import run_blocking
from anyprefer.core.errors import RunFolderError
from anyprefer.core.game_state import GameState
from anyprefer.core.marks import LEVELS, LONGEST_NOTE, Difficulty, Mark, Satisfaction
from anyprefer.core.records import Knowledge, PreferencePair, Row
from anyprefer.graph.game_graph import GameGraph
from anyprefer.graph.play_task import row_of
from anyprefer.graph.runs.folder import RunFolder
from anyprefer.graph.runs.marks import FILE, Marks
from anyprefer.graph.steps import Router

NODE = "review"
Which = Literal["accepted", "all"]
_FOLDER = threading.Lock()
"""Games of this process that end together take turns with the folder."""


class ReviewedState(GameState, total=False):
    """The state of a graph with a review."""

    mark: Mark


class Answer(BaseModel):
    """What the run is resumed with; the satisfaction alone may be given as text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    satisfaction: Satisfaction
    difficulty: Difficulty | None = None
    note: str = Field("", max_length=LONGEST_NOTE)
    by: str = Field("reviewer", min_length=1, max_length=200)


def with_review(graph: GameGraph, folder: str | Path, which: Which = "accepted") -> GameGraph:
    """The graph with a review of accepted pairs, or of all pairs that a game ends with; compile it with a checkpointer.

    `folder` is a run folder, new or one that was made with the same settings. Raises `RunFolderError` for any other.
    The graph that is given is changed.
    """
    review = Review(graph, Path(folder), which)
    review.check()
    return with_node(graph, RunnableLambda(review.blocking, afunc=review.ask, name=NODE))


def with_node(graph: GameGraph, node: Any) -> GameGraph:
    """The graph with a node after the game."""
    graph.branches["reward"].clear()
    graph.add_conditional_edges("reward", Router(), {"update_prompts": "update_prompts", END: NODE})
    graph.add_node(NODE, node, input_schema=ReviewedState)
    graph.add_edge(NODE, END)
    graph.output_schema = cast("Any", ReviewedState)
    return graph


class Review:
    """The node, and the folder where it keeps what was reviewed."""

    def __init__(self, graph: GameGraph, folder: Path, which: Which) -> None:
        self.folder, self.which = folder, which
        self.settings, self.models = graph.players.recorded(graph.settings), graph.players.names()

    async def ask(self, state: GameState) -> ReviewedState:
        """Interrupts, and keeps row and mark once there is an answer. One that is none is asked for again."""
        row = row_of(state["task"], state, self.models, self.settings)
        if row.pair_round is None or (self.which == "accepted" and row.outcome != "accepted"):
            return {}
        await asyncio.to_thread(self.check, row)
        asked, answer = question(row), None
        while answer is None:
            given = interrupt(asked)
            try:
                answer = Answer.model_validate({"satisfaction": given} if isinstance(given, str) else given)
            except ValidationError as error:
                asked = {**asked, "error": _flaw(error)}
        mark = Mark(**answer.model_dump(exclude={"by"}))
        await asyncio.to_thread(self._keep, row, answer)
        return {"mark": mark}

    def blocking(self, state: GameState) -> ReviewedState:
        """The same for synchronous code."""
        return run_blocking(self.ask(state))

    def check(self, row: Row | None = None) -> None:
        """Raises `RunFolderError` where the folder is another run's or holds the row's task already."""
        with _FOLDER:
            folder = self._opened()
            try:
                if row and row.task and folder.has(row.task):
                    raise RunFolderError(f"{self.folder} holds task {row.id!r} already; give it another id")
            finally:
                folder.close()

    def _keep(self, row: Row, answer: Answer) -> None:
        with _FOLDER:
            folder = self._opened()
            try:
                run_blocking(folder.keep(row, cast("Any", row.task), folder.lines(row)))
            finally:
                folder.close()
        marks = Marks(self.folder / FILE)
        for field, value in answer.model_dump(exclude={"by"}, exclude_none=True).items():
            if value:
                marks.add(answer.by, row.id, field, value)

    def _opened(self) -> RunFolder:
        return RunFolder(self.folder, self.settings, self.models)


def question(row: Row) -> dict[str, Any]:
    """What the person is shown, as JSON: the pair with its scores and evidence, and what may be said."""
    played = row.pair_round
    if played is None or played.pair is None or row.task is None:
        raise ValueError(f"row {row.id} has no pair to be reviewed")
    return {
        "question": "How satisfied are you with this pair as training data, and how difficult is the task?",
        "resume": {"satisfaction": LEVELS["satisfaction"], "difficulty": LEVELS["difficulty"], "note": "", "by": ""},
        "id": row.id,
        "prompt": row.task.text,
        "images": list(row.task.images),
        **played.pair.model_dump(mode="json"),
        "outcome": row.outcome,
        "round": played.number,
        "reward": played.reward.score if played.reward else None,
        "analysis": played.feedback,
        "evidence": [_evidence(found, played.pair) for found in played.knowledge],
    }


def _evidence(found: Knowledge, pair: PreferencePair) -> dict[str, Any]:
    sides = {pair.chosen_index: "chosen", pair.rejected_index: "rejected"}
    about = "task" if found.candidate is None else sides.get(found.candidate, f"candidate {found.candidate}")
    return {"tool": found.tool, "about": about, "text": found.error or found.text, "verdict": found.verdict}


def _flaw(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the answer'}: {first['msg']}"
