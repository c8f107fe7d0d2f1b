"""Step 1 of Algorithm 1: the target samples C unique candidates from p_t (§2.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from anyprefer.core.errors import ModelError
from anyprefer.core.game_state import GameState
from anyprefer.core.images import image_keys
from anyprefer.core.records import Candidate
from anyprefer.core.roles import Target
from anyprefer.core.settings import Settings
from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory
from anyprefer.core.values import as_text, derive_seed, stable_hash
from anyprefer.models.account import current_account
from anyprefer.models.answer import Answer
from anyprefer.models.packing import content_of, content_told, json_form


def _as_json(content: Any, name: str) -> str:
    try:
        return as_text(content)
    except (TypeError, ValueError) as error:
        raise ModelError(f"target {name} returned a content without a JSON form: {error}") from error


OF_ONE = ("reference_chosen", "corrected", "edited")
"""Pair builders that need one candidate only."""
RESAMPLES = 1
"""How often missing candidates are drawn again: a second draw brings most of them, a third mostly the same ones."""


def sample(target: Target, settings: Settings) -> Callable[[GameState], Awaitable[GameState]]:
    """The node. Duplicates and answers without content are sampled again, then fewer are kept.

    Raises `ModelError`, which names the cause and the setting, where flawed answers leave no pair to be formed: a
    rewritten prompt would not help.
    """

    async def run(state: GameState) -> GameState:
        task, number = state["task"], len(state["rounds"]) + 1
        draw = _Draw(settings, target.name)
        for _ in range(1 + RESAMPLES):
            missing = settings.candidates - len(draw.kept)
            if not missing or draw.hopeless:
                break
            seeds = [derive_seed(settings.seed, task.id, number, draw.drawn + i) for i in range(missing)]
            draw.take(seeds, await sampled(target, task, state["prompts"].asked(task), seeds))
        return {"candidates": draw.candidates()}

    return run


CONTENTS = json_form(
    lambda contents: [content_told(content) for content in contents], lambda told: [content_of(one) for one in told]
)


async def sampled(target: Target, task: Task, prompt: str, seeds: Sequence[int]) -> list[Any]:
    """One content per seed, of JSON values. What a target sampled itself, without a model call of the run's, is kept like an answer:
    a resumed run does not sample it again."""

    async def make() -> list[Any]:
        contents = await target.sample(task, prompt, seeds)
        if len(contents) != len(seeds):
            raise ModelError(f"target {target.name} returned {len(contents)} samples for {len(seeds)} seeds")
        return [content.model_dump(mode="json") if isinstance(content, Trajectory) else content for content in contents]

    account = current_account()
    if account is None:
        return await make()
    told = {**task.model_dump(), "images": image_keys(task.images)}
    key = stable_hash([target.name, told, prompt, list(seeds)])[:40]
    return await account.once("rollout", key, make, CONTENTS)


class _Draw:
    """The answers of one round: which are candidates, and what the others, or parts of them, lack."""

    def __init__(self, settings: Settings, target: str) -> None:
        self.settings = settings
        self.target = target
        self.kept: dict[str, dict[str, Any]] = {}
        self.flaws: Counter[str] = Counter()
        self.drawn = 0

    @property
    def hopeless(self) -> bool:
        """Whether a whole draw brought nothing, for a reason that another draw would meet too."""
        return (
            bool(self.drawn) and not self.kept and sum(self.flaws.values()) == self.drawn and _BROKEN not in self.flaws
        )

    def take(self, seeds: Sequence[int], contents: Sequence[Any]) -> None:
        """One more draw. Of answers with one content the first is kept; a whole one rather than one cut off."""
        self.drawn += len(seeds)
        for seed, content in zip(seeds, contents, strict=True):
            answer = content if isinstance(content, Answer) else None
            flaw = flaw_of(answer, self.settings) if answer else ""
            if flaw:
                self.flaws[flaw] += 1
            told = {"ended": answer.ended, "refusal": answer.refusal, "thoughts": answer.thoughts} if answer else {}
            value = answer.text if answer else content
            empty = value is None or (isinstance(value, str | list) and not value)
            if empty or flaw == _BROKEN:
                continue
            key = _as_json(value, self.target)
            if key not in self.kept or (not flaw and self.kept[key]["flawed"]):
                self.kept[key] = {"content": value, "seed": seed, "flawed": bool(flaw), **told}

    def candidates(self) -> list[Candidate]:
        """The kept answers. Raises `ModelError` where flaws are why there are too few. Different answers that are all
        cut off continue: the game says so, and a rewritten prompt can ask for shorter ones."""
        whole = sum(not one["flawed"] for one in self.kept.values())
        enough = len(self.kept) > (0 if self.settings.pair in OF_ONE else 1)
        if not enough and 2 * sum(self.flaws.values()) >= self.drawn and self.flaws:
            why = "; ".join(f"{count} of {self.drawn} answers {flaw}" for flaw, count in self.flaws.most_common())
            raise ModelError(f"target {self.target} gave {whole} different whole answers, too few for a pair: {why}")
        rows = ({key: value for key, value in one.items() if key != "flawed"} for one in self.kept.values())
        return [Candidate(index=index, **row) for index, row in enumerate(rows)]


_BROKEN = "were ended by an error of the server"


def flaw_of(answer: Answer, settings: Settings) -> str:
    """What a target's answer lacks, as it follows "3 of 5 answers", with the setting that helps; empty where whole."""
    limit = f"at max_new_tokens = {settings.max_new_tokens}; raise it"
    if answer.refusal:
        return f"were refused: {answer.refusal[:200]!r}"
    if answer.ended == "length":
        return f"were still thinking {limit}" if answer.thoughts and not answer.text else f"were cut off {limit}"
    if answer.ended == "filter":
        return "were ended by the server's content filter"
    if answer.ended == "error":
        return _BROKEN
    if not answer.text:
        return "were thoughts alone" if answer.thoughts else "were empty"
    return ""
