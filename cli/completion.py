"""What the shell completes: names of players, tools, trainers, benchmarks and applications, and run folders.

anyprefer --install-completion

Names come from files and entry points alone; nothing is imported to know them, so that a key press stays quick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path

Completer = Callable[[str], list[str]]

REGISTRIES = {
    "targets": "anyprefer.nodes.targets:TARGETS",
    "judges": "anyprefer.nodes.judges:JUDGES",
    "rewards": "anyprefer.nodes.rewards:REWARDS",
    "engines": "anyprefer.nodes.engines:ENGINES",
    "pair_builders": "anyprefer.nodes.pair_builders:PAIR_BUILDERS",
    "tools": "anyprefer.tools:TOOLS",
    "trainers": "anyprefer.training.trainers.by_name:TRAINERS",
    "benchmarks": "anyprefer.training.evaluation.benchmarks.registry:BENCHMARKS",
}
"""Where what can be named is found, by kind."""
MODELS = ("smollm2", "scenes", "openai:", "hf:", "replay:")
FORMS = {"target": MODELS, **dict.fromkeys(("judge", "reward", "engine"), ("target", *MODELS))}
"""What a role may be beside the names of its registry."""
SETTINGS = {
    "target": "targets",
    "judge": "judges",
    "judge_form": "judges",
    "reward": "rewards",
    "engine": "engines",
    "pair": "pair_builders",
    "tools": "tools",
}
"""The settings that are names, with their kind."""


def names(kind: str, *others: str) -> Completer:
    """Completes a name of a kind; of a list with commas its last part."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in _starting(last, [*_names(kind), *others])]

    return complete


def of_setting(name: str) -> Completer | None:
    """What completes a flag of the settings; None where anything may stand."""
    return names(SETTINGS[name], *FORMS.get(name, ())) if name in SETTINGS else None


def models(incomplete: str) -> list[str]:
    """Completes a model's string."""
    return _starting(incomplete, MODELS)


def kinds(incomplete: str) -> list[str]:
    """Completes a kind of `anyprefer list`."""
    return _starting(incomplete, REGISTRIES)


def apps(incomplete: str) -> list[str]:
    """Completes the name of a packaged application."""
    places = (Path(place) / "applications" for place in import_module("anyprefer.training").__path__)
    return _starting(incomplete, {file.stem for place in places for file in place.glob("*.toml")})


def runs(incomplete: str) -> list[str]:
    """Completes a run folder, or a folder on the way to one; those below `runs` are offered at once."""
    folder, _, begun = incomplete.rpartition("/")
    here = Path(folder or ("/" if incomplete.startswith("/") else "."))
    near = [str(one) if folder else one.name for one in _folders(here) if one.name.startswith(begun)]
    known = [f"runs/{one.name}" for one in _folders(Path("runs"))]
    return sorted({*near, *_starting(incomplete, known)})


def _folders(place: Path) -> Iterator[Path]:
    try:
        yield from (one for one in place.iterdir() if one.is_dir() and not one.name.startswith("."))
    except OSError:
        return


def _starting(begun: str, known: Iterable[str]) -> list[str]:
    return sorted(name for name in known if name.startswith(begun))


def _names(kind: str) -> list[str]:
    module, _, name = REGISTRIES[kind].partition(":")
    found: list[str] = getattr(import_module(module), name).names()
    return found
