"""Steps 3 and 4 of Algorithm 1: the judge scores every candidate with the knowledge (§2.2, Appendix D.1).

Listwise, analyses before scores. With several passes the candidates are shown in rotated orders and
the scores averaged, so that with C passes every candidate stood at every place once.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool

from anyprefer.graph.errors import AnswerError, ModelError
from anyprefer.graph.models import model_name, traits_of
from anyprefer.graph.roles import Judge
from anyprefer.graph.settings import Settings
from anyprefer.graph.state import GameState, Judgment, Selection, derive_seed
from anyprefer.nodes import prompts
from anyprefer.nodes.aggregate import consolidate
from anyprefer.nodes.answers import find_json, score_of
from anyprefer.nodes.ask import ask, system, user
from anyprefer.nodes.select_tools import choose_tools

_LINE = re.compile(
    r"\banswer\s*#?(\d+)\W{1,8}"
    r"(?:score\W{1,4}(?<![-−])(\d+)(?=\s*/\s*10\b|[^\w\n]*$)|(?<![-−])(\d+)\s*/\s*10\b)",
    re.IGNORECASE | re.MULTILINE,
)
"""`Answer 2: 7/10` or `Answer 2: score 7`. A bare number after the heading may be the answer itself, read out."""


def judge(judge: Judge) -> Callable[[GameState], Awaitable[GameState]]:
    """The node. Refuses a judge that leaves out a candidate or scores one twice; without candidates none is asked."""

    async def run(state: GameState) -> GameState:
        judgments = await judge.score(state) if state["candidates"] else []
        scored, wanted = [j.candidate for j in judgments], [c.index for c in state["candidates"]]
        if sorted(scored) != wanted:
            raise ModelError(f"judge {judge.name} scored candidates {scored} instead of {wanted}")
        return {"judgments": sorted(judgments, key=lambda judgment: judgment.candidate)}

    return run


class ModelJudge(Judge):
    """A LangChain chat model as π_j; p_j is its system prompt. Subclasses score."""

    def __init__(self, model: BaseChatModel, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.name = model_name(model)

    async def select(self, state: GameState, tools: Sequence[BaseTool]) -> list[Selection]:
        """By tool calling or the text protocol; see `select_tools`."""
        return await choose_tools(self.model, state, tools, self.settings)

    async def aggregate(self, state: GameState) -> str:
        """Appendix D.1's consolidation; see `aggregate`."""
        return await consolidate(self.model, state, self.settings)

    def seed(self, state: GameState, *parts: object) -> int:
        """The seed of one question to the judge in this round."""
        return derive_seed(self.settings.seed, state["task"].id, len(state["rounds"]), "judge", *parts)


class ChatJudge(ModelJudge):
    """Listwise: one text scores all candidates."""

    async def score(self, state: GameState) -> list[Judgment]:
        """The mean over `judge_passes` listwise passes, 1..10 per candidate, with its spread."""
        count, passes = len(state["candidates"]), self.settings.judge_passes
        rounds = [await self._pass(state, number, shift=number * count // passes) for number in range(passes)]
        return [averaged(index, [one[index] for one in rounds]) for index in range(count)]

    async def _pass(self, state: GameState, number: int, shift: int) -> dict[int, tuple[float, str]]:
        """One listwise pass; place p shows candidate (p + shift) mod count. Keyed by candidate index."""
        task, candidates = state["task"], state["candidates"]
        count = len(candidates)
        order = [(place + shift) % count for place in range(count)]
        body = prompts.fill(
            prompts.text("judge"),
            examples=self.settings.examples,
            context=f"Context:\n{state['context']}" if state["context"] else "",
            query=task.text,
            answers=prompts.numbered([candidates[index].text for index in order]),
            count=str(count),
        )
        messages = [system(state["prompts"].judge), user(body, task.images)]
        scored = await self._ask(messages, count, self.seed(state, number))
        return {order[place]: one for place, one in enumerate(scored)}

    async def _ask(self, messages: Sequence[Any], count: int, seed: int) -> list[tuple[float, str]]:
        sampling: dict[str, Any] = {"temperature": 0.0, "max_tokens": self.settings.judge_max_new_tokens}

        async def attempt(**extra: Any) -> list[tuple[float, str]]:
            return await ask(
                self.model,
                messages,
                "judge",
                parse=lambda answer: parse_scores(str(answer.text), count),
                reasks=self.settings.reasks,
                seed=seed,
                **sampling,
                **extra,
            )

        if traits_of(self.model).shapes:
            try:
                return await attempt(binding={"response_format": scores_schema(count)})
            except ModelError as error:
                if not _refuses_schema(error):
                    raise
        return await attempt()


def averaged(index: int, passes: Sequence[tuple[float, str]]) -> Judgment:
    """The candidate's mean score over its passes (score, analysis), with the spread."""
    scores = [score for score, _ in passes]
    analysis = "\n---\n".join(text for _, text in passes if text)
    mean, spread = sum(scores) / len(scores), max(scores) - min(scores)
    return Judgment(candidate=index, score=round(mean, 6), spread=spread, analysis=analysis)


def scores_schema(count: int) -> dict[str, Any]:
    """OpenAI's `response_format` for `count` answers, the analysis before the score."""
    one = {
        "type": "object",
        "properties": {
            "answer": {"type": "integer", "minimum": 1, "maximum": count},
            "analysis": {"type": "string"},
            "score": {"type": "integer", "minimum": 1, "maximum": 10},
        },
        "required": ["answer", "analysis", "score"],
        "additionalProperties": False,
    }
    schema = {
        "type": "object",
        "properties": {"answers": {"type": "array", "items": one}},
        "required": ["answers"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "scores", "strict": True, "schema": schema}}


def parse_scores(text: str, count: int) -> list[tuple[float, str]]:
    """(score, analysis) for answers 1..count, from JSON or from lines such as `Answer 2: 7/10`.

    Raises `AnswerError` unless every answer has a score in 1..10; where a line is repeated the last counts.
    """
    found = find_json(text, dict)
    if isinstance(found, dict) and isinstance(found.get("answers"), list):
        scores = {
            item["answer"]: (score_of(item.get("score"), text), str(item.get("analysis", "")))
            for item in found["answers"]
            if isinstance(item, dict) and isinstance(item.get("answer"), int)
        }
    else:
        analyses = _sections(text)
        last = {int(number): int(named or bare) for number, named, bare in _LINE.findall(text)}
        scores = {number: (score_of(score, text), analyses.get(number, "")) for number, score in last.items()}
    missing = [number for number in range(1, count + 1) if number not in scores]
    if missing or len(scores) != count:
        raise AnswerError(f"the judge scored answers {sorted(map(str, scores))} of 1 to {count}", text)
    return [scores[number] for number in range(1, count + 1)]


def _sections(text: str) -> dict[int, str]:
    """The text under each first heading `Answer N`, the analyses of a plain-text judgment."""
    parts = re.split(r"(?im)^\W*answer\s*#?(\d+)\W*", text)
    sections: dict[int, str] = {}
    for number, body in zip(parts[1::2], parts[2::2], strict=True):
        sections.setdefault(int(number), body.strip())
    return sections


def _refuses_schema(error: ModelError) -> bool:
    words = str(error.__cause__ or "").lower()
    return "response_format" in words or "schema" in words
