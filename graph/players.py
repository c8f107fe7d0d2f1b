"""Who plays which role: strings from the settings and objects of the user's become players and tools."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from langchain_core.language_models import BaseChatModel

from anyprefer.core.errors import AnypreferError, ModelSetupError, SettingsError, near
from anyprefer.core.naming import stable_name
from anyprefer.core.own_code import is_own_code, own_parts
from anyprefer.core.registry import OWN
from anyprefer.core.roles import Builder, Engine, Judge, RewardModel, Target, closed, opened
from anyprefer.core.settings import RunSettings, Settings, load_settings
from anyprefer.graph.own_players import able
from anyprefer.models import load_model
from anyprefer.models.load import FORMS, is_model, keep_secrets_of
from anyprefer.models.servers.endpoint import Servers
from anyprefer.models.servers.openai_chat import terms_of
from anyprefer.models.tape import RecordingChat, Tape
from anyprefer.models.traits import unload
from anyprefer.nodes.engines import ENGINES
from anyprefer.nodes.judges import JUDGES
from anyprefer.nodes.pair_builders.by_name import checked, pair_builder
from anyprefer.nodes.rewards import REWARDS
from anyprefer.nodes.targets import TARGETS
from anyprefer.nodes.targets.cached import SharedTarget
from anyprefer.tools import KnowledgeTool, limited, load_tools
from anyprefer.tools.recording import recorded_tool, replayed_tool

TARGET = "target"
"""What a role's string may say beside a name or a model: the target's model plays it too."""
REGISTRIES = {"target": TARGETS, "judge": JUDGES, "reward": REWARDS, "engine": ENGINES}
ROLES = tuple(REGISTRIES)


@dataclass(frozen=True)
class Players:
    """Everything the wiring needs beside the settings."""

    target: Target
    judge: Judge
    reward: RewardModel
    engine: Engine
    tools: list[KnowledgeTool]
    build_pair: Builder
    tape: Tape | None = None
    """Where the players' calls are recorded."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """What `assemble` was given beside the settings: other processes assemble the same players from both."""
    loaded: tuple[BaseChatModel, ...] = ()
    """Models that were loaded from strings for these players alone."""

    async def open(self) -> None:
        """Before the first task: what the target wants, such as a simulator."""
        await opened(self.target)

    async def close(self) -> None:
        """After the last task: the target is closed, and models that were loaded for it free their weights."""
        await closed(self.target)
        for model in self.loaded:
            unload(model)

    def take_tape(self, resumes: bool = False) -> None:
        """Raises `InputError` for a recording that exists, unless the run that made it resumes."""
        if self.tape:
            self.tape.begin(resumes)

    def recorded(self, settings: RunSettings) -> RunSettings:
        """The settings as a run folder keeps them: with the names of tools and pair builder that were given as objects."""
        tools, build = self.given.get("tools"), self.given.get("build_pair")
        given = list(tools) if isinstance(tools, list | tuple) else [tools]
        named: dict[str, Any] = {} if tools is None else {"tools": tuple(stable_name(tool) for tool in given)}
        return settings.model_copy(update=named if build is None else {**named, "pair": stable_name(build)})

    def names(self) -> dict[str, str]:
        """Role to model name, as written into every row."""
        return {role: getattr(self, role).name for role in ROLES}

    def chats(self) -> dict[str, BaseChatModel]:
        """The chat models among the players, by role."""
        held = {role: getattr(getattr(self, role), "model", None) for role in ROLES}
        return {role: model for role, model in held.items() if isinstance(model, BaseChatModel)}

    def refused(self) -> dict[str, dict[str, str]]:
        """By model and server, the parts of requests it refused in this process, and what is done without them."""
        found = [terms_of(model) for model in self.chats().values()]
        return {terms.who: dict(terms.said) for terms in found if terms and terms.said}


def assemble(
    settings: RunSettings,
    target: Target | BaseChatModel | None = None,
    judge: Judge | BaseChatModel | None = None,
    reward: RewardModel | BaseChatModel | None = None,
    engine: Engine | BaseChatModel | None = None,
    tools: Any = None,
    build_pair: Builder | None = None,
    samples: str | Path = "",
) -> Players:
    """Players from the settings, with objects given here taking their role instead.

    `samples` is a file of the target's answers that several runs share (`nodes/targets/cached.py`).
    Reward and engine default to what the judge says (`rated_by`, `rewritten_by`), with its model. A role that is
    `target` is played by the target's model.
    """
    objects = {
        "target": target, "judge": judge, "reward": reward, "engine": engine, "tools": tools, "build_pair": build_pair,
        "samples": samples or None,
    }  # fmt: skip
    loader = _Loader(settings)
    target_given = target if target is not None else settings.target
    judge_given = loader.or_target(judge if judge is not None else settings.judge, target_given)
    reward_given = loader.or_target(reward if reward is not None else settings.reward, target_given)
    engine_given = loader.or_target(engine if engine is not None else settings.engine, target_given)
    judging = loader.judge(judge_given)
    model = loader.played.get("judge") or getattr(judging, "model", None)
    return Players(
        target=loader.target(target_given, samples),
        judge=judging,
        reward=loader.reward(reward_given, judging, model),
        engine=loader.engine(engine_given, judging, model),
        tools=loader.tools(settings.tools if tools is None else tools),
        build_pair=pair_builder(settings.pair, settings.candidates)
        if build_pair is None
        else checked(build_pair, "it"),
        tape=loader.tape,
        given={name: given for name, given in objects.items() if given is not None},
        loaded=tuple(loader.loaded.values()),
    )


def load_target(spec: str, settings: RunSettings) -> Target:
    """The target that a string describes, as a run with these settings plays it, outside a run: to be measured.

    Raises `ModelSetupError` or `SettingsError` naming the fix.
    """
    return _Loader(settings.model_copy(update={"record": "", "samples": ""})).target(spec)


def settle(
    settings: Settings | None, roles: dict[str, Any], values: dict[str, Any], tools: Any = None, build_pair: Any = None
) -> tuple[RunSettings, Players]:
    """Settings and players from what a caller gave: roles and tools that are strings are settings, the others play."""
    chosen, objects = parted(settings, roles, values, tools, build_pair)
    return chosen, assemble(chosen, **objects)


def parted(
    settings: Settings | None, roles: dict[str, Any], values: dict[str, Any], tools: Any = None, build_pair: Any = None
) -> tuple[RunSettings, dict[str, Any]]:
    """The settings a caller gave, and what plays beside them, as `assemble` takes it: empty where all were strings."""
    given = {**roles, "tools": tools, "build_pair": build_pair}
    named: dict[str, Any] = {role: one for role, one in roles.items() if isinstance(one, str)}
    if isinstance(tools, list | tuple) and all(isinstance(tool, str) for tool in tools):
        named["tools"] = tuple(tools)
    objects = {name: one for name, one in given.items() if one is not None and name not in named}
    return load_settings(**{**(dict(settings) if settings else {}), **values, **named})[0], objects


class _Loader:
    """Loads each string once, so that roles share one model, and puts the tape around models and tools."""

    def __init__(self, settings: RunSettings) -> None:
        self.settings = settings
        self.tape = Tape.new(settings.record) if settings.record else None
        self.loaded: dict[str, BaseChatModel] = {}
        self.servers = Servers(settings)
        self.played: dict[str, str | BaseChatModel] = {}
        """By role, the model that plays it."""

    def chat(self, given: str | BaseChatModel, role: str) -> BaseChatModel:
        if isinstance(given, str):
            key = f"{role}:{given}" if given.startswith("replay:") else given
            if key not in self.loaded:
                self.loaded[key] = load_model(given, role, self.servers)
            given = self.loaded[key]
        keep_secrets_of(given)
        return RecordingChat.around(given, self.tape, role) if self.tape else given

    def or_target(self, given: Any, target: Any) -> Any:
        """What plays a role: the target's model where it says so."""
        if given != TARGET:
            return given
        if not _is_model(target):
            raise SettingsError(f"target {target!r} is no model, so it cannot play another role")
        return target

    def target(self, given: Any, samples: str | Path = "") -> Target:
        player: Target = able(self.player("target", given, "chat"), "target", "sample")
        return SharedTarget(player, self.settings, samples) if samples else player

    def judge(self, given: Any) -> Judge:
        found = self.player("judge", given, self.settings.judge_form)
        return able(found, "judge", "select", "aggregate", "score")  # type: ignore[no-any-return]

    def reward(self, given: Any, judge: Judge, model: Any) -> RewardModel:
        if not given and hasattr(judge, "rate"):
            return able(judge, "reward", "rate")  # type: ignore[no-any-return]
        form = getattr(judge, "rated_by", "")
        if not given and not form:
            raise SettingsError(f"judge {judge.name!r} does not say who rates its pairs, so give a reward")
        # the judge's own model rates as it judges
        found = self.player("reward", given or form, form if form and given == model else "model", model)
        return able(found, "reward", "rate")  # type: ignore[no-any-return]

    def engine(self, given: Any, judge: Judge, model: Any) -> Engine:
        found = self.player("engine", given or getattr(judge, "rewritten_by", "none"), "textgrad", model)
        return able(found, "engine", "rewrite")  # type: ignore[no-any-return]

    def player(self, role: str, given: Any, form: str, model: Any = None) -> Any:
        """Who plays a role: a model in the form of that name, a registered or own player by its name, or an object as
        it is. `model` is played where a name alone needs one."""
        if _is_model(given):
            made = self.made(role, form, given)
            if role not in self.played:
                raise SettingsError(f"{role} {form!r} takes no model; name it alone: {role} = {form!r}")
            return made
        if not isinstance(given, str):
            return given
        name, _, argument = given.partition(":")
        if name in REGISTRIES[role]:
            return self.made(role, name, model, argument)
        if is_own_code(given):
            place, name, argument = own_parts(given)
            return self.made(role, f"{place}:{name}" if name else given, model, argument)
        raise _unknown(role, given)

    def made(self, role: str, name: str, model: Any = None, argument: str = "") -> Any:
        """What a name means; a class is called with what it takes of model, argument and settings, and a target's with
        the checkpoint: its argument, or the string of its model."""
        offered = REGISTRIES[role].get(name)
        if not inspect.isclass(offered):
            return offered if not argument else _no_argument(role, name, argument)
        takes = inspect.signature(offered).parameters
        if "model" in takes:
            self.played[role] = argument or model or _no_model(role, name)
        elif argument and not {"argument", "checkpoint"} & takes.keys():
            _no_argument(role, name, argument)
        can: dict[str, Callable[[], Any]] = {
            "settings": lambda: self.settings,
            "argument": lambda: argument,
            "checkpoint": lambda: argument or (played if isinstance(played := self.played.get(role), str) else ""),
            "model": lambda: self.chat(self.played[role], role),
        }
        try:
            return offered(**{name: give() for name, give in can.items() if name in takes})
        except AnypreferError:
            raise
        except Exception as error:
            raise SettingsError(f"{role} {name!r} cannot be made: {type(error).__name__}: {error}") from error

    def tools(self, given: Any) -> list[KnowledgeTool]:
        tools = load_tools(given, self.settings.tool_options)
        played = next((spec for spec in self._specs() if "replay:" in spec), None)
        if played:
            tape = Tape.load(played.partition("replay:")[2])
            return [replayed_tool(tool, tape) for tool in tools]
        if self.settings.workers == 1 and not self.settings.ray:  # else each worker prepares its own
            for tool in tools:
                tool.prepare()
        tools = [limited(tool, self.settings.tool_timeout) for tool in tools]
        return [recorded_tool(tool, self.tape) for tool in tools] if self.tape else tools

    def _specs(self) -> list[str]:
        return [self.settings.judge, self.settings.target, self.settings.reward, self.settings.engine]


def _is_model(given: Any) -> bool:
    return isinstance(given, BaseChatModel) or (isinstance(given, str) and is_model(given))


def _no_argument(role: str, name: str, argument: str) -> NoReturn:
    raise SettingsError(f"{role} {name!r} takes no argument: {argument!r}")


def _no_model(role: str, name: str) -> NoReturn:
    named = f"judge = MODEL, judge_form = {name!r}" if role == "judge" else f"{role} = '{name}:MODEL'"
    raise SettingsError(f"{role} {name!r} is played by a model, which is not named; name it: {named}")


def _unknown(role: str, spec: str) -> ModelSetupError:
    """The error of a string that is no model and no player of the role."""
    places = " and ".join(other for other, registry in REGISTRIES.items() if other != role and spec in registry)
    known = [*FORMS, OWN, *REGISTRIES[role].names(), *([TARGET] if role != "target" else [])]
    return ModelSetupError(
        f"unknown {role} {spec!r}{f' (only as {places})' if places else ''}; {near(spec.partition(':')[0], known)}"
    )
