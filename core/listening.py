"""Whether anybody hears of what is run: where nobody does, LangChain's machinery around it is left out."""

from __future__ import annotations

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config


def unheard(config: RunnableConfig | None = None) -> bool:
    """Whether this is part of a LangGraph run that has no callback handler and no tracer.

    False outside of one: what listens there (LangSmith's environment, MLflow) is found out by LangChain.
    """
    callbacks = (config or {}).get("callbacks") or (var_child_runnable_config.get() or {}).get("callbacks")
    return isinstance(callbacks, BaseCallbackManager) and not callbacks.handlers
