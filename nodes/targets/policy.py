"""A policy as the target: `policy:small`, `policy:small:FOLDER`, `policy:openvla:ID-or-folder`, `policy:server:URL`.

A task's prompt is the instruction, and its `start` says where it is to be followed: `{"simulator": "mujoco:carrot",
"seed": 20000}`. p_t is what the policy is told, so a rewritten one reaches it. A candidate is a `Trajectory`.

Tasks that are in flight together are played together: what waits when a batch of episodes ends is the next batch. More than
16 are shared out to a process a core.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from anyprefer.core.errors import InputError, SettingsError
from anyprefer.core.settings import Settings
from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory
from anyprefer.models.policies.lock_step import AT_ONCE, Episode
from anyprefer.models.rollouts import Rollouts

TOGETHER = 2 * AT_ONCE
"""Episodes that are played before any of them is kept: two processes' worth."""


class PolicyTarget:
    """π_t, a policy that acts in simulators."""

    def __init__(self, argument: str, settings: Settings) -> None:
        """Raises `SettingsError` where no policy is named, `ModelSetupError` for one that is not there."""
        if not argument:
            raise SettingsError(
                "target 'policy' needs a policy: policy:small, policy:openvla:ID-or-folder, policy:server:URL"
            )
        self._rollouts = Rollouts(argument)
        self.policy = self._rollouts.policy
        self.name, self.checkpoint = f"policy:{argument}", f"policy:{argument}"
        self._temperature = settings.temperature
        self._thread = ThreadPoolExecutor(1)  # what draws belongs to the thread that made it
        self._waiting: list[tuple[list[Episode], asyncio.Future[list[Trajectory]]]] = []
        self._playing: asyncio.Task[None] | None = None

    async def sample(self, task: Task, prompt: str, seeds: Sequence[int]) -> list[Any]:
        """One trajectory a seed from the task's start. Raises `InputError` for a task without one."""
        simulator, start = _start(task)
        found: asyncio.Future[list[Trajectory]] = asyncio.get_running_loop().create_future()
        self._waiting.append(([Episode(simulator, start, prompt, seed) for seed in seeds], found))
        if self._playing is None or self._playing.done():
            self._playing = asyncio.create_task(self._play())
        return await found

    def close(self) -> None:
        """Ends the processes and frees the simulators."""
        self._thread.submit(self._rollouts.close).result()

    async def _play(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # tasks that begin together wait together
            batch = self._next()
            for (_, found), result in zip(batch, await self._played([wanted for wanted, _ in batch]), strict=True):
                _settle(found, result)

    def _next(self) -> list[tuple[list[Episode], asyncio.Future[list[Trajectory]]]]:
        """As many of the waiting tasks as are played in lock step, one at least: what they did is kept before the others
        begin, so that a run which is killed plays no more than these again."""
        batch = [self._waiting.pop(0)]
        while self._waiting and sum(len(part) for part, _ in (*batch, self._waiting[0])) <= TOGETHER:
            batch.append(self._waiting.pop(0))
        return batch

    async def _played(self, wanted: Sequence[list[Episode]]) -> list[list[Trajectory] | Exception]:
        """The trajectories of each task; where they cannot be played together, each alone, or why not."""
        episodes = [episode for part in wanted for episode in part]
        try:
            play = partial(self._rollouts.play, episodes, self._temperature)
            played = iter(await asyncio.get_running_loop().run_in_executor(self._thread, play))
        except Exception as error:
            return [error] if len(wanted) == 1 else [(await self._played([part]))[0] for part in wanted]
        return [[next(played) for _ in part] for part in wanted]


def _settle(found: asyncio.Future[list[Trajectory]], result: list[Trajectory] | Exception) -> None:
    if found.done():  # its task was cancelled
        return
    if isinstance(result, Exception):
        found.set_exception(result)
    else:
        found.set_result(result)


def _start(task: Task) -> tuple[str, int]:
    start = task.start
    if isinstance(start, dict) and isinstance(start.get("simulator"), str) and type(start.get("seed")) is int:
        return start["simulator"], start["seed"]
    raise InputError(
        f'task {task.id} needs start = {{"simulator": "mujoco:carrot", "seed": 20000}}, not {start!r:.100}'
    )


offers = PolicyTarget
