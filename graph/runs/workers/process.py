"""What runs in a worker process: the game as in one process, with the driver behind every act.

The driver (`driver.py`) takes a worker's messages by long poll and answers them in batches. A call is
admitted there against the run's budget before it is sent, waits there for its turn under `rpm` and
`tpm`, and counts as in flight until the driver has its answer on disk.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ray import cloudpickle

from anyprefer.core.errors import AnypreferError, SettingsError
from anyprefer.core.settings import RunSettings
from anyprefer.core.task import Task
from anyprefer.graph.build import names, wire
from anyprefer.graph.game_graph import GameGraph
from anyprefer.graph.play_task import STOPS_THE_RUN, Game
from anyprefer.graph.players import Players, assemble
from anyprefer.models import redact
from anyprefer.models.account import Account
from anyprefer.models.calls import Budget, Calls, Spending
from anyprefer.models.prices import Prices
from anyprefer.models.servers.endpoint import Endpoint
from anyprefer.models.servers.rate_limits import Pacer

BEAT = 5.0
"""Seconds after which a worker with nothing to say says so: the driver sees that it lives."""
LINGER = 0.002
"""Seconds a message waits for company: short beside any model's answer."""

Message = tuple[int, str, tuple[Any, ...]]
"""The number its answer comes under, 0 for none; what is wanted; with what."""
Answer = tuple[int, Any]
"""A value, or an error to raise."""


@dataclass(frozen=True)
class Setup:
    """What a worker is made from, without keys."""

    settings: RunSettings
    given: Mapping[str, Any]
    """Players and tools that were given as objects."""
    prices: Prices
    graph: GameGraph | None = None
    """One that the user has changed."""


class Channel:
    """A worker's side of its talk with the driver."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._any = asyncio.Event()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._count = 0

    def ask(self, what: str, *values: Any) -> asyncio.Future[Any]:
        """What the driver answers, or the error it raises."""
        self._count += 1
        answer = asyncio.get_running_loop().create_future()
        self._answers[self._count] = answer
        self._put((self._count, what, values))
        return answer

    def tell(self, what: str, *values: Any) -> None:
        """Says something that needs no answer."""
        self._put((0, what, values))

    async def take(self) -> list[Message]:
        """The messages since the last call, once there are any; none after `BEAT` seconds without."""
        try:
            async with asyncio.timeout(BEAT):
                await self._any.wait()
        except TimeoutError:
            return []
        await asyncio.sleep(LINGER)
        messages, self._messages = self._messages, []
        self._any.clear()
        return messages

    def answered(self, answers: list[Answer]) -> None:
        """Hands out what the driver answered."""
        for number, value in answers:
            waiting = self._answers.pop(number)
            if waiting.done():
                continue
            if isinstance(value, Exception):
                waiting.set_exception(value)
            else:
                waiting.set_result(value)

    def _put(self, message: Message) -> None:
        self._messages.append(message)
        self._any.set()


class _Sends:
    """The requests of the call at work."""

    begun = False
    admitted = 0
    """Further requests the driver has admitted and nobody has counted yet."""


_SENDS: ContextVar[_Sends | None] = ContextVar("anyprefer_sends", default=None)


class RemoteCalls(Calls):
    """A worker's model calls: the driver admits them, counts them and keeps their answers."""

    def __init__(self, channel: Channel, prices: Prices, slots: int, max_tokens: int = 0) -> None:
        """With `max_tokens`, which the driver keeps to, tokens that a server does not tell are estimated."""
        super().__init__(Budget(tokens=max_tokens), prices, slots, RemoteStore(channel))
        self._channel = channel

    async def admitted(self) -> None:
        """Asks for the first request of a call."""
        await self.admitted_again()
        _SENDS.set(_Sends())

    async def admitted_again(self) -> None:
        """Asks for one more that `RemotePacer` does not ask for."""
        admission = self._channel.ask("admit")
        try:
            await asyncio.shield(admission)
        except asyncio.CancelledError:
            admission.add_done_callback(self._too_late)
            raise

    def admit(self) -> None:
        """Counts a further request of the call at work, unless `RemotePacer` had it admitted."""
        sends = _SENDS.get()
        if sends and sends.admitted:
            sends.admitted -= 1
        else:
            self._channel.tell("another")

    def _too_late(self, admission: asyncio.Future[Any]) -> None:
        if admission.exception() is None:
            self._channel.tell("unsent")


class RemoteStore:
    """The driver's ledger."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def keep_act(self, task: str, key: str, value: bytes | None, spending: Spending | None) -> None:
        """Returns once the value is on the driver's disk."""
        await self._channel.ask("keep", task, key, value, spending)


class RemotePacer(Pacer):
    """A server's pacer in the driver, which paces the requests of all workers in the order they come."""

    def __init__(self, channel: Channel, endpoint: Endpoint) -> None:
        super().__init__(0, 0)
        self.idle = False
        self._channel = channel
        self._url = endpoint.url
        self._paced = bool(endpoint.limits.rpm or endpoint.limits.tpm)

    async def pace(self, size: int) -> float:
        """Waits for the request's turn; one after a call's first is admitted there too."""
        sends = _SENDS.get()
        again = sends is not None and sends.begun
        charged = 0.0
        if self._paced or again:
            charged = await self._channel.ask("pace", self._url, size if self._paced else None, again)
        if sends:
            sends.begun = True
            sends.admitted += again
        return charged

    def settle(self, charged: float, size: int, read: int, written: int) -> None:
        """Passes on what an answer took."""
        if self._paced:
            self._channel.tell("settle", self._url, charged, size, read, written)


class Relay(logging.Handler):
    """Passes log records to the driver's logger, from whatever thread they come."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        """Sends the record's text, and what tells whether another worker said the same of the same."""
        subject = str(record.args[0]) if isinstance(record.args, tuple) and record.args else ""
        said = (record.levelno, str(record.msg), subject, redact(record.getMessage()))
        self._loop.call_soon_threadsafe(self._channel.tell, "log", *said)


class Worker:
    """One worker process; a Ray actor whose methods are called by the driver alone."""

    async def begin(self, setup: bytes, keys: Mapping[str, str], held: Mapping[str, Any]) -> Exception | None:
        """Makes players and game from a packed `Setup`; `keys` are environment variables, the driver's before the
        node's, and `held` the settings that may hold keys. Returns what makes that impossible."""
        self._channel = Channel()
        logger = logging.getLogger("anyprefer")
        logger.addHandler(Relay(self._channel))
        logger.propagate = False
        try:
            await self._prepare(_loaded(setup), keys, held).open()
        except AnypreferError as error:
            return error
        return None

    def _prepare(self, setup: Setup, keys: Mapping[str, str], held: Mapping[str, Any]) -> Players:
        settings = setup.settings.model_copy(update=held)
        os.environ.update(keys)
        players = assemble(settings, **setup.given)
        for endpoint in _endpoints(players):
            endpoint._new_traffic().pacer = RemotePacer(self._channel, endpoint)
        self._calls = RemoteCalls(self._channel, setup.prices, settings.calls_in_flight, settings.max_tokens)
        played = wire(players, settings, graph=setup.graph)
        self._game = Game(played, settings, names(players, settings, setup.graph))
        return players

    async def play(self, packed_task: bytes) -> bytes:
        """The packed row of a packed (task, known answers), or the error that stops the run."""
        task: Task
        task, known = pickle.loads(packed_task)
        try:
            row: Any = await self._game.play(task, Account(self._calls, task.id, known))
        except STOPS_THE_RUN as error:
            row = error
        try:
            return pack(row)
        except Exception as error:
            row = self._game.failed(task.id, f"the row cannot leave its worker: {redact(f'{error}')}")
            return pack(row)

    async def process(self) -> int:
        """Its process's number on its node."""
        return os.getpid()

    async def take(self) -> list[Message]:
        """The worker's messages, once there are any, or none after `BEAT` seconds."""
        return await self._channel.take()

    async def answer(self, answers: list[Answer]) -> None:
        """What the driver says to them."""
        self._channel.answered(answers)


def pack(value: Any) -> bytes:
    """The value as bytes for another process. Raises whatever pickling it raises."""
    return bytes(cloudpickle.dumps(value))  # type: ignore[no-untyped-call]


def _loaded(setup: bytes) -> Setup:
    try:
        loaded: Setup = pickle.loads(setup)
    except Exception as error:
        raise SettingsError(
            f"players or tools cannot be loaded in a worker: {type(error).__name__}: {redact(str(error))}; "
            "install what they need on every node"
        ) from error
    return loaded


def _endpoints(players: Players) -> set[Endpoint]:
    found = {getattr(model, "endpoint", None) for model in players.chats().values()}
    return {endpoint for endpoint in found if isinstance(endpoint, Endpoint)}
