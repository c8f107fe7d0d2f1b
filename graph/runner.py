"""Plays many tasks and streams their rows out as they finish.

Every task ends as exactly one row: accepted, rejected or failed. An error while one task is played
is that task's failed row; only errors that concern all tasks (see `errors.py`) stop the run.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from itertools import chain
from pathlib import Path
from typing import Any, cast

from anyprefer.graph.build import wire
from anyprefer.graph.errors import ModelSetupError, RunFolderError, SettingsError, ToolError
from anyprefer.graph.folder import RunFolder
from anyprefer.graph.inputs import BadRow, Source, printable, read_tasks
from anyprefer.graph.loops import run_blocking
from anyprefer.graph.models import redact
from anyprefer.graph.players import Players, assemble, settle
from anyprefer.graph.settings import Settings
from anyprefer.graph.state import GameState, Outcome, Round, Row, Task
from anyprefer.graph.trace import Tracer, untraced
from anyprefer.graph.usage import Meter
from anyprefer.nodes.reward import close_round

STOPS_THE_RUN = (SettingsError, RunFolderError, ModelSetupError, ToolError)


class Synthesis:
    """One run: players, graph and, when a folder is given, the run folder.

    >>> run = Synthesis(load_settings(target="smollm2")[0], folder="runs/first")
    >>> async for row in run.stream(read_tasks("tasks.jsonl")): print(row.id, row.outcome)
    """

    def __init__(
        self,
        settings: Settings,
        folder: str | Path | None = None,
        resume: bool = False,
        players: Players | None = None,
    ) -> None:
        self.settings = settings
        self.players = players or assemble(settings)
        self.graph = wire(self.players, settings)
        self.models = self.players.names()
        open_folder = RunFolder.resume if resume else RunFolder.create
        self.folder = open_folder(folder, settings, self.models) if folder is not None else None
        self.counts: Counter[Outcome] = Counter()
        """Rows of this call by outcome; a resumed folder's earlier rows are not among them."""
        if settings.trace and self.folder is None:
            raise SettingsError("trace needs a run folder to write traces.db to; give one")
        self._traced = Tracer(self.folder.path).task if settings.trace and self.folder else untraced

    async def stream(self, tasks: Iterable[Task | BadRow]) -> AsyncGenerator[Row, None]:
        """Rows as they finish, at most `concurrency` tasks in flight. Tasks the folder has are skipped."""
        done = self.folder.finished if self.folder else set[str]()
        waiting = (task for task in tasks if task.id not in done)
        playing: set[asyncio.Task[Row]] = set()
        try:
            for task in waiting:
                playing.add(asyncio.create_task(self._play(task)))
                while len(playing) >= self.settings.concurrency:
                    for row in await self._next(playing):
                        yield row
            while playing:
                for row in await self._next(playing):
                    yield row
        finally:
            for left in playing:
                left.cancel()
            await asyncio.gather(*playing, return_exceptions=True)
            if self.folder:
                self.folder.close()

    def play(self, tasks: Iterable[Task | BadRow], *on_row: Callable[[Row], None]) -> None:
        """Plays all tasks from synchronous code, calling each of `on_row` with every finished row."""

        async def work() -> None:
            async with aclosing(self.stream(tasks)) as rows:
                async for row in rows:
                    for call in on_row:
                        call(row)

        run_blocking(work())

    async def _next(self, playing: set[asyncio.Task[Row]]) -> list[Row]:
        """The rows that finished next, all of them kept before the first is given out."""
        finished, _ = await asyncio.wait(playing, return_when=asyncio.FIRST_COMPLETED)
        playing -= finished
        rows = [self._close(one.result()) for one in finished if not one.exception()]
        for one in finished:
            one.result()  # an error that stops the run is raised here
        return rows

    def _close(self, row: Row) -> Row:
        if self.folder:
            try:
                self.folder.write(row)
            except (ValueError, TypeError) as error:
                row = self._failed(row.id, f"the row has no JSON form: {error}; mend the task's or the tool's values")
                self.folder.write(row)
        self.counts[row.outcome] += 1
        return row

    def _failed(self, identifier: str, reason: str) -> Row:
        texts = {"id": printable(identifier), "reason": printable(reason)}
        return Row(**texts, outcome="failed", models=self.models, seed=self.settings.seed)

    async def _play(self, task: Task | BadRow) -> Row:
        if isinstance(task, BadRow):
            return self._failed(task.id, task.error)
        meter, state = Meter(), dict[str, Any]()
        failure = ""
        config: Any = {"callbacks": [meter], "run_name": "game", "metadata": {"task_id": task.id}}
        with self._traced(task) as finish:
            try:
                async for reached in self.graph.astream({"task": task}, config, stream_mode="values"):
                    state = reached
            except STOPS_THE_RUN:
                raise
            except Exception as error:
                failure = redact(f"{type(error).__name__}: {error}")
            row = self._row(task, state, failure, meter)
            finish(row)
        return row

    def _row(self, task: Task, state: Mapping[str, Any], failure: str, meter: Meter) -> Row:
        rounds = tuple(state.get("rounds", ())) + (_cut_short(state, failure) if failure else ())
        accepted = not failure and state.get("outcome") == "accepted"
        last = rounds[-1] if rounds else None
        return Row(
            id=task.id,
            outcome="failed" if failure else "accepted" if accepted else "rejected",
            reason=failure or ("" if accepted else self._why_rejected(rounds)),
            task=state.get("task", task),
            pair=last.pair if accepted and last else None,
            reward=last.reward.score if accepted and last and last.reward else None,
            rounds=rounds,
            models=self.models,
            usage=meter.usage(),
            seed=self.settings.seed,
        )

    def _why_rejected(self, rounds: tuple[Any, ...]) -> str:
        last = rounds[-1]
        spent = f"after {len(rounds)} round{'s' * (len(rounds) > 1)}"
        if last.reward is None:
            return f"no pair {spent}: {last.feedback}"
        return f"reward {last.reward.score:g} below {self.settings.threshold:g} {spent}"


def _cut_short(state: Mapping[str, Any], failure: str) -> tuple[Round, ...]:
    """The round an error ended, when it had got anywhere."""
    if not (state.get("selected") or state.get("candidates")):
        return ()
    if any(closed.candidates == tuple(state["candidates"]) for closed in state["rounds"]):
        return ()
    return (close_round(cast("GameState", state), None, failure),)


async def asynth(
    tasks: Source,
    settings: Settings | None = None,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    columns: Mapping[str, str] | None = None,
    target: Any = None,
    judge: Any = None,
    reward: Any = None,
    engine: Any = None,
    tools: Any = None,
    build_pair: Any = None,
    **values: Any,
) -> AsyncGenerator[Row, None]:
    """Plays tasks and yields a `Row` for each as it finishes; arguments as for `build_graph` and `read_tasks`.

    `folder` keeps everything on disk and must be new; with `resume` it is gone on with.
    """
    roles = {"target": target, "judge": judge, "reward": reward, "engine": engine}
    settings, players = settle(settings, roles, values, tools, build_pair)
    source = read_tasks(tasks, columns)
    first = next(source)  # an input that cannot be read leaves no run folder behind
    run = Synthesis(settings, folder, resume, players)
    async with aclosing(run.stream(chain([first], source))) as rows:
        async for row in rows:
            yield row


def synth(tasks: Source, settings: Settings | None = None, **arguments: Any) -> Iterator[Row]:
    """`asynth` for synchronous code: rows as they finish.

    >>> for row in synth(["What is 34 + 57? Answer with the number only."], target="smollm2"): print(row.outcome)
    """
    rows = asynth(tasks, settings, **arguments)
    try:
        while True:
            try:
                yield run_blocking(rows.__anext__())
            except StopAsyncIteration:
                return
    finally:
        run_blocking(rows.aclose())
