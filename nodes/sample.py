"""Step 1 of Algorithm 1: the target samples C unique candidates from p_t (§2.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from anyprefer.graph.errors import ModelError
from anyprefer.graph.models import model_name
from anyprefer.graph.models.answer import Answer, read_answer
from anyprefer.graph.models.openai_chat import PostedChat
from anyprefer.graph.roles import Target
from anyprefer.graph.settings import Settings
from anyprefer.graph.state import Candidate, GameState, Task, as_text, derive_seed
from anyprefer.nodes.ask import all_done, call, choices, recorded, task_messages


class ChatTarget:
    """A LangChain chat model as π_t: one request for all candidates where the server knows `n`, else one a seed."""

    def __init__(self, model: BaseChatModel, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.name = model_name(model)
        self._knows_n = settings.server_n

    async def sample(self, task: Task, prompt: str, seeds: Sequence[int]) -> list[Answer]:
        """One answer per seed; an error ends the task once all calls are back, and never becomes a candidate.

        Choices of one request all come from the first seed.
        """
        messages = task_messages(task, prompt)
        alone = recorded(self.model, messages, seed=seeds[0], **self._sampling())  # before the run was resumed
        together = self._knows_n and len(seeds) > 1 and not alone
        answers = await self._together(messages, seeds) if together else []
        rest = seeds[len(answers) :]
        answers += await all_done(call(self.model, messages, "sample", seed=seed, **self._sampling()) for seed in rest)
        return [read_answer(answer) for answer in answers]

    async def _together(self, messages: Sequence[Any], seeds: Sequence[int]) -> list[AIMessage]:
        """All answers from one request, or as many as the server gave; none from one that refuses `n`."""
        if not isinstance(self.model, PostedChat):
            return []
        answers = await choices(self.model, messages, "sample", len(seeds), seed=seeds[0], **self._sampling())
        self._knows_n = self._knows_n and len(answers) == len(seeds)
        return answers[: len(seeds)]

    def _sampling(self) -> dict[str, Any]:
        chosen = self.settings
        return {"temperature": chosen.temperature, "top_p": chosen.top_p, "max_tokens": chosen.max_new_tokens}


def _as_json(content: Any, name: str) -> str:
    try:
        return as_text(content)
    except (TypeError, ValueError) as error:
        raise ModelError(f"target {name} returned a content without a JSON form: {error}") from error


def sample(target: Target, settings: Settings) -> Callable[[GameState], Awaitable[GameState]]:
    """The node. Duplicates and answers without content are sampled again `resamples` times, then fewer are kept.

    Raises `ModelError`, which names the cause and the setting, where flawed answers leave no pair to be formed: a
    rewritten prompt would not help.
    """

    async def run(state: GameState) -> GameState:
        task, number = state["task"], len(state["rounds"]) + 1
        draw = _Draw(settings, target.name)
        for _ in range(settings.resamples + 1):
            missing = settings.candidates - len(draw.kept)
            if not missing or draw.hopeless:
                break
            seeds = [derive_seed(settings.seed, task.id, number, draw.drawn + i) for i in range(missing)]
            contents = await target.sample(task, state["prompts"].asked(task), seeds)
            if len(contents) != missing:
                raise ModelError(f"target {target.name} returned {len(contents)} samples for {missing} seeds")
            draw.take(seeds, contents)
        return {"candidates": draw.candidates()}

    return run


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
            if value in ("", None, []) or flaw == _BROKEN:
                continue
            key = _as_json(value, self.target)
            if key not in self.kept or (not flaw and self.kept[key]["flawed"]):
                self.kept[key] = {"content": value, "seed": seed, "flawed": bool(flaw), **told}

    def candidates(self) -> list[Candidate]:
        """The kept answers. Raises `ModelError` where flaws are why there are too few. Different answers that are all
        cut off go on: the game says so, and a rewritten prompt can ask for shorter ones."""
        whole = sum(not one["flawed"] for one in self.kept.values())
        enough = len(self.kept) > (0 if self.settings.pair == "reference_chosen" else 1)
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
