"""What a name in the settings may mean: one registry a kind of thing, filled by files and by packages.

- A file NAME.py of the kind's folder, or of a folder in it, that says `offers = …` offers that under its name; files without it are helpers.
- A package offers more through entry points of the group `anyprefer.KIND` (`anyprefer.judges`, `anyprefer.trainers`, …).
- The user's own code is named where it lies, `FILE.py:NAME` or `package.module:NAME`.

Nothing is imported to say what there is: that would cost seconds and run the code of packages nobody asked for. What
is asked for by name is loaded then, and one that cannot be loaded is an error only then.

A built-in keeps its name: a package's of the same name is never played for it and can be named `package.module:NAME`
only. A name that two packages offer is an error when it is asked for.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from anyprefer.core.errors import AnypreferError, SettingsError, near
from anyprefer.core.own_code import is_own_code, own_object

OFFERS = r"^offers\b"
"""How a file says that it offers something."""
OWN = "FILE.py:NAME"
"""What may stand for a name: the user's own code, see core/own_code.py."""


class Registry:
    """All things of one kind, such as judges, by name."""

    def __init__(
        self,
        kind: str,
        folder: str,
        error: type[AnypreferError] = SettingsError,
        declared: str = OFFERS,
        unlisted: Collection[str] = (),
    ) -> None:
        """`kind` is one of them in words ("pair builder"), `folder` the package with the built-in ones, `error` what
        an unknown name raises, `declared` the pattern of a source that offers one; its group is the name, where the
        file's name is not. `unlisted` are built in, and never need to be named."""
        self.kind = kind
        self._unlisted = frozenset(unlisted)
        self.folder = folder
        self.group = f"anyprefer.{kind.replace(' ', '_')}s"
        self._error = error
        self._declared = re.compile(declared, re.MULTILINE)

    def names(self) -> list[str]:
        """All names that a user may want, sorted. Nothing is loaded."""
        return sorted({*self._files(), *(point.name for point in self._points())} - self._unlisted)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self._files() or any(point.name == name for point in self._points())

    def get(self, name: str) -> Any:
        """What a name, or `FILE.py:NAME`, means. Raises the registry's error for an unknown name, naming the near one,
        for a name of two packages, and for what cannot be loaded."""
        if module := self._files().get(name):
            return self.offered(name, self._loaded(lambda: importlib.import_module(module), self.origin(name)))
        points = [point for point in self._points() if point.name == name]
        if len(points) > 1:
            raise self._error(f"{self.kind} {name!r} is offered by {' and '.join(map(_origin, points))}; uninstall one")
        if points:
            return self._loaded(points[0].load, f"{self.kind} {name!r} of {_origin(points[0])}")
        if is_own_code(name):
            return own_object(name)
        raise self.unknown(name)

    def offered(self, name: str, module: Any) -> Any:
        """What a built-in file offers under a name."""
        return module.offers

    def unknown(self, name: str, others: Iterable[str] = ()) -> AnypreferError:
        """The error of a name that means nothing; `others` are what may stand there beside names."""
        return self._error(f"unknown {self.kind} {name!r}; {near(name, [*self.names(), *others, OWN])}")

    def built_in(self, name: str) -> bool:
        """Whether a file of ours offers it."""
        return name in self._files()

    def origin(self, name: str) -> str:
        """Where a known name comes from: the built-in file, or the package."""
        if module := self._files().get(name):
            return "/".join(module.split(".")[1:]) + ".py"
        return " and ".join(_origin(point) for point in self._points() if point.name == name)

    def hidden(self) -> dict[str, str]:
        """The packages' things that a built-in of the same name hides: their origin by name."""
        return {point.name: _origin(point) for point in entry_points(group=self.group) if point.name in self._files()}

    def _points(self) -> list[EntryPoint]:
        built_in = self._files()
        return [point for point in entry_points(group=self.group) if point.name not in built_in]

    def _files(self) -> dict[str, str]:
        """Name to module of the built-in ones."""
        found: dict[str, str] = {}
        for package, file in self._sources():
            for name in self._declares(file):
                module = f"{package}.{file.stem}"
                if found.setdefault(name, module) != module:
                    raise self._error(f"two {self.kind}s are named {name!r}; rename the one in {file}")
        return found

    def _sources(self) -> Iterator[tuple[str, Path]]:
        """The files of the folder and of those in it, each with its package."""
        # the path is looked up each time: a test or a launcher may have added a folder to it
        for folder in map(Path, importlib.import_module(self.folder).__path__):
            for file in sorted(folder.rglob("*.py")):
                yield ".".join((self.folder, *file.parent.relative_to(folder).parts)), file

    def _declares(self, file: Path) -> Iterator[str]:
        for found in self._declared.finditer(file.read_text(encoding="utf-8")):
            yield found[1] if found.re.groups else file.stem

    def _loaded(self, load: Callable[[], Any], what: str) -> Any:
        try:
            return load()
        except (Exception, SystemExit) as error:
            raise self._error(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error


def _origin(point: EntryPoint) -> str:
    package = f"package {point.dist.name} {point.dist.version}" if point.dist else "a package"
    return f"{package} ({point.value})"
