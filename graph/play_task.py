"""One task played from start to row. Every task ends as exactly one row; an error is a failed row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

from langchain_core.runnables import RunnableConfig

from anyprefer.core.background_loop import exit_as_error
from anyprefer.core.errors import (
    AnswerError,
    AnypreferError,
    ModelSetupError,
    RunFolderError,
    RunStopped,
    SettingsError,
    ToolError,
)
from anyprefer.core.game_state import GameState
from anyprefer.core.images import load, loaded
from anyprefer.core.input_rows import BadRow, printable
from anyprefer.core.records import Round, Row
from anyprefer.core.settings import Settings
from anyprefer.core.task import Task
from anyprefer.graph.game_graph import GameGraph, PlayedState, compiled_for_run
from anyprefer.graph.tracing.tracer import Watch, untraced
from anyprefer.models import redact
from anyprefer.models.account import Account, accounted
from anyprefer.nodes.reward import close_round

STOPS_THE_RUN = (SettingsError, RunFolderError, ModelSetupError, ToolError, RunStopped)


class Game:
    """A graph with what a row says of who played."""

    def __init__(
        self,
        graph: GameGraph,
        settings: Settings,
        models: dict[str, str],
        traced: Callable[[Task], AbstractContextManager[Watch]] = untraced,
    ) -> None:
        self._graph = compiled_for_run(graph)
        self.settings = settings
        self.models = models
        self._traced = traced

    async def play(self, task: Task | BadRow, account: Account) -> Row:
        """The task's row. Raises what stops the run (`STOPS_THE_RUN`)."""
        if isinstance(task, BadRow):
            return self.failed(task.id, task.error, task.text)
        final, failure = PlayedState(), ""
        with self._traced(task) as watch, accounted(account):
            try:
                with loaded(await load(task.images) if task.images else {}):
                    final = await self._final(task, watch.config)
                    raise_failure(final)
            except STOPS_THE_RUN:
                await account.settled()
                raise
            except Exception as error:
                await account.settled()
                await account.forget(isinstance(error, AnswerError))
                failure = redact(f"{type(error).__name__}: {error}")
            except BaseException:
                account.abandon()
                raise
            row = self._row(task, final, failure, account, watch.trace)
            watch.finish(row)
        return row

    async def _final(self, task: Task, config: RunnableConfig) -> PlayedState:
        """The state in which the game ended."""
        final: Any = {}
        try:
            async for state in self._graph.astream({"task": task}, config, stream_mode="values"):
                final = state
        except (SystemExit, KeyboardInterrupt) as raised:
            exit_as_error(raised, "a node of the graph")
            raise
        return cast("PlayedState", final)

    def failed(self, identifier: str, reason: str, text: str = "") -> Row:
        """The row of a task that could not be played, with the text of an input row that is none."""
        texts = {"id": printable(identifier), "reason": printable(reason)}
        said = Task(id=texts["id"], prompt=text) if text else None
        return Row(**texts, outcome="failed", task=said, models=self.models, seed=self.settings.seed)

    def _row(self, task: Task, state: PlayedState, failure: str, account: Account, trace: str) -> Row:
        played = {**state, "rounds": [*state.get("rounds", ()), *(_cut_short(state, failure) if failure else ())]}
        row = row_of(task, cast("GameState", played), self.models, self.settings, failure, account)
        return row.model_copy(update={"trace": trace}) if trace else row


def row_of(
    task: Task,
    state: GameState,
    models: Mapping[str, str],
    settings: Settings,
    failure: str = "",
    account: Account | None = None,
) -> Row:
    """The row of a game that has ended, with the usage that its account counted."""
    rounds = tuple(_with_usage(one, account) for one in state["rounds"])
    accepted = not failure and state.get("outcome") == "accepted"
    last = rounds[-1] if rounds else None
    return Row(
        id=task.id,
        outcome="failed" if failure else "accepted" if accepted else "rejected",
        reason=failure or ("" if accepted else _why_rejected(rounds, settings.threshold)),
        task=state.get("task", task),
        pair=last.pair if accepted and last else None,
        reward=last.reward.score if accepted and last and last.reward else None,
        rounds=rounds,
        models=dict(models),
        usage=account.usage() if account else {},
        seed=settings.seed,
    )


def _why_rejected(rounds: Sequence[Round], threshold: float) -> str:
    last = rounds[-1]
    spent = f"after {len(rounds)} round{'s' * (len(rounds) > 1)}"
    each = "; ".join(f"round {one.number}: {_came_to(one)}" for one in rounds)
    told = f" ({each})" if len(rounds) > 1 else ""
    if last.reward is None:
        return f"no pair {spent}: {last.feedback}{told}"
    return f"reward {last.reward.score:g} below {threshold:g} {spent}{told}"


def _came_to(played: Round) -> str:
    """A round in a word or two."""
    if played.reward:
        return f"R {played.reward.score:g}"
    scores = {judgment.score for judgment in played.judgments}
    return "tie" if len(played.judgments) > 1 and len(scores) == 1 else "no pair"


def mostly_failed(counts: Mapping[str, int]) -> bool:
    """Whether more than half of a run's rows failed, or it has none: no success, whatever else there is."""
    return 2 * counts["failed"] > sum(counts.values()) or not sum(counts.values())


def _with_usage(played: Round, account: Account | None) -> Round:
    used = account.usage(played.number) if account else {}
    return played.model_copy(update={"usage": used}) if used else played


def raise_failure(final: PlayedState) -> None:
    """Raises what ended a game early, first of all what stops the run."""
    errors = [one.error for one in final.get("failures", ())]
    if errors:
        raise next((error for error in errors if isinstance(error, STOPS_THE_RUN)), errors[0])
    if asked := cast("dict[str, Any]", final).get("__interrupt__"):
        raise AnypreferError(f"a node asks {asked[0].value!r} (interrupt), and in a run nobody answers")


def _cut_short(state: PlayedState, failure: str) -> tuple[Round, ...]:
    """The round an error ended, when it had got anywhere."""
    if not (state.get("selected") or state.get("candidates")):
        return ()
    if any(closed.candidates == tuple(state["candidates"]) for closed in state["rounds"]):
        return ()
    return (close_round(state, None, None, failure),)
