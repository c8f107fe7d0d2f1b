"""Models at one seam: LangChain chat models, made from a string or given as objects."""

from anyprefer.core.secrets import redact
from anyprefer.models.load import load_model
from anyprefer.models.traits import (
    Traits,
    accepted_settings,
    model_name,
    model_string,
    traits_of,
    who_and_where,
)

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
