"""Meta-rewarding: the judge judges its judgments (Wu et al. 2024, arXiv 2407.19594).

`judge_passes` judgments of each candidate are sampled: an analysis of at most `judge_max_new_tokens`, then a
score by the probabilities of the digits, which a small model manages too. The same model then compares
the judgments of a candidate two by two, in both orders, and the one that wins most counts. One pair of
a better and a worse judgment a round is left for training (`judge_pairs.jsonl`), so that a target which judges
itself (`judge="target"`) becomes a better judge too.

Departures: the paper scores on five points, averages all judgments for the answer's score and ranks them by
Elo with a control for length; here the best judgment gives the score, 1..10, and ranks are shares of wins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from anyprefer.core.errors import AnswerError, SettingsError
from anyprefer.core.game_state import GameState
from anyprefer.core.records import Candidate, Judgment, JudgmentPair
from anyprefer.core.settings import Settings
from anyprefer.models.answer import read_answer
from anyprefer.models.ask import all_done, call
from anyprefer.models.messages import asked, user
from anyprefer.models.option_probabilities import DIGITS, expected_score, option_probabilities
from anyprefer.nodes import prompt_texts
from anyprefer.nodes.judges.pointwise import TEMPERATURE, PointwiseJudge
from anyprefer.nodes.prompt_texts import Fence

MARK = "Score:"
"""Where a written judgment's score begins."""


class MetaJudge(PointwiseJudge):
    """Samples judgments, compares them, and scores by the best."""

    prompt = prompt_texts.text("judges/meta")

    def __init__(self, model: BaseChatModel, settings: Settings) -> None:
        """Raises `SettingsError` for fewer than two passes: there would be nothing to compare."""
        super().__init__(model, settings)
        if settings.judge_passes < 2:
            raise SettingsError("judge_form meta compares judgments of one answer; set judge_passes to 2 or more")

    async def score(self, state: GameState) -> list[Judgment]:
        """The best judgment's score per candidate, 1..10; the pair with the largest margin stays with its candidate."""
        judgments = await all_done([self._one(state, candidate) for candidate in state["candidates"]])
        clearest = max(judgments, key=lambda judgment: judgment.pair.margin if judgment.pair else 0.0)
        return [one if one is clearest else one.model_copy(update={"pair": None}) for one in judgments]

    async def _one(self, state: GameState, candidate: Candidate) -> Judgment:
        body = self._question(state, candidate)
        question = asked(state["prompts"].judge, body, state["task"].images, await self.found(state, candidate))
        scores = await self._sampled(state, candidate, question)
        wins = await self._wins(state, candidate, list(scores))
        best, worst = max(wins, key=wins.__getitem__), min(wins, key=wins.__getitem__)
        pair = None
        if (margin := wins[best] - wins[worst]) > 0:
            said = ({"role": "system", "content": state["prompts"].judge}, {"role": "user", "content": body})
            pair = JudgmentPair(prompt=said, chosen=best, rejected=worst, margin=round(margin, 6) or margin)
        spread = max(scores.values()) - min(scores.values())
        return Judgment(candidate=candidate.index, score=scores[best], spread=spread, analysis=best, pair=pair)

    async def _sampled(self, state: GameState, candidate: Candidate, question: list[Any]) -> dict[str, float]:
        """The different judgments of one candidate that could be read, with their scores.

        Raises the last `AnswerError` when there is none.
        """
        seeds = [self.seed(state, candidate.index, number) for number in range(self.settings.judge_passes)]
        drawn = await asyncio.gather(*(self._judgment(question, seed) for seed in seeds), return_exceptions=True)
        failed = [one for one in drawn if isinstance(one, BaseException)]
        fatal = [error for error in failed if not isinstance(error, AnswerError)]
        if fatal or len(failed) == len(drawn):
            raise (fatal or failed)[-1]
        return dict(one for one in drawn if not isinstance(one, BaseException))

    async def _judgment(self, question: list[Any], seed: int) -> tuple[str, float]:
        """One judgment as text and its score. Raises `AnswerError` when it cannot be read."""
        written = await call(
            self.model,
            question,
            "judge",
            seed=seed,
            temperature=TEMPERATURE,
            max_tokens=self.settings.judge_max_new_tokens,
        )
        said = read_answer(written)
        analysis = said.text.partition(MARK)[0].strip()
        if not analysis:
            raise AnswerError(said.flaw or "a judgment without an analysis", str(written.text))
        then = [*question, AIMessage(analysis), user(prompt_texts.text("judges/meta_score"))]
        shares = await option_probabilities(self.model, then, DIGITS, "judge", seed)
        return f"{analysis}\n{MARK} {max(shares, key=shares.__getitem__)}", expected_score(shares)

    async def _wins(self, state: GameState, candidate: Candidate, texts: Sequence[str]) -> dict[str, float]:
        """Each judgment's mean share of a comparison, 0..1, both orders counted."""
        games = list(combinations(texts, 2))
        shares = await all_done([self._beats(state, candidate, *game) for game in games])
        won = dict.fromkeys(texts, 0.0)
        for (one, other), share in zip(games, shares, strict=True):
            won[one] += share
            won[other] += 1 - share
        return {text: total / max(1, len(texts) - 1) for text, total in won.items()}

    async def _beats(self, state: GameState, candidate: Candidate, one: str, other: str) -> float:
        """How far the first judgment is preferred, 0..1, averaged over both orders."""
        first, second = await all_done(
            self._compare(state, candidate, *shown) for shown in ((one, other), (other, one))
        )
        return (first["A"] + second["B"]) / 2

    async def _compare(self, state: GameState, candidate: Candidate, first: str, second: str) -> dict[str, float]:
        task = state["task"]
        fence = Fence(self.seed(state, "meta"), [task.text, candidate.text, first, second])
        body = fence.fill(
            prompt_texts.text("judges/meta_judge"),
            {
                "query": ("Query: ", task.text),
                "answer": ("Answer:\n", candidate.text),
                "first": ("Judgment A:\n", first),
                "second": ("Judgment B:\n", second),
            },
        )
        policy = prompt_texts.fill(prompt_texts.text("judges/meta_policy"), task_field=self.settings.task_field)
        messages = asked(policy, body, task.images, await self.found(state, candidate))
        return await option_probabilities(
            self.model, messages, "AB", "meta_judge", self.seed(state, candidate.index, "meta")
        )


offers = MetaJudge
