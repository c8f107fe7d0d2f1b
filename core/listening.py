"""Whether anybody listens to what is run: where nobody does, LangChain's machinery around it is left out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.runnables.config import var_child_runnable_config

Given = TypeVar("Given")
Made = TypeVar("Made")


def unheard(config: RunnableConfig | None = None) -> bool:
    """Whether this is part of a LangGraph run that has no callback handler and no tracer.

    False outside of one: what listens there (LangSmith's environment, MLflow) is found out by LangChain.
    """
    callbacks = (config or {}).get("callbacks") or (var_child_runnable_config.get() or {}).get("callbacks")
    return isinstance(callbacks, BaseCallbackManager) and not callbacks.handlers


async def span(name: str, part: Callable[[Given], Awaitable[Made]], given: Given) -> Made:
    """A part of a node: where anybody listens, a span of its own with this name."""
    if unheard():
        return await part(given)
    return await RunnableLambda(part, name=name).ainvoke(given)
