"""What a chat model can do, found out from the model itself, and how it is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_openai.chat_models.base import BaseChatOpenAI

from anyprefer.core.secrets import public_url
from anyprefer.models.local.built import is_built

SAMPLING = ("seed", "temperature", "top_p", "max_tokens")


@dataclass(frozen=True)
class Traits:
    """What the game needs to know of a chat model."""

    name: str
    """The model's own name, for rows and messages."""
    fields: tuple[str, ...]
    """Which of the sampling settings it declares; one without a `seed` field would refuse or ignore a seed."""
    tools: bool
    """Whether it takes tools; one that does not is asked by a text protocol."""
    shapes: bool
    """Whether it takes OpenAI's `response_format`; one that does not is asked for text."""
    where: str = ""
    """The server's URL where there is one, without keys; error messages name it."""
    in_process: bool = False
    """Whether it runs in this process, so that its calls cost nothing."""
    weighs: bool = False
    """Whether it weighs `options` given in a call; a server returns the probabilities of its likeliest tokens instead."""
    choices: bool = False
    """Whether one call may ask it for several answers (`achoices`)."""
    releases: bool = False
    """Whether it holds weights that can be freed (`unload`)."""
    sees: bool = True
    """Whether it may take images; a model that does not refuses them itself."""


def traits_of(model: BaseChatModel) -> Traits:
    """The traits a model states itself (its `traits` attribute), or what its class shows."""
    stated = getattr(model, "traits", None) if _states(type(model)) else None
    return stated if isinstance(stated, Traits) else _shown(model)


@lru_cache(maxsize=1024)
def _states(kind: type[BaseChatModel]) -> bool:
    """Whether the class has `traits`; to find with every call that a model has not takes pydantic long."""
    return "traits" in kind.model_fields or any("traits" in vars(base) for base in kind.__mro__)


def _shown(model: BaseChatModel) -> Traits:
    return _of_class(type(model), _name(model), _url(model))


def _url(model: BaseChatModel) -> str:
    return str(getattr(model, "openai_api_base", None) or "")


@lru_cache(maxsize=1024)
def _of_class(kind: type[BaseChatModel], name: str, where: str) -> Traits:
    """Asked for with every call, so each is made once."""
    return Traits(
        name=name,
        fields=tuple(field for field in SAMPLING if field in kind.model_fields),
        tools=kind.bind_tools is not BaseChatModel.bind_tools,
        shapes=issubclass(kind, BaseChatOpenAI),
        where=public_url(where),
        choices=hasattr(kind, "achoices"),
        releases=hasattr(kind, "unload"),
    )


def accepted(model: BaseChatModel, wanted: Mapping[str, Any]) -> tuple[Traits, dict[str, Any]]:
    """The model's traits, and `wanted` without the sampling settings it does not declare."""
    traits = traits_of(model)
    fields = traits.fields
    return traits, {name: value for name, value in wanted.items() if name in fields or name not in SAMPLING}


def accepted_settings(model: BaseChatModel, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """`wanted` without the sampling settings the model does not declare."""
    return accepted(model, wanted)[1]


def model_name(model: BaseChatModel) -> str:
    """The model's own name, for rows and messages."""
    return traits_of(model).name


def model_string(model: BaseChatModel) -> str:
    """The string `load_model` makes such a model of: `smollm2`, `scenes`, `hf:…`, `openai:NAME` or `openai:NAME@URL`."""
    traits = traits_of(model)
    if traits.in_process:
        return traits.name if traits.name == "smollm2" or is_built(traits.name) else f"hf:{traits.name}"
    url = _url(model)
    return f"openai:{traits.name}@{url}" if url else f"openai:{traits.name}"


def who_and_where(model: BaseChatModel) -> str:
    """The model's name and the URL it answers at, for error messages."""
    traits = traits_of(model)
    return f"{traits.name} at {traits.where}" if traits.where else traits.name


def _name(model: BaseChatModel) -> str:
    for field in ("model_name", "model"):
        name = getattr(model, field, None)
        if isinstance(name, str) and name:
            return name
    return type(model).__name__


def unload(model: Any) -> None:
    """Frees the weights of a model that holds any: training needs the memory."""
    if traits_of(model).releases:
        model.unload()
