"""The settings, in three types: what decides a row, how a run is carried out, and a server's.

An application, a TOML file, keyword arguments and command-line flags fill the same fields, later ones
winning in that order. The paper fixes C = 5 and leaves τ, the round cap, temperature and the TextGrad engine
open; those defaults are ours.
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, model_validator

from anyprefer.core.errors import SettingsError, near
from anyprefer.core.secrets import public_urls
from anyprefer.core.server_settings import ServerSettings, below
from anyprefer.core.values import stable_hash

Origin = Literal["default", "app", "file", "flag"]
Player = Literal["target", "judge", "tools"]


class Settings(BaseModel):
    """What decides a row: players, prompts, sampling, rounds. A resumed run has the same."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    target: str = Field(
        "smollm2",
        description="Model to be aligned, π_t; or a target of another kind by its name, NAME or NAME:ARGUMENT. {seed} in it, or in judge, is the run's seed.",
    )
    judge: str = Field(
        "evidence",
        description="Judge model, π_j; it picks tools, weighs evidence and scores. `target`: the target judges itself; `evidence` is rules, no model. More: `anyprefer list judges`.",
    )
    reward: str = Field(
        "",
        description="Model that rates pairs, R; empty: the judge's, which with judge_form expected rates by probabilities too; `accept` is no model and takes every pair. More: `anyprefer list rewards`.",
    )
    engine: str = Field(
        "",
        description="Model that rewrites prompts (TextGrad); `evidence` is rules over tool findings, no model; `none` rewrites nothing; empty: the judge's, and none with an evidence or expected judge.",
    )
    task_field: str = Field(
        "question answering", min_length=1, description="The field the judge is an expert in (Appendix D)."
    )
    system: str = Field("", description="System message for tasks that bring none; empty: the model's own default.")
    examples: str = Field(
        "", description="Scored examples shown to judge and reward (the {examples} slot of Appendix D)."
    )
    candidates: int = Field(5, ge=2, le=64, description="C, different candidates a round; the paper has 5.")
    temperature: float = Field(1.0, ge=0, le=5, description="Sampling temperature of the target.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus sampling of the target.")
    image_noise: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Noise in the images that the target samples from, as a share of the variance, for rejected answers (POVID has about .25); pairs, judges and tools keep the image.",
    )
    max_new_tokens: int = Field(512, ge=1, description="Longest candidate, in tokens.")
    tools: tuple[str, ...] = Field(
        ("calculator", "knowledge_search", "fact_check", "answer_form"),
        description="Tools the judge may choose from; see `anyprefer list tools`.",
    )
    tool_timeout: float = Field(
        30.0,
        gt=0,
        description="Timeout of a tool, in seconds; the round is then played without what it would have found.",
    )
    tool_options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Options per tool, such as knowledge_search.corpus."
    )
    judge_form: str = Field(
        "listwise",
        description="How a judge model scores: listwise, all answers in one text; pointwise, one text an answer; expected, the expected digit of its next token without writing; meta, several texts an answer of which it chooses the better one itself. More: `anyprefer list judges`.",
    )
    judge_passes: int = Field(
        1,
        ge=1,
        le=32,
        description="How often the judge scores, each time with the candidates in another order (listwise) or sampled again (pointwise); scores are averaged.",
    )
    judge_max_new_tokens: int = Field(2048, ge=16, description="Longest answer of judge, reward and engine, in tokens.")
    pair: str = Field(
        "best_worst",
        description="Pair builder: best_worst, ranks(i,j) with 1 the best, reference_chosen, or with tools that see corrected and edited. More: `anyprefer list pair_builders`.",
    )
    min_margin: float = Field(
        0.0, ge=0, description="A pair needs a score margin above this; equal scores never form one."
    )
    threshold: float = Field(8.0, ge=1, le=10, description="τ: pairs with R ≥ τ are accepted.")
    max_rounds: int = Field(3, ge=1, le=100, description="Rounds until a task is rejected.")
    feedback: tuple[Player, ...] = Field(
        ("target", "judge", "tools"),
        description="Whose prompts the engine rewrites between rounds (Eq. 2); empty: feedback off.",
    )
    feedback_mode: Literal["joint", "independent"] = Field(
        "joint",
        description="Rewrite players one after another, each seeing the other's new prompt, or all at once (Table 9).",
    )
    prompt_scope: Literal["task", "dataset"] = Field(
        "task",
        description="Rewritten prompts live for one task, or are versions shared by all tasks of the run.",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of all sampling; of every random order too.")

    @model_validator(mode="before")
    @classmethod
    def _with_seed(cls, given: Any) -> Any:
        """The run's seed where a target or judge is one model a seed, `scenes-{seed}`."""
        if not isinstance(given, dict):
            return given
        seeded = {name: given[name] for name in ("target", "judge") if "{seed}" in str(given.get(name, ""))}
        return {**given, **{name: text.replace("{seed}", str(given.get("seed", 0))) for name, text in seeded.items()}}

    def deciding(self) -> dict[str, Any]:
        """The settings of this type alone, whichever else a run has."""
        return self.model_dump(include=set(Settings.model_fields))

    def digest(self) -> str:
        """Hash of the settings that decide what a row says."""
        return stable_hash(self.deciding())[:12]


class RunSettings(Settings, ServerSettings):
    """All of a run: what decides its rows, how it is carried out, and what holds for every server but for those in
    `servers`. All but the first may change when it is resumed."""

    concurrency: int = Field(16, ge=1, description="Tasks in flight at once.")
    accept: int = Field(0, ge=0, description="Stop at exactly so many pairs; 0: play all tasks.")
    workers: int = Field(1, ge=1, description="Processes that play tasks; more than one needs anyprefer[ray].")
    ray: str = Field("", description="Address of a Ray cluster to play on; empty: this machine alone.")
    image_roots: tuple[str, ...] = Field(
        (),
        description="Further folders that images of a file's rows may come from, beside its own and the working directory.",
    )
    record: str = Field("", description="File that records every model and tool call, for `replay:FILE`.")
    trace: str = Field(
        "",
        pattern=r"^$|^mlflow$|^langsmith$|^otlp(=https?://.+)?$|^[a-z][a-z0-9+.-]+://.+",
        description="Where traces go: mlflow, into the run folder; MLflow's URI; langsmith; otlp or otlp=URL, a collector such as Phoenix or Langfuse.",
    )
    trace_share: float = Field(1.0, gt=0, le=1, description="Share of the tasks that are traced; a task's id decides.")
    format: str = Field(
        "jsonl",
        pattern=r"^(jsonl|parquet)(:[1-9][0-9]{0,8})?$",
        description="Output files, jsonl or parquet; jsonl:N or parquet:N: in shards of N rows. Parquet ones appear as shards fill.",
    )
    max_calls: int = Field(0, ge=0, description="Stop after so many requests, retries counted; 0: no limit.")
    max_tokens: int = Field(0, ge=0, description="Stop after so many tokens, read and written; 0: no limit.")
    max_cost: float = Field(0.0, ge=0, description="Stop after so many US dollars; 0: no limit.")
    prices: str = Field(
        "", description="TOML file of dollars per million tokens, name = [input, output], over the built-in table."
    )
    servers: dict[str, ServerSettings] = Field(
        default_factory=dict, description="By URL, what differs at one server and what lies below its path."
    )

    @model_validator(mode="before")
    @classmethod
    def _keys_by_url(cls, given: Any) -> Any:
        """`key_env` with URL=NAME, alone or among others, is the `key_env` of that server's table."""
        if not isinstance(given, dict) or not isinstance(given.get("key_env", ""), str | list | tuple):
            return given
        listed = given.get("key_env", "")
        parts = [part.strip() for part in (listed.split(",") if isinstance(listed, str) else listed)]
        by_url = dict(part.rpartition("=")[::2] for part in parts if "=" in part)
        if not by_url:
            return {**given, "key_env": ",".join(parts)} if parts != [""] else given
        servers = dict(given.get("servers") or {})
        for url, name in by_url.items():
            table = servers.get(url, {})
            servers[url] = {
                **(table if isinstance(table, dict) else table.model_dump(exclude_unset=True)),
                "key_env": name,
            }
        return {**given, "key_env": ",".join(part for part in parts if "=" not in part), "servers": servers}

    @field_serializer("servers")
    def _said(self, servers: dict[str, ServerSettings]) -> dict[str, Any]:
        return {url: server.model_dump(exclude_unset=True) for url, server in servers.items()}

    @property
    def calls_in_flight(self) -> int:
        """Model calls in flight at most, over all servers."""
        own = (table.connections for table in self.servers.values() if "connections" in table.model_fields_set)
        return self.connections + sum(own)

    def table(self, url: str) -> ServerSettings:
        """What `servers` says of a URL and of what it lies below; the longest wins."""
        return ServerSettings(**self._of_tables(url))

    def server(self, url: str) -> ServerSettings:
        """The settings of the server at a URL."""
        return ServerSettings(
            **{name: getattr(self, name) for name in ServerSettings.model_fields} | self._of_tables(url)
        )

    def _of_tables(self, url: str) -> dict[str, Any]:
        tables = [self.servers[one] for one in sorted(self.servers, key=len) if below(url, one)]
        return {name: getattr(table, name) for table in tables for name in table.model_fields_set}


SECRET = {name for name, field in ServerSettings.model_fields.items() if field.exclude}
"""Settings that may hold secrets: they are written nowhere."""


def load_settings(
    file: str | Path | None = None, *, app: Mapping[str, Any] | None = None, **values: Any
) -> tuple[RunSettings, dict[str, Origin]]:
    """Settings from defaults, then an application's values, a TOML file, and keyword values that are not None.

    Returns the settings and, for every field, where its value came from. Raises `SettingsError`
    naming the key, what was wrong with it, and the near name of an unknown one.
    """
    origins: dict[str, Origin] = dict.fromkeys(RunSettings.model_fields, "default")
    merged: dict[str, Any] = dict(app or {})
    origins.update(dict.fromkeys(merged, "app"))
    if file is not None:
        read = _read_toml(Path(file))
        merged.update(read)
        origins.update(dict.fromkeys(read, "file"))
    given = {key: value for key, value in values.items() if value is not None}
    merged.update(given)
    origins.update(dict.fromkeys(given, "flag"))
    return _validate(merged, where=f" in {file}" if file else ""), origins


_Taker = TypeVar("_Taker", bound=Callable[..., Any])


def shows_settings(function: _Taker) -> _Taker:
    """Marks a function whose `**values` are settings: its signature names each, with type and default, so that
    completion and `inspect.signature` show them."""
    signature = inspect.signature(function)
    kept = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    taken = {one.name for one in kept}
    new = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.get_default(call_default_factory=True),
            annotation=field.annotation,
        )
        for name, field in RunSettings.model_fields.items()
        if name not in taken
    ]
    function.__signature__ = signature.replace(parameters=[*kept, *new])  # type: ignore[attr-defined]
    return function


def _read_toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"settings file {path} does not exist") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"settings file {path} cannot be read as TOML: {error}") from error
    except RecursionError:
        raise SettingsError(f"settings file {path} is nested too deeply to be settings") from None


def _validate(values: Mapping[str, Any], where: str) -> RunSettings:
    for key in values:
        if key not in RunSettings.model_fields:
            raise SettingsError(f"unknown setting {key!r}{where}; {near(key, RunSettings.model_fields)}")
    try:
        return RunSettings(**values)
    except ValidationError as error:
        raise SettingsError(_flaw(error.errors()[0], where)) from None


def _flaw(first: Any, where: str) -> str:
    """What is wrong with a setting; a value that may hold a secret is not repeated."""
    name = public_urls(".".join(str(part) for part in first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"unknown setting {name!r}{where}; {near(str(first['loc'][-1]), ServerSettings.model_fields)}"
    silent = SECRET.intersection(first["loc"]) or isinstance(first["input"], dict)
    return f"setting {name!r}{where}: {first['msg']}" + ("" if silent else f" (got {_brief(first['input'])})")


def _brief(value: Any) -> str:
    """A wrong value for a message; Python refuses to write out whole numbers of more than 4,300 digits."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_LONGEST = 200
"""Characters shown of a wrong value."""
