"""Who plays which role: strings from the settings and objects of the user's become players and tools."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from anyprefer.core.errors import SettingsError, near
from anyprefer.core.naming import stable_name
from anyprefer.core.own_code import is_own_code, load_own
from anyprefer.core.roles import Builder, Engine, Judge, RewardModel, Target
from anyprefer.core.secrets import keep_secret, keep_secrets_in, keep_url_secrets
from anyprefer.core.settings import RunSettings, Settings, load_settings
from anyprefer.models import load_model
from anyprefer.models.servers.endpoint import Servers
from anyprefer.models.servers.openai_chat import terms_of
from anyprefer.models.tape import RecordingChat, Tape
from anyprefer.nodes.engines.evidence import EvidenceEngine
from anyprefer.nodes.engines.textgrad import NoEngine, TextGrad
from anyprefer.nodes.judges.evidence import EvidenceJudge
from anyprefer.nodes.judges.expected import ExpectedJudge
from anyprefer.nodes.judges.listwise import ChatJudge, ModelJudge
from anyprefer.nodes.judges.meta import MetaJudge
from anyprefer.nodes.judges.pointwise import PointwiseJudge
from anyprefer.nodes.pair_builders.by_name import pair_builder
from anyprefer.nodes.rewards.accept import AcceptReward
from anyprefer.nodes.rewards.evidence import EvidenceReward
from anyprefer.nodes.rewards.model import ChatReward, ExpectedReward
from anyprefer.nodes.targets.cached import SharedTarget
from anyprefer.nodes.targets.chat import ChatTarget
from anyprefer.tools import KnowledgeTool, limited, load_tools
from anyprefer.tools.recording import recorded_tool, replayed_tool

EVIDENCE, ACCEPT, TARGET = "evidence", "accept", "target"
"""What a role's string may say beside a model: rules, a reward that takes every pair, the target itself."""
FORMS: dict[str, type[ModelJudge]] = {
    "listwise": ChatJudge, "pointwise": PointwiseJudge, "expected": ExpectedJudge, "meta": MetaJudge
}  # fmt: skip
"""How a chat model judges, by `judge_form`."""
ROLES = ("target", "judge", "reward", "engine")


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
) -> Players:
    """Players from the settings, with objects given here taking their role instead.

    Reward and engine default to the judge's model; where it judges without writing it rates pairs without writing
    too, and nobody rewrites prompts. A role that is `target` is played by the target's model.
    """
    objects = {
        "target": target, "judge": judge, "reward": reward, "engine": engine, "tools": tools, "build_pair": build_pair
    }  # fmt: skip
    loader = _Loader(settings)
    target_given = target if target is not None else load_own(settings.target)
    judge_given = loader.or_target(judge if judge is not None else load_own(settings.judge), target_given)
    reward_named = load_own(settings.reward) or judge_given
    reward_given = loader.or_target(reward if reward is not None else reward_named, target_given)
    engine_given = loader.or_target(engine if engine is not None else load_own(settings.engine), target_given)
    judging = loader.judge(judge_given)
    silent = isinstance(judging, ExpectedJudge)
    return Players(
        target=loader.target(target_given),
        judge=judging,
        reward=loader.reward(reward_given, ExpectedReward if silent and reward_given == judge_given else ChatReward),
        engine=loader.engine(engine_given, None if silent else judge_given),
        tools=loader.tools(settings.tools if tools is None else tools),
        build_pair=build_pair or _builder(settings),
        tape=loader.tape,
        given={name: given for name, given in objects.items() if given is not None},
    )


def _builder(settings: Settings) -> Builder:
    if not is_own_code(settings.pair):
        return pair_builder(settings.pair, settings.candidates)
    found: Builder = load_own(settings.pair)
    if not callable(found):
        raise SettingsError(f"setting 'pair': {settings.pair} is no function of a round's state")
    return found


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

    def chat(self, given: str | BaseChatModel, role: str) -> BaseChatModel:
        if isinstance(given, str):
            key = f"{role}:{given}" if given.startswith("replay:") else given
            if key not in self.loaded:
                self.loaded[key] = load_model(given, role, self.servers)
            given = self.loaded[key]
        _keep_secrets_of(given)
        return RecordingChat.around(given, self.tape, role) if self.tape else given

    def or_target(self, given: Any, target: Any) -> Any:
        """What plays a role: the target's model where it says so."""
        if given != TARGET:
            return given
        if not isinstance(target, str | BaseChatModel):
            raise SettingsError(f"target {target!r} is no model, so it cannot play another role")
        return target

    def target(self, given: Any) -> Target:
        if isinstance(given, str | BaseChatModel):
            player: Target = ChatTarget(self.chat(given, "target"), self.settings)
        else:
            player = _able(given, "target", "sample")
        return SharedTarget(player, self.settings) if self.settings.samples else player

    def judge(self, given: Any) -> Judge:
        if given == EVIDENCE:
            return EvidenceJudge()
        if isinstance(given, str | BaseChatModel):
            if self.settings.judge_form not in FORMS:
                raise SettingsError(
                    f"unknown judge_form {self.settings.judge_form!r}; {near(self.settings.judge_form, FORMS)}"
                )
            return FORMS[self.settings.judge_form](self.chat(given, "judge"), self.settings)
        return _able(given, "judge", "select", "aggregate", "score")  # type: ignore[no-any-return]

    def reward(self, given: Any, form: type[ChatReward] = ChatReward) -> RewardModel:
        if given == EVIDENCE or isinstance(given, EvidenceJudge):
            return EvidenceReward()
        if given == ACCEPT:
            return AcceptReward()
        if isinstance(given, str | BaseChatModel):
            return form(self.chat(given, "reward"), self.settings)
        if isinstance(given, Judge):
            raise SettingsError(f"judge {given.name!r} is no model, so it cannot also rate pairs; give a reward")
        return _able(given, "reward", "rate")  # type: ignore[no-any-return]

    def engine(self, given: Any, judge: Any) -> Engine:
        if given == "":
            plays = isinstance(judge, str | BaseChatModel) and judge != EVIDENCE
            return TextGrad(self.chat(judge, "engine"), self.settings) if plays else NoEngine()
        if given == EVIDENCE:
            return EvidenceEngine()
        if isinstance(given, str | BaseChatModel):
            return TextGrad(self.chat(given, "engine"), self.settings)
        return _able(given, "engine", "rewrite")  # type: ignore[no-any-return]

    def tools(self, given: Any) -> list[KnowledgeTool]:
        tools = load_tools(given, self.settings.tool_options)
        played = next((spec for spec in self._specs() if spec.startswith("replay:")), None)
        if played:
            tape = Tape.load(played.removeprefix("replay:"))
            return [replayed_tool(tool, tape) for tool in tools]
        if self.settings.workers == 1 and not self.settings.ray:  # else each worker prepares its own
            for tool in tools:
                tool.prepare()
        tools = [limited(tool, self.settings.tool_timeout) for tool in tools]
        return [recorded_tool(tool, self.tape) for tool in tools] if self.tape else tools

    def _specs(self) -> list[str]:
        return [self.settings.judge, self.settings.target, self.settings.reward, self.settings.engine]


def _keep_secrets_of(model: BaseChatModel) -> None:
    """Nothing that a model object was given to show its server is ever written."""
    if isinstance(secret := getattr(model, "openai_api_key", None), SecretStr):
        keep_secret(secret.get_secret_value())
    keep_url_secrets(str(getattr(model, "openai_api_base", None) or ""))
    for given in ("default_headers", "extra_body"):
        keep_secrets_in(getattr(model, given, None) or {})


def _able(given: Any, role: str, *methods: str) -> Any:
    missing = [name for name in ("name", *methods) if not hasattr(given, name)]
    if missing:
        raise SettingsError(
            f"{role} {given!r} is no model string or chat model and has no {', '.join(missing)}; see graph/roles.py"
        )
    plain = [name for name in methods if not inspect.iscoroutinefunction(getattr(given, name))]
    return _Awaitable(given, plain) if plain else given


class _Awaitable:
    """A player whose methods may be plain functions: they run in threads and can be awaited like any other's."""

    def __init__(self, player: Any, plain: Sequence[str]) -> None:
        self._player = player
        for name in plain:
            setattr(self, name, functools.partial(_awaited, getattr(player, name)))

    def __getattr__(self, name: str) -> Any:
        if name == "_player":
            raise AttributeError(name)  # not there yet while it is copied or unpickled
        return getattr(self._player, name)


async def _awaited(method: Callable[..., Any], *values: Any) -> Any:
    found = await asyncio.to_thread(method, *values)
    return await found if inspect.isawaitable(found) else found
