"""The vocabulary of the game: what a task is, what players produce, what one round leaves behind.

Symbols follow the paper (arXiv 2504.19276, §2). Nothing here assumes text: a candidate's content is any JSON value,
a task may carry images and a start state, a tool may return boxes or masks. All models are frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from anyprefer.core.conversation import Message
from anyprefer.core.marks import Mark
from anyprefer.core.task import Record, Task
from anyprefer.core.trajectories import readable
from anyprefer.core.values import stable_hash

Outcome = Literal["accepted", "rejected", "failed"]


class Candidate(Record):
    """y_c, one sample of the target."""

    index: int
    """0..C-1 within its round."""
    content: Any
    """The answer: text, or any JSON value such as a trajectory."""
    seed: int
    """The seed it was asked for with; a server that gave all choices in one request (`n`) used the first one's."""
    ended: Literal["", "stop", "length", "filter", "error"] = ""
    """How it ended, as in `models.answer.Answer`: `length` is an answer cut off at `max_new_tokens`."""
    refusal: str = ""
    """What the server said where it refused."""
    thoughts: str = ""
    """What the target thought before; no part of the answer."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing at its end and nothing was refused. What is not is judged, but never y+."""
        return self.ended in ("", "stop") and not self.refusal

    @property
    def text(self) -> str:
        """The content as models and text tools read it: text as it is, anything else as JSON (`readable`)."""
        return self.content if isinstance(self.content, str) else readable(self.content)


def texts_of(candidates: Sequence[Candidate]) -> list[str]:
    """The candidates as models and text tools read them."""
    return [candidate.text for candidate in candidates]


@dataclass(frozen=True)
class Finding:
    """What a tool found."""

    text: str
    """What the judge reads."""
    verdict: float | None = None
    """0..1, how far this supports the candidate; None when the tool takes no side."""
    weight: float = 1.0
    """How much the verdict counts in rule-based judging."""
    data: Any = None
    """Boxes, masks, points, URLs: any JSON value. A passage, or a list of them, best first, is a mapping whose
    `text` holds whoever answers; `form` is the form asked for. The evidence engine tells both to the target."""
    images: Sequence[Any] = ()
    """Paths, URLs, bytes or PIL images for a judge that sees; a path is read when the judge is asked."""
    seconds: float | None = None
    """Latency, when it is known; the game measures it otherwise."""


class Knowledge(Record):
    """q_i, what one tool returned about the task (`candidate` is None) or about one candidate."""

    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    """What the judge passed; injected task and candidate are left out."""
    candidate: int | None = None
    """Index of the candidate it concerns, None for the task as a whole."""
    text: str = ""
    verdict: float | None = Field(default=None, ge=0, le=1)
    """How far this evidence supports the candidate, 0..1; None when the tool takes no side."""
    weight: float = Field(default=1.0, gt=0)
    """How much the verdict counts beside other tools' in rule-based judging."""
    data: Any = None
    """Structured findings: boxes, masks, points, URLs; any JSON value. See `Finding` for passages."""
    images: tuple[str, ...] = ()
    """What a judge that sees is shown of it: paths, http(s) or `data:` URLs."""
    error: str | None = None
    """Why there is no finding: the tool raised or ran out of time."""
    seconds: float = Field(default=0.0, ge=0)


class JudgmentPair(Record):
    """Two different judgments of one candidate, the better one first: what a judge can be trained on (arXiv 2407.19594)."""

    prompt: tuple[Message, ...]
    """What both answer: text messages of the protocol's form."""
    chosen: str
    rejected: str
    margin: float = Field(gt=0, le=1)
    """Difference of their shares of won comparisons."""


class Judgment(Record):
    """The judge's verdict on one candidate (§2.2, Appendix D.1)."""

    candidate: int
    score: float
    """Higher is better. 1..10 from model and evidence judges; any real number from a computed cost."""
    spread: float = Field(default=0.0, ge=0)
    """Largest minus smallest score over the judge's passes; 0 with one pass."""
    analysis: str = ""
    pair: JudgmentPair | None = None
    """From a meta judge, on one candidate a round: the judgment that counted beside the worst one."""


class Selection(Record):
    """One tool of S, chosen by the judge, with the arguments it wants passed (§2.2)."""

    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    note: str = ""
    """Where this is not what the judge said: tools that it named and that do not exist, or a choice that could not be
    read, so that all tools are used."""


class Reward(Record):
    """R(y+, y-), the surrogate reward of a pair (§2.3, Appendix D.2)."""

    score: float = Field(ge=1, le=10)
    """1..10, higher is a better pair for preference training."""
    analysis: str = ""
    """Why; the textual gradient of Eq. 2."""


class PreferencePair(Record):
    """(y+, y-), formed from one round's ranking."""

    chosen: Any
    """Content of y+."""
    rejected: Any
    """Content of y-; never equal to `chosen`."""
    chosen_index: int | None = None
    """Candidate index of y+, None when it is the reference."""
    rejected_index: int | None = None
    chosen_score: float | None = None
    """Judge score of y+, None when it is the reference."""
    rejected_score: float | None = None

    @property
    def margin(self) -> float | None:
        """chosen_score - rejected_score, > 0; None when either was not scored."""
        if self.chosen_score is None or self.rejected_score is None:
            return None
        return self.chosen_score - self.rejected_score


class Prompts(Record):
    """The players' parameters in one round: p_t, p_j, and the tools' instructions (§2.1, §2.4)."""

    target: str
    judge: str
    tools: dict[str, str]
    shared: bool = False
    """Whether `target` is an instruction for all tasks, put before x, and not x itself or what became of it."""

    @property
    def version(self) -> str:
        """Content hash, 12 hex digits; equal prompts have equal versions."""
        return stable_hash(self.model_dump(exclude=None if self.shared else {"shared"}))[:12]

    def asked(self, task: Task) -> str:
        """What the last user turn asks the target; x is data and stays as it is."""
        if not self.shared:
            return self.target
        return f"{self.target}\n\n{task.question}" if self.target else task.question

    def of(self, name: str) -> str:
        """The prompt of `target`, `judge` or `tools.NAME`."""
        return self.tools[name.removeprefix("tools.")] if name.startswith("tools.") else str(getattr(self, name))

    def put(self, name: str, text: str) -> Prompts:
        """These prompts with one of them replaced."""
        if name.startswith("tools."):
            return self.model_copy(update={"tools": {**self.tools, name.removeprefix("tools."): text}})
        return self.model_copy(update={name: text})


class Update(Record):
    """What TextGrad did to one prompt after a round."""

    prompt: str
    """`target`, `judge` or `tools.NAME`."""
    changed: bool
    note: str = ""
    """Why the old prompt was kept, when it was."""


class Usage(Record):
    """What model calls took."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = 0.0
    """US dollars; None when the price of any of the calls is unknown."""

    def __add__(self, other: Usage) -> Usage:
        known = self.cost is not None and other.cost is not None
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost=(self.cost or 0.0) + (other.cost or 0.0) if known else None,
        )


class Round(Record):
    """Everything one pass through the game left behind."""

    number: int = Field(ge=1)
    prompts: Prompts
    selected: tuple[Selection, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    knowledge: tuple[Knowledge, ...] = ()
    context: str = ""
    """Consolidated knowledge the judge scored with."""
    judgments: tuple[Judgment, ...] = ()
    pair: PreferencePair | None = None
    """None when no pair could be formed; `reward.analysis` says why."""
    reward: Reward | None = None
    """None when there was no pair to rate."""
    feedback: str = ""
    """What the players learn from this round: the reward's analysis, or why there was no pair."""
    updates: tuple[Update, ...] = ()
    """How the prompts were rewritten after this round."""
    usage: dict[str, Usage] = Field(default_factory=dict)
    """Model calls, tokens and cost per role; empty where no run counted them."""


class Row(Record):
    """How one task ended, with everything that led there. Every input row ends as exactly one."""

    id: str
    outcome: Outcome
    reason: str = ""
    """Why it was rejected or failed, and the fix where there is one."""
    task: Task | None = None
    """None when the input row was no task; of a line that could not be read as a row, its text as the prompt."""
    pair: PreferencePair | None = None
    """The accepted pair; rejected and failed rows have none."""
    reward: float | None = None
    """R of the accepted pair, 1..10."""
    rounds: tuple[Round, ...] = ()
    models: dict[str, str] = Field(default_factory=dict)
    """Who played target, judge, reward and engine; `graph`, where one that the user had changed was played."""
    usage: dict[str, Usage] = Field(default_factory=dict)
    """Model calls, tokens and cost per role, over all rounds."""
    seed: int = 0
    trace: str = ""
    """Id of the task's trace, 32 hex digits; empty where it was not traced."""

    @property
    def pair_round(self) -> Round | None:
        """The last round that formed a pair: of an accepted row its own, else that which came nearest."""
        return next((played for played in reversed(self.rounds) if played.pair), None)


RECORDS = (
    Task, Candidate, Knowledge, JudgmentPair, Judgment, Selection, Reward, PreferencePair, Prompts, Update, Round,
    Mark,
)  # fmt: skip
"""The types a graph's state holds."""
