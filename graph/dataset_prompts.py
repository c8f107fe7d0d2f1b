"""Prompts in the scope of the data set: versions shared by all tasks of a run (`prompt_scope = "dataset"`).

§2.2 starts p_t as x, one for each task; Algorithm 1 returns optimised prompts, one set for all. This is the
second reading. p_t is then an instruction put before x, at first empty; x itself is never rewritten.

- The first HOLDOUT tasks of a run are held out: they are played as any other, but no rewrite
  learns from them.
- BATCH rejected rounds that were played with the version in force make one rewrite of it, from
  their joined feedback. Tasks in flight continue meanwhile; every next round has the version then in force.
- A new version is kept only if the mean R of one round on each held-out task is higher than with the old
  one, with the same seeds; else it is rolled back. A round without a pair counts as R = 1, the lowest; a
  task that fails with either version is left out of both means.

`prompts.jsonl` in the run folder holds every decision; a resumed run starts from the version
last kept, and collects its batch again. Rounds and pairs name their version (`Prompts.version`). A run may start from
the version another one ended with (`last_kept`), as the iterations of `iterate` do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from pydantic import BaseModel, ConfigDict, ValidationError

from anyprefer.core.disk import unwritable
from anyprefer.core.errors import RunFolderError, SettingsError
from anyprefer.core.records import Prompts, Round, Update
from anyprefer.core.secrets import scrubber
from anyprefer.core.settings import RunSettings
from anyprefer.core.task import Task
from anyprefer.graph.build import wire
from anyprefer.graph.game_graph import GameGraph
from anyprefer.graph.play_task import Game
from anyprefer.graph.players import Players
from anyprefer.models.account import Account, current_account
from anyprefer.models.ask import all_done
from anyprefer.models.calls import Calls
from anyprefer.nodes.update_prompts import opening, rewritten

FILE = "prompts.jsonl"
HOLDOUT = 8
"""First tasks of a run on which a new version must raise the mean R: each is played twice a trial."""
BATCH = 16
"""Rejected rounds a version is rewritten from: the feedback of fewer says little of the data set."""
NO_PAIR = 1.0
"""R of a round that formed no pair, where versions are compared."""


class Decision(BaseModel):
    """One line of `prompts.jsonl`; the first is the version the run began with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    prompts: Prompts
    kept: bool
    rewards: dict[str, float]
    """R, 1..10, of one round with these prompts, by held-out task."""
    before: dict[str, float] = {}
    """The same with the version that was in force."""
    rounds: int = 0
    """Rejected rounds it was made from."""
    heldout: tuple[Task, ...] = ()
    """The held-out tasks; on the first line alone."""


class FixedPrompts:
    """The same prompts whatever happens: how a version is tried."""

    def __init__(self, prompts: Prompts) -> None:
        self.prompts = prompts

    def first(self, task: Task) -> Prompts:
        """The prompts."""
        return self.prompts

    async def then(self, task: Task, closed: Round) -> tuple[Prompts, list[Update]]:
        """The prompts."""
        return self.prompts, []


class SharedPrompts:
    """The version in force, its batch of feedback and the gate."""

    def __init__(
        self, players: Players, settings: RunSettings, folder: Path | None = None, graph: GameGraph | None = None
    ) -> None:
        """Resumes with the versions of `folder`. Raises `RunFolderError` when its prompts.jsonl is damaged."""
        self.players = players
        self.settings = settings
        self._graph = graph
        self.current = opening(players.judge, players.tools, settings).model_copy(update={"shared": True})
        self._file = folder / FILE if folder else None
        self._scrub = scrubber()
        self._heldout: dict[str, Task] = {}
        self._rewards: dict[str, float] | None = None
        self._batch: list[tuple[Task, Round]] = []
        self._at_work = False
        self._take_up()

    def start_from(self, prompts: Prompts | None) -> None:
        """Another run's version instead of the settings' own prompts, where this run has decided on none yet."""
        if prompts and self._rewards is None:
            self.current = prompts

    def first(self, task: Task) -> Prompts:
        """The version in force."""
        if self._rewards is None and len(self._heldout) < HOLDOUT:
            self._heldout.setdefault(task.id, task)
        return self.current

    async def then(self, task: Task, closed: Round) -> tuple[Prompts, list[Update]]:
        """The version in force, which is a new one when this round filled the batch and the gate let it pass."""
        if closed.prompts == self.current and task.id not in self._heldout:
            self._batch.append((task, closed))
        if self._at_work or len(self._batch) < BATCH:
            return self.current, []
        self._at_work = True
        try:
            updates = await self._update()
        finally:
            self._at_work = False
        return self.current, updates

    async def _update(self) -> list[Update]:
        played, self._batch = self._batch, []
        new, updates = await rewritten(self.players.engine, self.current, played, self.settings)
        if new == self.current:
            return updates
        before, after = await self._in_force(), await self._try(new)
        both = before.keys() & after.keys()
        old_mean, new_mean = (fmean(rewards[name] for name in both) if both else NO_PAIR for rewards in (before, after))
        kept = new_mean > old_mean
        self._note(
            Decision(version=new.version, prompts=new, kept=kept, rewards=after, before=before, rounds=len(played))
        )
        told = f"mean held-out reward {old_mean:.3g} before, {new_mean:.3g} with it (n = {len(both)})"
        if not kept:
            return [u.model_copy(update={"changed": False, "note": u.note or f"rolled back: {told}"}) for u in updates]
        self.current, self._rewards, self._batch = new, after, []
        return updates

    async def _in_force(self) -> dict[str, float]:
        """R by held-out task with the version in force; measured when the first rewrite asks for it."""
        if self._rewards is None:
            held = tuple(self._heldout.values())
            rewards = await self._try(self.current)
            self._note(
                Decision(version=self.current.version, prompts=self.current, kept=True, rewards=rewards, heldout=held)
            )
            self._rewards = rewards
        return self._rewards

    async def _try(self, prompts: Prompts) -> dict[str, float]:
        """R by held-out task of one round with these prompts; tasks that fail are left out."""
        once = self.settings.model_copy(update={"max_rounds": 1})
        game = Game(wire(self.players, once, FixedPrompts(prompts), self._graph), once, self.players.names())
        account = current_account()
        calls = account.calls if account else Calls()
        tasks = list(self._heldout.values())
        rows = await all_done(
            game.play(task, Account(calls, f"{task.id} with prompts {prompts.version}")) for task in tasks
        )
        last = {row.id: row.rounds[-1].reward for row in rows if row.outcome != "failed"}
        return {name: reward.score if reward else NO_PAIR for name, reward in last.items()}

    def _note(self, decision: Decision) -> None:
        if self._file is None:
            return
        try:
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(self._scrub(decision.model_dump_json()) + "\n")
        except OSError as error:
            raise unwritable(self._file, error) from error

    def _take_up(self) -> None:
        """Reads the decisions so far; a line that a killed run left half written is cut off."""
        if self._file is None or not self._file.exists():
            return
        text = self._file.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            self._file.write_text(whole, encoding="utf-8")
        for decision in _decisions(self._file):
            self._heldout.update({task.id: task for task in decision.heldout})
            if decision.kept:
                self.current, self._rewards = decision.prompts, decision.rewards


def last_kept(folder: Path) -> Prompts | None:
    """The version of shared prompts that a run's folder ended with; None where no rewrite was tried.

    Raises `RunFolderError` when its prompts.jsonl is damaged.
    """
    kept = [decision.prompts for decision in _decisions(folder / FILE) if decision.kept]
    return kept[-1] if kept else None


def _decisions(file: Path) -> Iterator[Decision]:
    """The whole lines of a file of decisions; a last line without an end was being written."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    for number, line in enumerate(text.split("\n")[:-1], 1):  # not `splitlines`: a prompt may hold U+2028
        try:
            yield Decision.model_validate_json(line)
        except ValidationError as error:
            raise RunFolderError(f"{file}, line {number} is no prompt version: {error}") from error


def check_scope(players: Players, settings: RunSettings) -> None:
    """Raises `SettingsError` for what cannot be played with shared prompts."""
    if getattr(players.engine, "task_only", False):
        raise SettingsError(
            f"prompt_scope 'dataset' needs an engine that rewrites for all tasks, not {players.engine.name!r}; "
            "name a model as engine"
        )
    if settings.workers > 1 or settings.ray:
        raise SettingsError("prompt_scope 'dataset' is played in one process; leave out workers and ray")
    if settings.max_rounds < 2:
        raise SettingsError("prompt_scope 'dataset' learns between rounds; set max_rounds to 2 or more")
