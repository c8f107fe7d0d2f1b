"""`synth` and `asynth`: tasks in, rows out, and a folder that keeps them where one is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from functools import wraps
from inspect import signature
from itertools import chain
from pathlib import Path
from typing import Any, ParamSpec

from anyprefer.core.background_loop import run_blocking
from anyprefer.core.errors import Enough, SettingsError
from anyprefer.core.input_files import STDIN, Source
from anyprefer.core.inputs import read_tasks
from anyprefer.core.records import Row
from anyprefer.core.settings import Settings, shows_settings
from anyprefer.graph.game_graph import GameGraph
from anyprefer.graph.players import assemble, parted
from anyprefer.graph.runs.feed import Feed
from anyprefer.graph.runs.finished import finished_ids, rows_again
from anyprefer.graph.runs.runner import Synthesis

_P = ParamSpec("_P")


@shows_settings
async def asynth(
    tasks: Source,
    settings: Settings | None = None,
    *,
    folder: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    target: Any = None,
    judge: Any = None,
    reward: Any = None,
    engine: Any = None,
    tools: Any = None,
    build_pair: Any = None,
    graph: GameGraph | None = None,
    repair: bool = False,
    **values: Any,
) -> AsyncGenerator[Row, None]:
    """Plays tasks and yields a `Row` for each as it finishes; arguments as for `build_graph` and `read_tasks`.

    `folder` keeps everything on disk. The same call with the same folder resumes a run that was stopped and yields the
    rows that were missing; where none is missing it yields the kept ones. `repair` makes the best of a folder whose
    files are short or damaged: whole rows are kept, the others' tasks are played again. `graph`, what `state_graph` returned
    and you changed, is played instead of the game's own, with its players and settings but for those given here.
    """
    roles = {"target": target, "judge": judge, "reward": reward, "engine": engine}
    given = {**roles, "tools": tools, "build_pair": build_pair}
    if graph is not None:
        settings = settings or _state_graph(graph).settings
        given = {name: graph.players.given.get(name) if one is None else one for name, one in given.items()}
    settings, objects = parted(settings, {role: given.pop(role) for role in roles}, values, **given)
    name = source_name(tasks, columns)
    only_once = isinstance(tasks, Iterator) or (isinstance(tasks, str) and tasks == STDIN)
    known = not (objects or graph or repair or only_once)
    if folder is not None and known:
        again = read_tasks(tasks, columns, settings.image_roots)
        done = await asyncio.to_thread(finished_ids, Path(folder), settings, name, again)
        if done is not None:
            for row in rows_again(Path(folder), done):
                yield row
            return
    source = read_tasks(tasks, columns, settings.image_roots)
    in_memory = isinstance(tasks, list | tuple)
    # an input that cannot be read leaves no run folder behind
    opening = Feed(source, in_memory, ahead=0)
    [first] = await opening.take(1)
    opening.close()
    run = Synthesis(settings, folder, assemble(settings, **objects), name, repair, graph)
    run.skipped = set()
    async with aclosing(run.stream(chain([first], source), in_memory)) as rows:
        async for row in rows:
            yield row
    if run.folder and run.skipped and not run.counts and (not run.stopped or isinstance(run.calls.stopped, Enough)):
        for row in rows_again(run.folder.path, run.skipped):
            yield row


def _state_graph(given: Any) -> GameGraph:
    if not isinstance(given, GameGraph):
        raise SettingsError(f"graph: {type(given).__name__} is not what state_graph() returns, uncompiled; give that")
    return given


def source_name(source: Source, columns: Mapping[str, str] | None = None) -> str:
    """What a run folder remembers of its input: a file's or data set's name and the columns; empty for an iterable."""
    if not isinstance(source, str | Path):
        return ""
    name = source if str(source).startswith("hub:") else Path(source).name
    return " ".join([str(name), *(f"{field}={column}" for field, column in sorted((columns or {}).items()))])


def _blocking(function: Callable[_P, AsyncGenerator[Row, None]]) -> Callable[_P, Iterator[Row]]:
    """The same for synchronous code, with the same parameters."""

    @wraps(function)
    def rows(*args: _P.args, **kwargs: _P.kwargs) -> Iterator[Row]:
        playing = function(*args, **kwargs)
        try:
            while True:
                try:
                    yield run_blocking(playing.__anext__())
                except StopAsyncIteration:
                    return
        finally:
            run_blocking(playing.aclose())

    return rows


synth = _blocking(asynth)
synth.__name__ = synth.__qualname__ = "synth"
synth.__signature__ = signature(asynth).replace(return_annotation=Iterator[Row])  # type: ignore[attr-defined]
synth.__doc__ = """`asynth` for synchronous code: rows as they finish.

>>> for row in synth(["What is 34 + 57? Answer with the number only."], target="smollm2"): print(row.outcome)

""" + (asynth.__doc__ or "")
