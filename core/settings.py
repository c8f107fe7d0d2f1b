"""All settings of a synthesis run in one frozen object.

An application, a TOML file, keyword arguments and command-line flags fill the same fields, later ones
winning in that order. The paper fixes C = 5 and leaves τ, the round cap, temperature and the TextGrad engine
open; those defaults are ours.
"""

from __future__ import annotations

import difflib
import inspect
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from anyprefer.core.errors import SettingsError
from anyprefer.core.values import stable_hash

Origin = Literal["default", "app", "file", "flag"]
Player = Literal["target", "judge", "tools"]
_Listed = BeforeValidator(lambda given: tuple(given.split(",")) if isinstance(given, str) else given)
Part = Literal["temperature", "top_p", "seed", "max_tokens", "n", "tools", "response_format", "logprobs", "system"]


class Settings(BaseModel):
    """Every knob of `build_graph` and `synth`, with its range and source."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    target: str = Field(
        "smollm2",
        description="Model to be aligned, π_t, or a target of another kind by its name: NAME or NAME:ARGUMENT.",
    )
    judge: str = Field(
        "evidence",
        description="Model that picks tools, weighs evidence and scores, π_j; `target`: the target judges itself; `evidence` is rules, no model. More: `anyprefer list judges`.",
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

    candidates: int = Field(5, ge=2, le=64, description="C, unique candidates a round (paper: 5).")
    temperature: float = Field(1.0, ge=0, le=5, description="Sampling temperature of the target.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus sampling of the target.")
    max_new_tokens: int = Field(512, ge=1, description="Longest candidate, in tokens.")
    resamples: int = Field(
        2, ge=0, le=20, description="How often duplicates are sampled again before fewer than C are accepted."
    )

    server_n: bool = Field(
        True, description="Ask a server for a task's candidates in one request (n), where it knows that."
    )

    image_roots: tuple[str, ...] = Field(
        (),
        description="Further folders that images of a file's rows may come from, beside its own and the working directory.",
    )

    tools: tuple[str, ...] = Field(
        ("calculator", "knowledge_search", "fact_check", "answer_form"),
        description="Tools the judge may choose from; see `anyprefer list tools`.",
    )
    tool_timeout: float = Field(30.0, gt=0, description="Seconds after which the round goes on without a tool.")
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
        description="How often the judge scores, each time with the candidates in another order (listwise) or sampled anew (pointwise); scores are averaged.",
    )
    judge_max_new_tokens: int = Field(2048, ge=16, description="Longest answer of judge, reward and engine, in tokens.")
    reasks: int = Field(
        1, ge=0, le=5, description="How often an answer that cannot be parsed is asked for again before the task fails."
    )
    pair: str = Field(
        "best_worst",
        description="Pair builder: best_worst, ranks(i,j) with 1 the best, or reference_chosen. More: `anyprefer list pair_builders`.",
    )
    min_margin: float = Field(
        0.0, ge=0, description="A pair needs a score margin above this; equal scores never form one."
    )

    threshold: float = Field(8.0, ge=1, le=10, description="τ: pairs with R ≥ τ are accepted.")
    max_rounds: int = Field(3, ge=1, le=100, description="Rounds a task may take before it is rejected.")
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
    prompt_batch: int = Field(16, ge=1, description="Rejected rounds a shared version is rewritten from.")
    prompt_holdout: int = Field(
        8, ge=1, description="First tasks of the run, on which a new shared version must raise the mean reward."
    )

    seed: int = Field(0, ge=0, lt=2**63, description="Seed of sampling and of every random order.")
    concurrency: int = Field(16, ge=1, description="Tasks in flight at once.")
    accept: int = Field(0, ge=0, description="Stop at exactly so many accepted pairs; 0: play all tasks.")
    failures_in_a_row: int = Field(
        100, ge=0, description="Stop when so many tasks failed one after another, for whatever reason; 0: never."
    )
    samples: str = Field(
        "", description="File of the target's answers that several runs share, so that equal ones are sampled once."
    )
    record: str = Field("", description="File that records every model and tool call, for `replay:FILE`.")
    trace: bool = Field(False, description="Record traces to traces.db in the run folder, for MLflow's page.")
    shard_rows: int = Field(0, ge=0, description="Rows in one output file, then the next begins; 0: one file each.")
    format: Literal["jsonl", "parquet"] = Field(
        "jsonl", description="Output files; parquet ones appear as shards fill."
    )
    workers: int = Field(1, ge=1, description="Processes that play tasks; more than one needs anyprefer[ray].")
    ray: str = Field("", description="Address of a Ray cluster to play on; empty: this machine alone.")

    api_key: str = Field(
        "",
        exclude=True,
        repr=False,
        description="Key of the models' one server; other users of the machine see flags, so rather use api_key_file or key_env.",
    )
    api_key_file: str = Field("", description="File with the key of the models' one server.")
    key_env: Annotated[tuple[str, ...], _Listed] = Field(
        (),
        description="Environment variables with servers' keys: NAME for one server, URL=NAME for each of several; OPENAI_API_KEY goes to OpenAI alone.",
    )
    leave_out: Annotated[tuple[Part, ...], _Listed] = Field(
        (),
        description="Parts of requests that servers are never sent; what a server refuses is found out without this.",
    )
    connections: int = Field(256, ge=1, description="Model calls in flight at once, over all tasks.")
    rpm: int = Field(0, ge=0, description="Requests per minute to one server; 0: no limit.")
    tpm: int = Field(0, ge=0, description="Tokens per minute to one server; 0: no limit.")
    connect_timeout: float = Field(10.0, gt=0, description="Seconds to connect to a server.")
    read_timeout: float = Field(600.0, gt=0, description="Seconds without a byte after which a request is sent again.")
    total_timeout: float = Field(1800.0, gt=0, description="Seconds one request may take in all.")
    retries: int = Field(
        8, ge=0, le=100, description="Further requests after a passing error (408, 409, 425, 5xx, connection lost)."
    )
    patience: float = Field(
        600.0,
        ge=0,
        description="Seconds to wait for a server that answers nobody before the run stops, and for one call before it fails.",
    )
    hedge: float = Field(
        0.0, ge=0, description="Send a second request when one takes this many times the p95 latency; 0: off."
    )

    max_calls: int = Field(0, ge=0, description="Stop after so many requests, retries counted; 0: no limit.")
    max_tokens: int = Field(0, ge=0, description="Stop after so many tokens, read and written; 0: no limit.")
    max_cost: float = Field(0.0, ge=0, description="Stop after so many US dollars; 0: no limit.")
    prices: str = Field(
        "", description="TOML file of dollars per million tokens, name = [input, output], over the built-in table."
    )

    def deciding(self) -> dict[str, Any]:
        """The settings that decide what a row says."""
        return self.model_dump(exclude=set(MANNER))

    def digest(self) -> str:
        """Hash of the settings that decide what a row says."""
        return stable_hash(self.deciding())[:12]


MANNER = (
    "image_roots", "concurrency", "accept", "failures_in_a_row", "samples", "record", "trace", "shard_rows", "format",
    "workers", "ray", "api_key", "api_key_file", "key_env", "leave_out", "connections", "rpm", "tpm", "connect_timeout",
    "read_timeout", "total_timeout", "retries", "patience",
    "hedge", "max_calls", "max_tokens", "max_cost", "prices",
)  # fmt: skip
"""Settings of how a run is carried out; they may change when it is gone on with."""


def load_settings(
    file: str | Path | None = None, *, app: Mapping[str, Any] | None = None, **values: Any
) -> tuple[Settings, dict[str, Origin]]:
    """Settings from defaults, then an application's values, a TOML file, and keyword values that are not None.

    Returns the settings and, for every field, where its value came from. Raises `SettingsError`
    naming the key, what was wrong with it, and the near name of an unknown one.
    """
    origins: dict[str, Origin] = dict.fromkeys(Settings.model_fields, "default")
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
        for name, field in Settings.model_fields.items()
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


def _validate(values: Mapping[str, Any], where: str) -> Settings:
    for key in values:
        if key not in Settings.model_fields:
            near = difflib.get_close_matches(key, Settings.model_fields, n=1)
            mend = f"; did you mean {near[0]!r}?" if near else "; `anyprefer config` lists all settings"
            raise SettingsError(f"unknown setting {key!r}{where}{mend}")
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        got = "" if name == "api_key" else f" (got {_brief(first['input'])})"
        raise SettingsError(f"setting {name!r}{where}: {first['msg']}{got}") from None


def _brief(value: Any) -> str:
    """A wrong value for a message; Python refuses to write out whole numbers of more than 4,300 digits."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_LONGEST = 200
"""Characters shown of a wrong value."""
