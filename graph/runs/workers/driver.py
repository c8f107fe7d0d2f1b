"""Tasks played by many processes: `workers = K` on this machine, on a Ray cluster with `ray = ADDRESS`.

Every worker is a Ray actor with a game of its own (`process.py`), made from the same settings; a local model
is loaded in each. The driver feeds tasks, owns the run folder and keeps what all share (`shared_limits.py`), so a
run means the same as in one process:

| limit | how it is kept |
|---|---|
| `concurrency`, `connections` | divided among the workers, each gets at least one |
| `max_calls`, `max_tokens`, `max_cost`, `accept`, failures in a row | the driver admits every request and sees every row |
| `rpm`, `tpm` | requests of all workers wait in one row, in the driver |

A worker that dies or gives no sign of life for 30 seconds is replaced, and its tasks are played again from the answers they have. On a cluster
every node needs the same version of anyprefer, and files that tasks and tools name (images, corpora, local
models) under the same path. Keys go to workers as arguments of a call, which Ray does not store.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import secrets
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from typing import Any

from anyprefer.core.errors import RunStopped, SettingsError
from anyprefer.core.records import Row
from anyprefer.core.server_settings import ServerSettings
from anyprefer.core.settings import SECRET, RunSettings
from anyprefer.core.task import Task
from anyprefer.graph.game_graph import GameGraph
from anyprefer.graph.players import Players
from anyprefer.graph.runs.workers.remote import RemoteWorker
from anyprefer.graph.runs.workers.shared_limits import Shared
from anyprefer.models import redact, traits_of
from anyprefer.models.calls import Calls
from anyprefer.models.prices import Prices

log = logging.getLogger("anyprefer")

DEATHS, WITHIN = 5, 60.0
"""So many workers that die within so many seconds, or with no row between them, end the run; twice as many
as there are workers where that is more, so that a run outlives a node."""
STORE = 256 * 2**20
"""Bytes of shared memory for what is too large for a message, on this machine."""
ROOM = 16
"""Calls a worker takes beside those that play tasks."""
SENT = ("OPENAI_API_KEY",)
"""Environment variables that go to the workers."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^A worker died or was killed",
}


class Cluster:
    """The workers of one run: `start`, then `play` many tasks at once, then `close`."""

    def __init__(self, settings: RunSettings, players: Players, prices: Prices, graph: GameGraph | None = None) -> None:
        """Starts nothing yet. Raises `SettingsError` for what cannot be played by several processes."""
        self._ray = _load_ray(alone=not settings.ray)
        for name in ("record", "trace"):
            if getattr(settings, name):
                raise SettingsError(f"{name} needs a run in one process; leave out workers and ray")
        self._settings = settings
        servers = (settings, *settings.servers.values())
        self._count = min(settings.workers, settings.concurrency, *(server.connections for server in servers))
        self._places = ceil(settings.concurrency / self._count)
        self._setup = _packed_setup(settings, players, prices, self._count, graph)
        self._held = {name: getattr(settings, name) for name in SECRET} | {"servers": _shared(settings, self._count)}
        self._local_model = any(traits_of(model).in_process for model in players.chats().values())
        self._workers: list[RemoteWorker] = []
        self._deaths: list[float] = []
        self._deaths_since_row = 0
        self._broken: Exception | None = None
        self._changed = asyncio.Event()
        self._thread: ThreadPoolExecutor | None = None
        """Runs Ray while it is ours: its processes end with the thread that started them."""

    async def start(self, calls: Calls) -> None:
        """Connects to Ray, or starts it on this machine, and begins to start the workers."""
        self._shared = Shared(calls, self._settings)
        if not self._ray.is_initialized():
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="anyprefer-ray")
            await asyncio.get_running_loop().run_in_executor(self._thread, self._connect)
        self._needs = self._resources()
        self._workers = [RemoteWorker(self, number) for number in range(1, self._count + 1)]

    async def play(self, task: Task, known: Mapping[str, bytes]) -> Row:
        """The task's row, whichever worker lives to make it.

        Raises what stops the run, and `InputError` for a task that cannot be sent.
        """
        kept = self._shared.known[task.id] = dict(known)
        try:
            while True:
                worker = await self._free()
                result = await worker.play(task, kept)
                if isinstance(result, Exception):
                    raise result
                if result is not None:
                    self._deaths_since_row = 0
                    return result
        finally:
            del self._shared.known[task.id]

    async def close(self) -> None:
        """Ends the workers, and Ray if it was started here."""
        self._broken = self._broken or RunStopped("the run is over")
        await asyncio.gather(*(worker.end() for worker in self._workers))
        if self._thread:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._ray.shutdown)
            self._thread.shutdown()

    def new_actor(self) -> Any:
        """An actor for a worker."""
        from anyprefer.graph.runs.workers.process import Worker

        return self._ray.remote(Worker).options(max_concurrency=self._places + ROOM, **self._needs).remote()

    async def begin(self, actor: Any) -> Exception | None:
        """Tells a new actor what to play with. Returns why it cannot."""
        named = (*SENT, self._settings.key_env, *(table.key_env for table in self._settings.servers.values()))
        keys = {name: os.environ[name] for name in named if name in os.environ}
        error: Exception | None = await actor.begin.remote(self._setup, keys, self._held)
        return error

    def changed(self) -> None:
        """Wakes the tasks that wait for a place."""
        self._changed.set()
        self._changed = asyncio.Event()

    def fail(self, reason: Exception) -> None:
        """No worker can be started: all tasks that wait end with the reason."""
        self._broken = self._broken or reason
        self.changed()

    def died(self, worker: RemoteWorker, reason: str) -> None:
        """Puts a new worker in its place, unless too many died or the run is over."""
        if self._broken:
            return
        now = asyncio.get_running_loop().time()
        self._deaths = [*(at for at in self._deaths if now - at < WITHIN), now]
        self._deaths_since_row += 1
        died = max(len(self._deaths), self._deaths_since_row)
        if died >= max(DEATHS, 2 * self._count):
            self.fail(RunStopped(f"{died} workers died one after another, the last one: {reason}"))
            return
        log.warning("worker %d died, its %d tasks are played again: %s", worker.number, worker.tasks, reason)
        self._workers[self._workers.index(worker)] = RemoteWorker(self, worker.number)
        self.changed()

    async def _free(self) -> RemoteWorker:
        """The worker with the fewest tasks of those with a place."""
        while self._broken is None:
            free = [worker for worker in self._workers if worker.ready and worker.tasks < self._places]
            if free:
                return min(free, key=lambda worker: worker.tasks)
            await self._changed.wait()
        raise self._broken

    def _connect(self) -> None:
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if self._settings.ray:
                self._ray.init(address=self._settings.ray, **quiet)
            else:
                cores = max(self._count, os.cpu_count() or 1)
                self._ray.init(
                    "local", num_cpus=cores, include_dashboard=False, object_store_memory=STORE, **quiet
                )  # fmt: skip
        except (OSError, RuntimeError, ValueError) as error:
            where = f"cluster {self._settings.ray}" if self._settings.ray else "this machine"
            raise SettingsError(f"Ray does not start on {where}: {redact(str(error))}") from error

    def _resources(self) -> dict[str, Any]:
        """What a worker holds: a core; with a local model also a share of the GPUs, or of this machine's cores."""
        needs: dict[str, Any] = {"num_cpus": 1, "scheduling_strategy": "SPREAD"}
        if self._local_model:
            there = self._ray.cluster_resources()
            if gpus := int(there.get("GPU", 0)):
                needs["num_gpus"] = 1 / ceil(self._count / gpus)
            elif not self._settings.ray:
                needs["num_cpus"] = max(1, int(there.get("CPU", 1)) // self._count)
        return needs


def _load_ray(alone: bool) -> Any:
    """Ray; one started here listens on this machine only and asks everybody for a token, as Ray does by itself since
    ray-project/ray#64755."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if alone and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:  # Ray reads both on import
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # on any system: listen on this machine only
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise SettingsError("workers and ray need Ray: pip install 'anyprefer[ray]'") from None


def _packed_setup(
    settings: RunSettings, players: Players, prices: Prices, count: int, graph: GameGraph | None
) -> bytes:
    from anyprefer.graph.runs.workers.process import Setup, pack

    for name, given in {**players.given, "graph": graph}.items():
        try:
            pack(given)
        except Exception as error:
            raise SettingsError(
                f"{name} cannot be sent to other processes ({type(error).__name__}: {redact(str(error))}); "
                "give it as a string, make it picklable, or leave out workers and ray"
            ) from error
    share = {"connections": settings.connections // count, "workers": 1, "ray": ""}
    held = {
        name: RunSettings.model_fields[name].get_default(call_default_factory=True) for name in (*SECRET, "servers")
    }
    return pack(Setup(settings.model_copy(update=share | held), players.given, prices, graph))


def _shared(settings: RunSettings, count: int) -> dict[str, ServerSettings]:
    """Each worker's share of what `servers` allows."""
    return {
        url: table.model_copy(update={"connections": table.connections // count})
        if "connections" in table.model_fields_set
        else table
        for url, table in settings.servers.items()
    }
