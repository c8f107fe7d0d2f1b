"""Plays many tasks and streams their rows out as they finish.

Every task ends as exactly one row: accepted, rejected or failed. Only errors that concern all tasks (see
`core/errors.py`) stop the run; tasks in flight then stay unfinished with the answers they have, and the same
call resumes them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from math import ceil
from pathlib import Path
from typing import Any

from anyprefer.core.background_loop import run_blocking
from anyprefer.core.errors import INTERRUPT, BudgetSpent, Enough, InputError, RunStopped
from anyprefer.core.input_rows import BadRow
from anyprefer.core.records import Outcome, Row, Usage
from anyprefer.core.settings import RunSettings
from anyprefer.core.task import Task
from anyprefer.graph.build import names, wire
from anyprefer.graph.dataset_prompts import SharedPrompts, check_scope
from anyprefer.graph.game_graph import GameGraph
from anyprefer.graph.play_task import Game
from anyprefer.graph.players import Players, assemble
from anyprefer.graph.runs.feed import Feed
from anyprefer.graph.runs.folder import RunFolder
from anyprefer.graph.runs.garbage import rarely_collecting
from anyprefer.graph.runs.identity import recorded_at
from anyprefer.graph.runs.workers.driver import Cluster
from anyprefer.graph.tracing.tracer import Tracer, keep_secrets_of, untraced
from anyprefer.models.account import Account
from anyprefer.models.calls import Budget, Calls
from anyprefer.models.prices import Prices

log = logging.getLogger("anyprefer")

AT_ONCE = 4
"""Tasks begun in one turn of the event loop. More: a wide run's first answers are late by all the work of beginning;
fewer: every answer takes a turn of its own, which costs CPU."""

FAILURES_IN_A_ROW = 100
"""So many tasks failed for a reason that the next would meet too: a wrong tool, a model that answers nothing."""

AHEAD = 256
"""Tasks read at once where a resumed folder has most of them."""

PLANNED = (BudgetSpent, Enough)
"""Ends a run was asked for."""


class Synthesis:
    """One run: players, graph and, when a folder is given, the run folder, new or to be resumed.

    >>> run = Synthesis(load_settings(target="smollm2")[0], folder="runs/first")
    >>> async for row in run.stream(read_tasks("tasks.jsonl")): print(row.id, row.outcome)
    """

    def __init__(
        self,
        settings: RunSettings,
        folder: str | Path | None = None,
        players: Players | None = None,
        source: str = "",
        repair: bool = False,
        graph: GameGraph | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """`source` names the input, so that a folder is not resumed on another one; `repair` makes the best of a damaged
        folder; `graph` is one that the user has changed; traces are found by `labels`, such as an application's name."""
        keep_secrets_of(settings.trace)
        self.settings = settings
        self.players = players or assemble(settings)
        self.models = names(self.players, settings, graph)
        prices = Prices(settings.prices or None)
        self._check_prices(prices)
        shared = settings.prompt_scope == "dataset"
        if shared:
            check_scope(self.players, settings)
        many = settings.workers > 1 or settings.ray
        self.cluster = Cluster(settings, self.players, prices, graph) if many else None
        self.players.take_tape(folder is not None and recorded_at(Path(folder)) == Path(settings.record).absolute())
        recorded = self.players.recorded(settings)
        self.folder = RunFolder(folder, recorded, self.models, source, repair) if folder is not None else None
        if self.folder:
            self.folder.refused = self.players.refused
        self.counts: Counter[Outcome] = Counter()
        """Rows of this call by outcome; a resumed folder's earlier rows are not among them."""
        self.calls = self._calls(prices)
        """The run's model calls: what was spent, and why no more are made."""
        where = self.folder.path if self.folder else None
        found_by = {**self.models, **(labels or {})}
        chats = self.players.chats()
        self._tracer = Tracer(settings, where, prices, found_by, chats) if settings.trace else None
        self.shared_prompts = SharedPrompts(self.players, settings, where, graph) if shared else None
        traced = self._tracer.task if self._tracer else untraced
        played = wire(self.players, settings, self.shared_prompts, graph)
        self.game = Game(played, settings, self.models, traced)
        self.skipped: set[str] | None = None
        """Ids of tasks that were finished before, for a caller who puts a set here."""
        self._accepted = self.folder.ledger.counts().get("accepted", 0) if self.folder else 0
        self.most_failures: float = FAILURES_IN_A_ROW
        """So many tasks that fail one after another stop the run."""
        self._failed_in_a_row = 0
        self._playing: set[asyncio.Task[Row | None]] = set()
        self._next: deque[Task | BadRow] = deque()
        """Read and still to be begun."""
        self._ending = False

    async def stream(self, tasks: Iterable[Task | BadRow], in_memory: bool = False) -> AsyncGenerator[Row, None]:
        """Rows as they finish, at most `concurrency` tasks in flight. Tasks the folder has are skipped.

        Tasks are read in a thread of their own, unless they are `in_memory` and cost nothing to read. Ends early when
        `accept` or a budget is reached (`stopped` says so). Raises what stops the run for
        another reason, once the calls in flight are back.
        """
        finished: asyncio.Queue[asyncio.Task[Any]] = asyncio.Queue()
        playing = self._playing
        feed = Feed(tasks, in_memory)
        reading: asyncio.Task[list[Task | BadRow]] | None = None
        self._stop_when_enough()
        with rarely_collecting():
            try:
                await (self.cluster.start(self.calls) if self.cluster else self.players.open())
                while True:
                    over = self._ending or (feed.over and not self._next)
                    free = 0 if over else self._room() - len(playing)
                    if reading is None and free > 0 and (ready := self._at_hand(feed, free)):
                        await self._begin(ready, finished)
                        continue
                    if reading is None and free > 0:
                        reading = asyncio.create_task(self._unfinished(feed, free))
                        reading.add_done_callback(finished.put_nowait)
                    if not playing and reading is None:
                        break
                    one = await finished.get()
                    if one is reading:
                        reading = None
                        await self._begin(one.result(), finished)
                        continue
                    playing.discard(one)
                    if row := one.result():
                        yield row
            finally:
                feed.close()
                if reading:
                    reading.cancel()
                await self._close(playing)
        if self.calls.stopped and not isinstance(self.calls.stopped, PLANNED):
            raise self.calls.stopped

    def play(self, tasks: Iterable[Task | BadRow], *on_row: Callable[[Row], None]) -> None:
        """Plays all tasks from synchronous code, calling each of `on_row` with every finished row.

        The first Ctrl-C lets tasks in flight finish; a second one stops at once."""

        async def work() -> None:
            async with aclosing(self.stream(tasks)) as rows:
                async for row in rows:
                    for call in on_row:
                        call(row)

        run_blocking(work(), on_interrupt=self.drain)

    def drain(self) -> None:
        """No further task is begun; those in flight are played to their end."""
        self._ending = True
        log.warning("interrupted: %d tasks in flight are finished; Ctrl-C again stops at once", len(self._playing))

    @property
    def stopped(self) -> str:
        """Why the run ended before its input did; empty when it did not."""
        return str(self.calls.stopped or (INTERRUPT if self._ending else ""))

    def _room(self) -> int:
        """How many tasks may be in flight: with `accept`, twice as many as should give the pairs still missing.

        What is in flight when the last pair comes has been paid for in vain.
        """
        most, wanted, played = self.settings.concurrency, self.settings.accept, self.counts.total()
        if not wanted:
            return most
        rate = max(1, self.counts["accepted"]) / played if played else 1.0
        return min(most, ceil(2 * (wanted - self._accepted) / rate))

    def _at_hand(self, feed: Feed[Task | BadRow], most: int) -> list[Task | BadRow]:
        """Tasks of a new run that have been read already."""
        return [] if self.folder and self.folder.kept else feed.at_hand(most)

    async def _unfinished(self, feed: Feed[Task | BadRow], most: int) -> list[Task | BadRow]:
        """Tasks that are still to be played: some, or none when there are no more."""
        kept = self.folder if self.folder and self.folder.kept else None
        while not self._next and (taken := await feed.take(max(most, AHEAD) if kept else most)):
            done = {task.id for task in taken if kept and kept.has(task)}
            if self.skipped is not None:
                self.skipped |= done
            self._next.extend(task for task in taken if task.id not in done)
        return [self._next.popleft() for _ in range(min(most, len(self._next)))]

    async def _begin(self, tasks: Iterable[Task | BadRow], finished: asyncio.Queue[asyncio.Task[Any]]) -> None:
        for task in tasks:
            if self._ending:
                return
            one = asyncio.create_task(self._finish(task))
            one.add_done_callback(finished.put_nowait)
            self._playing.add(one)
            if len(self._playing) % AT_ONCE == 0:
                await asyncio.sleep(0)  # their first calls go out before the next are prepared

    async def _finish(self, task: Task | BadRow) -> Row | None:
        """Plays one task and keeps its row; None when the run ended before it was done."""
        known = self.folder.ledger.known(task.id) if self.folder and self.folder.resumed else {}
        try:
            row = await self._play(task, known)
        except RunStopped as stop:
            self._stop(stop)
            return None
        row, lines = self._with_lines(row)
        if not self._wanted(row):
            return None
        if self.folder:
            await self.folder.keep(row, task, lines)
        self.counts[row.outcome] += 1
        return row

    def _with_lines(self, row: Row) -> tuple[Row, dict[str, bytes]]:
        """A row as the folder keeps it; one that it cannot keep has failed, before it counts as anything else."""
        if self.folder is None:
            return row, {}
        try:
            return row, self.folder.lines(row)
        except (ValueError, TypeError) as error:
            row = self.game.failed(row.id, f"the row has no JSON form: {error}; fix the task's or the tool's values")
            return row, self.folder.lines(row)

    async def _play(self, task: Task | BadRow, known: Mapping[str, bytes]) -> Row:
        """The task's row, made here or by a worker."""
        if self.cluster and isinstance(task, Task):
            try:
                return await self.cluster.play(task, known)
            except InputError as error:
                return self.game.failed(task.id, str(error))
        return await self.game.play(task, Account(self.calls, task.id, known))

    def _wanted(self, row: Row) -> bool:
        """Counts the row towards `accept` and the failures in a row; False for a pair that is one too many."""
        settings = self.settings
        self._failed_in_a_row = self._failed_in_a_row + 1 if row.outcome == "failed" else 0
        if row.outcome == "accepted":
            if settings.accept and self._accepted >= settings.accept:
                return False
            self._accepted += 1
            self._stop_when_enough()
        if self._failed_in_a_row >= self.most_failures:
            self._stop(RunStopped(f"{self._failed_in_a_row} tasks failed in a row, the last one: {row.reason}"))
        return True

    def _stop_when_enough(self) -> None:
        if self.settings.accept and self._accepted >= self.settings.accept:
            self._stop(Enough(f"{self._accepted} pairs are accepted, as many as were wanted"))

    def _stop(self, reason: RunStopped) -> None:
        self._ending = True
        self.calls.stop(reason)

    async def _close(self, playing: set[asyncio.Task[Row | None]]) -> None:
        for left in playing:
            left.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
        await (self.cluster.close() if self.cluster else self.players.close())
        if self._tracer:
            await asyncio.to_thread(self._tracer.close)
        if self.folder:
            self.folder.close()

    def _calls(self, prices: Prices) -> Calls:
        settings = self.settings
        budget = Budget(settings.max_calls, settings.max_tokens, settings.max_cost)
        ledger = self.folder.ledger if self.folder else None
        spent = ledger.total() if ledger else Usage()
        return Calls(budget, prices, settings.calls_in_flight, ledger, spent)

    def _check_prices(self, prices: Prices) -> None:
        """A limit on cost needs every price: an unknown one is not zero."""
        for role, model in self.players.chats().items():
            if self.settings.max_cost:
                prices.check(model, role)
