"""How an evaluation, a rating or a benchmark's judge asks its model: as a run does.

Every call goes through an account (`models/account.py`), so limits, retries and a budget hold, and its answer is kept as it
comes. What ends the run (a server that is gone, a budget that is spent) ends the asking once the calls in flight are
back; the same asking with the same file then asks only what is missing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

from langchain_core.language_models import BaseChatModel

from anyprefer.core.errors import RunStopped
from anyprefer.core.kept import Kept, weights_stamp
from anyprefer.core.secrets import scrubber
from anyprefer.core.settings import RunSettings
from anyprefer.models import load_model
from anyprefer.models.account import Account, accounted
from anyprefer.models.ask import all_done
from anyprefer.models.calls import Budget, Calls, Spending
from anyprefer.models.packing import is_call, unpacked
from anyprefer.models.prices import Prices, used
from anyprefer.models.servers.endpoint import Servers
from anyprefer.models.servers.keys import Keys
from anyprefer.models.traits import model_name, traits_of

T = TypeVar("T")
_APART = "\x1f"


def calls_of(settings: RunSettings) -> Calls:
    """The calls of one command, all its evaluations together: the settings' budget, prices and connections."""
    budget = Budget(settings.max_calls, settings.max_tokens, settings.max_cost)
    return Calls(budget, Prices(settings.prices or None), settings.calls_in_flight)


class Asking:
    """One evaluation's part of a command's calls. `close` it."""

    def __init__(
        self, model: BaseChatModel | None, file: Path | None = None, calls: Calls | None = None, checkpoint: str = ""
    ) -> None:
        """`file` keeps the answers; None: nowhere. Earlier answers of the file count against the budget of `calls`.
        Without a model it is a target that acts, whose weights lie in the folder `checkpoint`.

        Raises `RunFolderError` when the file cannot be opened, `SettingsError` for a limit on cost without a price.
        """
        self.calls = calls or calls_of(RunSettings())
        if model and self.calls.budget.cost:
            self.calls.prices.check(model, "target")
        self._kept = Kept(file, "answers file") if file else None
        self._scrub = scrubber()
        self._weights = f"{weights_stamp(model_name(model) if model else checkpoint)}{_APART}"
        self._known: dict[str, dict[str, bytes]] = {}
        self._take_up(model)

    def _take_up(self, model: BaseChatModel | None) -> None:
        """Reads the answers so far, and counts what they took."""
        for key, answer in self._kept.under(self._weights) if self._kept else ():
            _, task, call = key.split(_APART)
            self._known.setdefault(task, {})[call] = answer
            if model and is_call(call):
                self.calls.take_up(used(unpacked(answer), self.calls.prices, traits_of(model)))

    async def keep_act(self, task: str, key: str, answer: bytes | None, spending: Spending | None) -> None:
        """Keeps one answer (`ActStore`)."""
        if self._kept and answer is not None:
            name = self._weights + _APART.join((task, key))
            await self._kept.keep({name: self._scrub(answer.decode()).encode()})

    async def all(self, works: Iterable[tuple[str, Callable[[], Awaitable[T]]]]) -> list[T]:
        """Each named piece of work done, its calls accounted under its name; results in order.

        Raises what one of them raised, after the others: a `RunStopped` keeps the rest from asking further.
        """
        return await all_done(self._one(name.replace(_APART, " "), work) for name, work in works)

    async def _one(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        with accounted(Account(self.calls, name, self._known.get(name), self)):
            try:
                return await work()
            except RunStopped as stop:
                self.calls.stop(stop)
                raise

    def close(self) -> None:
        """Lets go of the file."""
        if self._kept:
            self._kept.close()


def keys_of(settings: RunSettings) -> Keys:
    """The servers' keys that settings name."""
    return Keys(settings)


def within_limits(spec: str, settings: RunSettings, role: str = "target") -> BaseChatModel:
    """The model a string describes, asked with a run's limits and keys."""
    return load_model(spec, role, servers=Servers(settings))
