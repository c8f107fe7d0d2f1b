"""Eq. 2: TextGrad rewrites p_t, p_j and the tools' instructions from the reward's analysis (§2.4).

The round's feedback is the textual gradient; each prompt is a variable of its own with its own
optimiser step, so one unusable rewrite keeps that prompt's old text (and is recorded) without
touching the others. The paper names no engine; ours is a setting.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from langchain_core.language_models import BaseChatModel

from anyprefer.graph.errors import AnypreferError, RunStopped
from anyprefer.graph.settings import Settings
from anyprefer.graph.state import FRESH, GameState, Prompts, Update, as_text
from anyprefer.nodes import prompts as texts
from anyprefer.nodes.ask import all_done
from anyprefer.nodes.textgrad import Rewriter

_OPEN, _CLOSE = "<IMPROVED_VARIABLE>", "</IMPROVED_VARIABLE>"
MAX_GROWTH = 4
"""A rewrite longer than this many times the old prompt plus 2000 characters is refused."""


def update_prompts(engine: BaseChatModel | None, settings: Settings) -> Callable[[GameState], Awaitable[GameState]]:
    """The node. Records on the closed round what became of every prompt it tried to rewrite."""

    async def run(state: GameState) -> GameState:
        old, last = state["prompts"], state["rounds"][-1]
        chosen = _variables(state, settings)
        feedback = feedback_text(state)
        rewritten = await all_done(_rewrite(engine, *variable, feedback, settings) for variable in chosen)
        new = {name: text for (name, _, _), (text, _) in zip(chosen, rewritten, strict=True)}
        prompts = Prompts(
            target=new.get("target", old.target),
            judge=new.get("judge", old.judge),
            tools={name: new.get(f"tools.{name}", text) for name, text in old.tools.items()},
        )
        closed = last.model_copy(update={"updates": tuple(update for _, update in rewritten)})
        return {**FRESH, "prompts": prompts, "rounds": [*state["rounds"][:-1], closed]}

    return run


def _variables(state: GameState, settings: Settings) -> list[tuple[str, str, str]]:
    """(name, text, role) of each prompt that is to be rewritten; tools only where they were used."""
    prompts, used = state["prompts"], {choice.tool for choice in state["selected"]}
    players: list[tuple[str, str, str]] = []
    if "target" in settings.feedback:
        players.append(("target", prompts.target, texts.text("role_target")))
    if "judge" in settings.feedback:
        players.append(("judge", prompts.judge, texts.text("role_judge")))
    if "tools" in settings.feedback:
        players += [
            (f"tools.{name}", text, texts.fill(texts.text("role_tool"), tool=name))
            for name, text in prompts.tools.items()
            if name in used
        ]
    return players


def feedback_text(state: GameState) -> str:
    """The gradient: the pair that was rated, its reward and the reward's analysis."""
    last = state["rounds"][-1]
    return texts.fill(
        texts.text("feedback"),
        query=state["task"].prompt,
        positive=f"Positive response: {as_text(last.pair.chosen)}" if last.pair else "",
        negative=f"Negative response: {as_text(last.pair.rejected)}" if last.pair else "",
        score=f"{last.reward.score:g}/10" if last.reward else "none, no pair could be formed",
        analysis=last.feedback,
    )


async def _rewrite(
    engine: BaseChatModel | None, name: str, old: str, role: str, feedback: str, settings: Settings
) -> tuple[str, Update]:
    if engine is None:
        return old, Update(prompt=name, changed=False, note="no engine rewrites prompts in this run")
    rewriter = Rewriter(engine, settings)
    try:
        await rewriter.step(old, role, feedback)
    except RunStopped:
        raise
    except AnypreferError as error:
        return old, Update(prompt=name, changed=False, note=str(error))
    except IndexError:
        return old, Update(
            prompt=name, changed=False, note=f"no improved text in the answer: {rewriter.answer[:300]!r}"
        )
    new, problem = usable(rewriter.answer, old)
    return new, Update(prompt=name, changed=not problem, note=problem)


def usable(answer: str, old: str) -> tuple[str, str]:
    """(the prompt to go on with, why it is the old one or ""). The last tagged text counts, since
    models mention the tags before they use them."""
    found = re.findall(re.escape(_OPEN) + r"(.*?)" + re.escape(_CLOSE), answer, re.DOTALL)
    new = found[-1].split(_OPEN)[-1].strip() if found else ""
    if not new:
        return old, f"no improved text in the answer: {answer[:300]!r}"
    if new == old:
        return old, "the rewrite is the same text"
    if len(new) > MAX_GROWTH * len(old) + 2000:
        return old, f"the rewrite has {len(new)} characters, too many for a prompt of {len(old)}"
    return new, ""
