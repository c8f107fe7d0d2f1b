"""Whether anybody listens to what is run: where nobody does, LangChain's machinery around it is left out."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import BaseCallbackManager, adispatch_custom_event
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config


def unheard(config: RunnableConfig | None = None) -> bool:
    """Whether this is part of a LangGraph run that has no callback handler and no tracer.

    False outside of one: what listens there (LangSmith's environment, MLflow) is found out by LangChain.
    """
    callbacks = (config or {}).get("callbacks") or (var_child_runnable_config.get() or {}).get("callbacks")
    return isinstance(callbacks, BaseCallbackManager) and not callbacks.handlers


async def note(name: str, **told: Any) -> None:
    """Tells whoever listens to the node that is played here of something that is no call: a retry, with its `error`, or an
    answer from the ledger."""
    manager = (var_child_runnable_config.get() or {}).get("callbacks")
    if isinstance(manager, BaseCallbackManager) and manager.handlers and manager.parent_run_id:
        await adispatch_custom_event(name, told)
