"""One worker process as the driver sees it: started, asked, watched, ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from anyprefer.core.errors import InputError
from anyprefer.core.records import Row
from anyprefer.core.task import Task
from anyprefer.graph.runs.workers.shared_limits import Service
from anyprefer.models import redact

if TYPE_CHECKING:
    from anyprefer.graph.runs.workers.driver import Cluster
    from anyprefer.graph.runs.workers.process import Answer

log = logging.getLogger("anyprefer")

SILENCE = 30.0
"""Seconds without a sign of life after which a worker is taken for dead; it gives one every `worker.BEAT`."""
PATIENCE = 30.0
"""Seconds a worker may take to start before it is logged."""


class RemoteWorker:
    """One worker as the driver sees it."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.number = number
        self.tasks = 0
        """Tasks it plays."""
        self.ready = False
        self._process = 0
        """Its number, where it runs on this machine."""
        self._cluster = cluster
        self._actor = cluster.new_actor()
        self._service = Service(cluster._shared, self._answer)
        self._life = asyncio.create_task(self._live())

    async def play(self, task: Task, known: Mapping[str, bytes]) -> Row | Exception | None:
        """The task's row or what stops the run; None when the worker died."""
        from ray.exceptions import RayError, RayTaskError

        packed = _packed_task(task, known)
        self.tasks += 1
        playing = asyncio.ensure_future(_result(self._actor.play.remote(packed)))
        try:
            await asyncio.wait([playing, self._life], return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                return None  # a process that is frozen answers nothing, not even that it is killed
            result: Row | Exception = pickle.loads(playing.result())
            return result
        except RayTaskError:
            raise
        except RayError:
            self._kill()
            await asyncio.wait([self._life])
            return None
        finally:
            playing.cancel()
            self.tasks -= 1
            self._cluster.changed()

    async def end(self) -> None:
        """Ends the worker; what it handed over is kept."""
        self._life.cancel()
        await asyncio.wait([self._life])
        await self._service.gone()
        self._kill()

    def _kill(self) -> None:
        """Ends the process; a frozen one on this machine, which Ray cannot reach, too."""
        self._cluster._ray.kill(self._actor)
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)
            self._process = 0

    async def _live(self) -> None:
        from ray.exceptions import RayError, RayTaskError

        try:
            if error := await self._begin():
                return self._cluster.fail(error)
            if self._cluster._thread:  # Ray is ours, so it runs on this machine
                self._process = await self._actor.process.remote()
            self.ready = True
            self._cluster.changed()
            while True:
                async with asyncio.timeout(SILENCE):
                    messages = await self._actor.take.remote()
                self._service.take(messages)
        except Exception as error:
            self.ready = False
            self._kill()
            await self._service.gone()
            if isinstance(error, TimeoutError):
                self._cluster.died(self, f"it gave no sign of life for {SILENCE:g} s")
            elif isinstance(error, RayError) and not isinstance(error, RayTaskError):
                self._cluster.died(self, _last_line(error))
            else:
                self._cluster.fail(error)

    async def _begin(self) -> Exception | None:
        late = asyncio.get_running_loop().call_later(
            PATIENCE, log.warning, "worker %d waits for a place on the cluster: it needs a free core", self.number
        )
        try:
            return await self._cluster.begin(self._actor)
        finally:
            late.cancel()

    def _answer(self, answers: list[Answer]) -> None:
        self._actor.answer.remote(answers)


async def _result(reference: Any) -> bytes:
    found: bytes = await reference
    return found


def _packed_task(task: Task, known: Mapping[str, bytes]) -> bytes:
    from anyprefer.graph.runs.workers.process import pack

    try:
        return pack((task, known))
    except Exception as error:
        raise InputError(f"the task cannot be sent to a worker: {redact(str(error))}; fix its values") from error


def _last_line(error: Exception) -> str:
    lines = redact(str(error)).partition(" Some common causes")[0].strip().splitlines()
    return lines[-1].strip()[:200] if lines else type(error).__name__
