"""An application is data: what is played, with which models and tools, how it is trained and measured.

    app = load_application("natural-language")           # or a TOML file of your own
    settings, trainer = app.settings("embedded"), app.trainer("embedded")
    tasks = app.tasks("embedded", iteration=1, seed=0)
    evaluate = app.evaluation("embedded", settings)

Packaged ones are the TOML files in this folder; `anyprefer apps NAME` shows one, to be copied and changed. An application
has scales: the same thing on this machine (`embedded`) and as the paper did it (`paper`). Values of the application
hold for all scales; a scale's own win. Loading checks every name in it and contacts nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from anyprefer.core.errors import InputError, SettingsError, ToolError, TrainingError, near
from anyprefer.core.input_rows import BadRow
from anyprefer.core.roles import Evaluate, Trainer
from anyprefer.core.settings import RunSettings, load_settings
from anyprefer.core.task import Task
from anyprefer.nodes.pair_builders.by_name import pair_builder
from anyprefer.tools import load_tools
from anyprefer.training.applications.arms import arm
from anyprefer.training.applications.task_source import TaskSource
from anyprefer.training.evaluation.heldout import check_measured, evaluation
from anyprefer.training.trainers.by_name import TEXT, trainer

PACKAGED = Path(__file__).parent


class _Data(BaseModel):
    """Frozen, and an unknown key is an error that names the near one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        for key in given if isinstance(given, Mapping) else ():
            if key not in cls.model_fields:
                raise SettingsError(f"unknown key {key!r} in {cls.__name__.lower()}; {near(key, cls.model_fields)}")
        return given


class Scale(_Data):
    """One size of an application."""

    description: str = ""
    target: str
    """Model to be aligned."""
    base: str = ""
    """What is trained where the target is behind a URL."""
    judge: str
    judge_without_tools: str = ""
    """Judge of experiments that take the tools away, with every pair accepted; empty: the judge and the reward.
    Rules over tools need another one, such as `target`: the target judges itself."""
    reward: str = ""
    """Empty: the judge's."""
    engine: str = ""
    """Empty: the judge's."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Further values of `RunSettings`."""
    arms: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Values of `RunSettings` that an experiment's arm needs at this scale, by the arm's name; changes to its training
    under `training`."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Arms that mean nothing at this scale, with why: reports say so in their place."""
    fluency: TaskSource | None = None
    """Answers, as the tasks' references, whose perplexity experiments watch; never trained on."""
    trainer: str = TEXT
    """What makes a stronger target of the pairs: a name, or own code as `FILE.py:NAME`."""
    preset: str = ""
    """Values of the trainer's settings by name; empty: its defaults."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Values of the trainer's own settings, over the preset's."""
    sources: tuple[TaskSource, ...] = Field(min_length=1)
    benchmarks: tuple[str, ...] = ()
    """What each iteration is measured on: benchmarks, or evaluations of your own as `FILE.py:NAME`; empty: the
    application's."""
    iterations: int = Field(ge=1)


class Application(_Data):
    """What is played, trained and measured. Raises `SettingsError`, `ToolError`, `TrainingError` or `InputError`
    for a name that does not exist, with the near one."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    description: str = ""
    task_field: str = "question answering"
    system: str = ""
    tools: tuple[str, ...] = ()
    tool_options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    pair: str = "best_worst"
    benchmarks: tuple[str, ...] = ()
    scales: dict[str, Scale] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _alike(cls, given: Any) -> Any:
        """A scale that says `like = "NAME"` has that one's values where it has none of its own."""
        scales = given.get("scales") if isinstance(given, Mapping) else None
        if not isinstance(scales, Mapping) or not all(isinstance(one, Mapping) for one in scales.values()):
            return given
        full = dict[str, Any]()
        for name, own in scales.items():
            if (other := own.get("like", "")) and other not in full:
                raise SettingsError(f"scale {name!r} is like {other!r}; {near(other, full)} above it")
            full[name] = {**full.get(other, {}), **{key: value for key, value in own.items() if key != "like"}}
        return {**given, "scales": full}

    @model_validator(mode="after")
    def _checked(self) -> Application:
        for name in self.scales:
            settings = self.settings(name)
            load_tools(settings.tools, settings.tool_options)
            pair_builder(settings.pair, settings.candidates)
            self.trainer(name)
            for experiment in self.scales[name].left_out:
                arm(experiment)
            for experiment in self.scales[name].arms:
                changes, training = self.arm_changes(name, experiment)
                self.settings(name, **{**arm(experiment).settings, **changes})
                self.trainer(name, **training)
            for measured in self.measured(name):
                check_measured(measured)
        return self

    def scale(self, name: str = "") -> Scale:
        """The scale of that name; empty: the first. Raises `SettingsError` that names the near one."""
        name = name or next(iter(self.scales))
        if name not in self.scales:
            raise SettingsError(f"application {self.name} has no scale {name!r}; {near(name, self.scales)}")
        return self.scales[name]

    def values(self, scale: str = "") -> dict[str, Any]:
        """The values of `RunSettings` it sets."""
        chosen = self.scale(scale)
        ours = {
            "task_field": self.task_field,
            "system": self.system,
            "tools": self.tools,
            "tool_options": self.tool_options,
            "pair": self.pair,
        }
        players = {role: getattr(chosen, role) for role in ("target", "judge", "reward", "engine")}
        return {**ours, **players, **chosen.settings}

    def settings(self, scale: str = "", **changes: Any) -> RunSettings:
        """The settings to play a scale with; changes win."""
        return load_settings(**{**self.values(scale), **changes})[0]

    def trainer(self, scale: str = "", **changes: Any) -> Trainer:
        """What trains the scale's target, with its settings; changes win."""
        chosen = self.scale(scale)
        return trainer(chosen.trainer, {**chosen.training, **changes}, chosen.preset)

    def arm_changes(self, scale: str, experiment: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the scale changes for one arm of an experiment: values of `RunSettings`, and of the trainer's."""
        changes = dict(self.scale(scale).arms.get(experiment, {}))
        return changes, changes.pop("training", {})

    def measured(self, scale: str = "") -> tuple[str, ...]:
        """Names of the scale's benchmarks."""
        return self.scale(scale).benchmarks or self.benchmarks

    def evaluation(self, scale: str, settings: RunSettings, limit: int = 0) -> Evaluate:
        """Measures a target on the scale's benchmarks; `limit` tasks of each, 0: its own number."""
        return evaluation(self.measured(scale), settings, limit=limit)

    def tasks(self, scale: str = "", iteration: int = 1, seed: int = 0) -> list[Task | BadRow]:
        """The iteration's tasks, of every source in order. Iterations share none.

        Raises `InputError` when a source cannot be read or holds too few, or for an iteration there is not.
        """
        chosen = self.scale(scale)
        if not 1 <= iteration <= chosen.iterations:
            raise InputError(f"application {self.name} has iterations 1 to {chosen.iterations}, not {iteration}")
        return [task for source in chosen.sources for task in source.tasks_of(iteration, chosen.iterations, seed)]

    def with_iterations(self, scale: str, count: int) -> Application:
        """The same with another number of iterations, each of as many tasks as before."""
        return self._with(scale, iterations=count)

    def with_tasks(self, scale: str, count: int) -> Application:
        """The same with another number of tasks of each source in an iteration."""
        sources = tuple(source.model_copy(update={"tasks": count}) for source in self.scale(scale).sources)
        return self._with(scale, sources=sources)

    def _with(self, scale: str, **changes: Any) -> Application:
        name = scale or next(iter(self.scales))
        changed = self.scale(scale).model_copy(update=changes)
        return self.model_copy(update={"scales": {**self.scales, name: changed}})


def list_applications() -> tuple[str, ...]:
    """Names of the packaged applications."""
    return tuple(sorted(file.stem for file in PACKAGED.glob("*.toml")))


def application_file(name_or_path: str | Path) -> Path:
    """The TOML file of a packaged application, or the user's own. Raises `SettingsError` that names the near one."""
    text = str(name_or_path)
    if text in list_applications():
        return PACKAGED / f"{text}.toml"
    if Path(text).is_file():
        return Path(text)
    if text.endswith(".toml") or "/" in text:
        raise SettingsError(f"application file {text} does not exist")
    raise SettingsError(f"unknown application {text!r}; {near(text, list_applications())}, or give a .toml file")


def load_application(name_or_path: str | Path) -> Application:
    """A packaged application by name, or one of the user's from a TOML file, checked.

    Raises `SettingsError`, `ToolError`, `TrainingError` or `InputError` naming what is wrong and the near name.
    """
    file = application_file(name_or_path)
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"application file {file} cannot be read as TOML: {error}") from error
    try:
        return Application.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SettingsError(f"{file}: {where}: {first['msg']} (got {first['input']!r:.200})") from None
    except (SettingsError, ToolError, InputError, TrainingError) as error:
        raise type(error)(f"{file}: {error}") from error


def application_and_scale(given: str) -> tuple[Application, str]:
    """`NAME`, `NAME:SCALE`, `FILE.toml` or `FILE.toml:SCALE`; without a scale the first."""
    head, colon, tail = given.rpartition(":")
    named = bool(colon) and tail.replace("-", "").replace("_", "").isalnum()
    app = load_application(head if named else given)
    app.scale(tail if named else "")
    return app, tail if named else next(iter(app.scales))
