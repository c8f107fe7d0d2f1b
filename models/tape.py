"""Record every call of a run and play it back: no key, no network, the same rows.

A tape is a JSONL file with one `{"key", "value"}` object per call. The key hashes what was asked
(messages and sampling settings, or tool name and inputs), so playback needs no order; equal
questions asked twice are answered in the order they were recorded. A first line per role holds the
model's name and traits, so that playback asks in the same way.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, message_to_dict, messages_from_dict
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, field_validator

from anyprefer.core.errors import InputError, ModelError, ModelSetupError, PartRefused
from anyprefer.core.records import Finding
from anyprefer.core.secrets import redact, without_secrets
from anyprefer.core.values import stable_hash
from anyprefer.models.packing import said_in
from anyprefer.models.traits import SAMPLING, Traits, accepted_settings, traits_of, unload


class _Call(BaseModel):
    """A line of a tape. The file may come from anybody: every value is checked before any is played."""

    key: str
    value: dict[str, Any]

    @field_validator("value")
    @classmethod
    def _is_recorded(cls, value: dict[str, Any]) -> dict[str, Any]:
        """A failure, a finding, an answer or a model's traits."""
        if "failure" in value or "error" in value:
            told = (value.get("failure", ""), value.get("words", ""), value.get("error", ""))
            if not all(isinstance(text, str) for text in told) or not str(value.get("failure", "x")).isidentifier():
                raise ValueError("a failure is told by a class's name and words")
        elif "finding" in value:
            TypeAdapter(Finding).validate_json(json.dumps(value["finding"]), extra="forbid", strict=True)
        elif "data" in value:
            answered = isinstance(value["data"], dict) and messages_from_dict([value])
            if not answered or not isinstance(answered[0], AIMessage):
                raise ValueError("an answer is a message of the model's")
        else:
            TypeAdapter(Traits).validate_python(value, extra="forbid")
        return value


class Tape:
    """A file of recorded calls, safe to write from many threads and tasks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._answers: dict[str, deque[Any]] = defaultdict(deque)
        self._taken = True
        """Whether the tape is this run's to write."""

    @classmethod
    def new(cls, path: str | Path) -> Tape:
        """A tape to record on. One that exists has to be taken up by `begin` first: nothing is overwritten."""
        tape = cls(Path(path).absolute())
        try:
            tape.path.parent.mkdir(parents=True, exist_ok=True)
            tape.path.touch(exist_ok=False)
        except OSError as error:
            if not tape.path.is_file():
                raise InputError(f"recording {path} cannot be written: {error.strerror}") from error
            tape._taken = False
        return tape

    def begin(self, resumes: bool) -> None:
        """Says whether the run that resumes made the tape. Raises `InputError` for a tape of something else."""
        if self._taken:
            return
        if not resumes:
            raise InputError(f"recording {self.path} exists; choose another file, or play it with replay:{self.path}")
        with self.path.open("r+b") as file:  # a killed run may have cut its last line short
            data = file.read()
            file.truncate(data.rfind(b"\n") + 1)
        self._taken = True

    @classmethod
    def load(cls, path: str | Path) -> Tape:
        """A recorded tape."""
        tape = cls(Path(path).absolute())
        number = 0
        try:
            with tape.path.open(encoding="utf-8") as lines:
                for line in lines:
                    number += 1
                    if not line.strip():
                        continue
                    entry = _Call.model_validate_json(line)
                    tape._answers[entry.key].append(entry.value)
        except FileNotFoundError:
            raise ModelSetupError(f"replay file {path} does not exist; make one with --record {path}") from None
        except OSError as error:
            raise ModelSetupError(f"replay file {path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise ModelSetupError(f"replay file {path}, line {number}: not a recorded call ({why})") from error
        return tape

    def record(self, asked: Mapping[str, Any], value: Any) -> None:
        """Appends one call at once, so that a killed run keeps what it had."""
        if not self._taken and "role" in asked:
            return  # the run that made the tape has noted it
        self.begin(resumes=False)
        line = json.dumps({"key": stable_hash(asked), "value": value}, ensure_ascii=False, default=str)
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            file.write(without_secrets(line) + "\n")

    def play(self, asked: Mapping[str, Any]) -> Any:
        """The recorded value. The last answer to a question stays; raises `ModelError` for one never asked."""
        with self._lock:
            answers = self._answers.get(stable_hash(asked))
            if not answers:
                raise ModelError(f"{self.path.name} holds no answer to this call; replay needs the recorded settings")
            return answers.popleft() if len(answers) > 1 else answers[0]


class RecordingChat(BaseChatModel):
    """A chat model that answers as `inner` does and puts every answer on the tape."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    inner: BaseChatModel
    tape: Tape
    traits: Traits

    @classmethod
    def around(cls, inner: BaseChatModel, tape: Tape, role: str) -> RecordingChat:
        """Wraps a model and notes its traits on the tape. It takes every sampling setting and passes
        on what the model inside accepts, so that the question is the same at playback."""
        traits = dataclasses.replace(traits_of(inner), fields=SAMPLING, choices=False)
        tape.record({"role": role}, dataclasses.asdict(traits))
        return cls(inner=inner, tape=tape, traits=traits)

    @property
    def _llm_type(self) -> str:
        return "anyprefer-recording"

    def unload(self) -> None:
        """Frees the weights of the model inside."""
        unload(self.inner)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with self._noted(_question(messages, kwargs)) as note:
            return note(self.inner._generate(messages, stop, run_manager, **accepted_settings(self.inner, kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with self._noted(_question(messages, kwargs)) as note:
            settings = accepted_settings(self.inner, kwargs)
            return note(await self.inner._agenerate(messages, stop, run_manager, **settings))

    @contextmanager
    def _noted(self, question: dict[str, Any]) -> Iterator[Callable[[ChatResult], ChatResult]]:
        """Puts the answer, or the error, on the tape: a refused call decides how the game continues too."""

        def note(result: ChatResult) -> ChatResult:
            self.tape.record(question, message_to_dict(result.generations[0].message))
            return result

        try:
            yield note
        except Exception as error:
            self.tape.record(question, {"failure": type(error).__name__, "words": redact(str(error))})
            raise


class ReplayChat(BaseChatModel):
    """Plays a tape with the traits the role's model had when it was recorded."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    tape: Tape
    traits: Traits

    @classmethod
    def from_file(cls, path: str | Path, role: str) -> ReplayChat:
        """The model for `replay:FILE`. Raises `ModelSetupError` when the role was not played by a model then."""
        tape = Tape.load(path)
        try:
            noted = tape.play({"role": role})
        except ModelError:
            raise ModelSetupError(f"replay file {path} holds no calls of the {role}; was it a model then?") from None
        traits = TypeAdapter(Traits).validate_python(noted)
        return cls(tape=tape, traits=dataclasses.replace(traits, releases=False))

    @property
    def _llm_type(self) -> str:
        return "anyprefer-replay"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        value = self.tape.play(_question(messages, kwargs))
        if "failure" in value:
            kind = PartRefused if value["failure"] == PartRefused.__name__ else type(value["failure"], (Exception,), {})
            raise kind(value["words"])
        [message] = messages_from_dict([value])
        return ChatResult(generations=[ChatGeneration(message=message)])


def _question(messages: Sequence[BaseMessage], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies a call; everything that could change the answer and nothing else."""
    return {"messages": said_in(messages), "settings": dict(kwargs)}
