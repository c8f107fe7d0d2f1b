"""What one model at one server takes, found out once a run: a refused optional part is renamed or left out.

A request is sent as it is wanted. A refusal that names a part (`request_parts.py`) is answered by the same request without
it, at once; one that names nothing by a request without all that is not yet known to be taken, whose parts then come
back one by one, each with a call that is made anyway. So a refused part costs at most two further requests. Nothing is
learnt from a refusal that stays: that was the call's own fault, and its first error counts.

While a call tries parts that are not known yet, others that want them wait for what it finds out. When it finds out
nothing, since the server has an outage, they continue without waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

import orjson

from anyprefer.core.errors import PartRefused
from anyprefer.models.sending import further_request
from anyprefer.models.servers.failures import HTTPStatusError, TransportError
from anyprefer.models.servers.request_parts import TOOLS, Part, Payload, parts_of
from anyprefer.models.system_role import SYSTEM_ROLES

log = logging.getLogger("anyprefer")

Post = Callable[[bytes], Awaitable[dict[str, Any]]]
Form = tuple[Any, ...]
"""Sends a body; the answer's JSON object."""
NEVER = (401, 402, 408, 429)
"""Statuses that speak of no part, whatever their words."""
UNNAMED = (400, 404, 405, 415, 422, 500, 501)
"""Statuses that may mean a part they do not name."""
OUTAGE = (408, 502, 503, 504, 520, 521, 522, 523, 524, 529)
"""Statuses after which nothing is known."""
AGAIN = 2
"""How often a part that was taken before is left out of a refused call, to see whether it is taken no more."""
LEFT = 99
"""The step at which a part is left out."""
_OPTIONS = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS


def encoded(payload: Payload) -> bytes:
    """The request's body. Raises `TypeError` for a value without a JSON form."""
    return orjson.dumps(payload, option=_OPTIONS)


class Terms:
    """What a model takes, as far as this run knows."""

    def __init__(self, who: str, leave_out: Iterable[str] = ()) -> None:
        self.who = who
        """The model and its server, for messages."""
        self.said: dict[str, str] = {}
        """By part, what is done without it; run.json tells it."""
        self._steps: dict[str, int] = dict.fromkeys(leave_out, LEFT)
        self._words: dict[str, str] = {}
        self._taken: set[str] = set()
        self._held: dict[str, None] = {}
        """Parts left out until each is tried alone."""
        self._doubted: list[Part] = []
        """Tools that are asked for by text, until that has worked."""
        self._tries: Counter[str] = Counter()
        self.agreed: set[Form] = set()
        """Forms of requests that are sent as they are."""
        self._trial: asyncio.Future[bool] | None = None

    def takes(self, name: str) -> bool:
        """Whether a part has not been refused."""
        return self._steps.get(name, 0) < LEFT

    async def turn(self, payload: Payload, form: Form) -> bool:
        """Waits while another call tries parts of this one; whether this call is the one that tries."""
        loop = asyncio.get_running_loop()
        while form not in self.agreed and self._unknown(payload):
            if self._trial is None:
                self._trial = loop.create_future()
                self._release(payload)
                return True
            if self._trial.get_loop() is not loop or not await asyncio.shield(self._trial):
                return False
        return False

    def leave(self, found_out: bool) -> None:
        """Ends the turn."""
        trial, self._trial = self._trial, None
        if trial and not trial.done():
            trial.set_result(found_out)

    async def sent(self, payload: Payload, form: Form, body: bytes, post: Post) -> dict[str, Any]:
        """The answer to the request as the model takes it; `body` is the request as it is wanted.

        Raises `PartRefused` for tools, which the caller must ask for in another form, and what `post` raises.
        """
        if form not in self.agreed:
            shaped = self.shaped(payload)
            body = body if shaped is payload else encoded(shaped)
        try:
            answer = await post(body)
        except HTTPStatusError as error:
            return await self._again(payload, form, error, post)
        if form not in self.agreed:
            self._accept(payload, form)
        return answer

    async def _again(self, payload: Payload, form: Form, first: HTTPStatusError, post: Post) -> dict[str, Any]:
        """Sends the refused request with ever less in it. Raises its first error when that does not help."""
        keys = [name for part, key in self._keys(payload) for name in (key, part.name)]
        error, before = first, {key: self._steps.get(key, 0) for key in keys}
        held = set(self._held)
        while self._concede(payload, error, held):
            self.agreed.clear()
            shaped = self.shaped(payload)
            await further_request()
            try:
                answer = await post(encoded(shaped))
            except HTTPStatusError as further:
                if further.status in NEVER or further.status in OUTAGE:
                    raise
                error = further
                continue
            self._accept(payload, form)
            return answer
        if error is not first or (self._doubted and first.status in UNNAMED):
            self._forget(before, held)
        raise first

    def _concede(self, payload: Payload, error: HTTPStatusError, held: set[str]) -> bool:
        """Gives up what a refusal is about; False when it is about nothing that can be given up."""
        words = str(error).replace(str(payload["model"]), "")
        if error.status in NEVER or error.of_all:
            return False
        sent = [
            (part, key)
            for part, key in self._keys(payload)
            if self._step(part, key) < LEFT and not self._holds(part, key)
        ]
        named = [(part, key) for part, key in sent if part.named(words) and self._may(key)]
        if named:
            for part, key in named[-1:] if " both " in words else named:
                self._advance(part, key, payload, words)
            return True
        unknown = [(part, key) for part, key in sent if key not in self._taken]
        if error.status not in UNNAMED or not unknown:
            return False
        others = [key for part, key in unknown if part.name != "tools"]
        if len(unknown) == 1:
            self._advance(*unknown[0], payload, "")
            if not others:
                self._doubted.append(unknown[0][0])
                self._held = {key: None for key in self._held if key in held}
        else:
            self._held.update(dict.fromkeys(others))
        return True

    def _may(self, key: str) -> bool:
        """Whether a part may be given up: one that was taken before only so often."""
        self._tries[key] += key in self._taken
        return self._tries[key] <= AGAIN

    def _advance(self, part: Part, key: str, payload: Payload, words: str) -> None:
        step = self._steps.get(key, 0) + 1
        while step <= len(part.instead) and part.instead[step - 1](payload, words) is None:
            step += 1
        self._steps[key], self._words[key] = (step, words) if step <= len(part.instead) else (LEFT, words)
        values = f"{part.name}="
        refused = sum(s == LEFT for k, s in self._steps.items() if k.startswith(values))
        if refused > 1 or (refused and not words and not any(k.startswith(values) for k in self._taken)):
            self._steps[part.name], self._words[part.name] = LEFT, words

    def _forget(self, before: dict[str, int], held: set[str]) -> None:
        self._steps.update(before)
        self._held = {key: None for key in self._held if key in held}
        for part in self._doubted:
            del self._steps[part.name]
        self._doubted.clear()

    def _accept(self, payload: Payload, form: Form) -> None:
        """All that was sent is taken, and what was not is not needed."""
        keys = [(part, key) for part, key in self._keys(payload) if not self._holds(part, key)]
        self._taken.update(key for _, key in keys)
        for part, key in [*keys, *((part, part.name) for part in self._doubted)]:
            self._say(part, key)
        self._doubted.clear()
        if not any(self._step(part, key) or self._holds(part, key) for part, key in self._keys(payload)):
            self.agreed.add(form)

    def _say(self, part: Part, key: str) -> None:
        step = self._steps.get(key, 0)
        name = part.name if part.name in self._steps else key
        if not step or key not in self._words or name in self.said:
            return
        self.said[name] = part.done(step)
        log.warning("%s refuses %s: %s (%s)", self.who, name, self.said[name], self._words[key] or "it named no reason")

    def shaped(self, payload: Payload) -> Payload:
        """The request as it is sent now; the payload itself where nothing is changed. Raises `PartRefused` for tools."""
        for part, key in self._keys(payload):
            step = self._step(part, key)
            if part.name == "tools" and step:
                if part not in self._doubted:
                    self._say(part, key)
                raise PartRefused(f"{self.who} takes no tools: {self._words.get(key) or 'left out by leave_out'}")
            if step or self._holds(part, key):
                made = part.instead[step - 1](payload, self._words[key]) if 0 < step < LEFT else None
                payload = part.without(payload) if made is None else made
        return payload

    def _step(self, part: Part, key: str) -> int:
        return max(self._steps.get(key, 0), self._steps.get(part.name, 0))

    def _unknown(self, payload: Payload) -> bool:
        return any(key not in self._taken and self._step(part, key) < LEFT for part, key in self._keys(payload))

    def _release(self, payload: Payload) -> None:
        """Where all else is known, the first part that was held back is tried with this call."""
        unknown = [
            (part, key) for part, key in self._keys(payload) if key not in self._taken and self._step(part, key) < LEFT
        ]
        if all(self._holds(part, key) for part, key in unknown):
            name = unknown[0][0].name
            self._held = {key: None for key in self._held if key.partition("=")[0] != name}

    def _holds(self, part: Part, key: str) -> bool:
        """Whether it is left out until it is tried alone; with one value of a part, others that were not taken are."""
        if not self._held or key in self._held:
            return bool(self._held)
        return part.by_value and key not in self._taken and any(k.partition("=")[0] == part.name for k in self._held)

    def _keys(self, payload: Payload) -> list[tuple[Part, str]]:
        return [
            (part, f"{part.name}={payload[part.name]}" if part.by_value else part.name) for part in parts_of(payload)
        ]


def form_of(payload: Payload) -> Form:
    """What requests of one kind have in common."""
    roles = {message["role"] for message in payload["messages"]}
    return (*payload, payload.get("temperature"), payload.get("top_p"), not roles.isdisjoint(SYSTEM_ROLES))


class Deal:
    """One call's dealings with the terms."""

    __slots__ = ("form", "payload", "terms", "tries")

    def __init__(self, terms: Terms, payload: Payload) -> None:
        self.terms = terms
        self.payload = payload
        self.form = form_of(payload)
        self.tries = False

    @property
    def agreed(self) -> bool:
        """Whether requests of this form are sent as they are."""
        return self.form in self.terms.agreed

    async def turn(self) -> None:
        """Waits until the call may be sent."""
        if not self.agreed:
            self.tries = await self.terms.turn(self.payload, self.form)

    def sent(self, body: bytes, post: Post) -> Coroutine[Any, Any, dict[str, Any]]:
        """`Terms.sent`; those who wait continue after it."""
        return self._tried(body, post) if self.tries else self.terms.sent(self.payload, self.form, body, post)

    async def _tried(self, body: bytes, post: Post) -> dict[str, Any]:
        found_out = False
        try:
            answer = await self.terms.sent(self.payload, self.form, body, post)
            found_out = True
        except (HTTPStatusError, TransportError) as error:
            found_out = isinstance(error, HTTPStatusError) and error.status not in OUTAGE
            raise
        except PartRefused:
            found_out = True
            raise
        finally:
            self.leave(found_out)
        return answer

    def known(self) -> bytes:
        """The request without tools as it would be sent now."""
        plain = {name: value for name, value in self.payload.items() if name not in TOOLS.keys}
        return encoded(self.terms.shaped(plain))

    def leave(self, found_out: bool = False) -> None:
        """Lets the others continue."""
        if self.tries:
            self.tries = False
            self.terms.leave(found_out)
