"""Models at one seam: LangChain chat models, made from a string or given as objects."""

from anyprefer.graph.models.load import load_model
from anyprefer.graph.models.traits import (
    Traits,
    accepted_settings,
    model_name,
    model_string,
    traits_of,
    who_and_where,
)
from anyprefer.graph.secrets import redact

__all__ = [
    "Traits",
    "accepted_settings",
    "load_model",
    "model_name",
    "model_string",
    "redact",
    "traits_of",
    "who_and_where",
]
