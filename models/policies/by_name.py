"""Policies by name: `small`, `small:FOLDER`, `openvla:ID-or-folder`, `server:URL`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyprefer.core.errors import ModelSetupError, near

if TYPE_CHECKING:
    from anyprefer.models.policies.base import Policy, TrainablePolicy

FORMS = ("small", "small:FOLDER", "openvla:ID-or-folder", "server:URL")


def policy(spec: str) -> Policy:
    """The policy that a string names. Raises `ModelSetupError` for an unknown name and for what cannot be loaded."""
    kind, _, rest = spec.partition(":")
    if kind == "server" and rest:
        from anyprefer.models.policies.served import ServedPolicy

        return ServedPolicy(rest)
    return trainable(spec)


def trainable(spec: str) -> TrainablePolicy:
    """The same of a policy whose weights are here. Raises `ModelSetupError` for one behind a URL too."""
    kind, _, rest = spec.partition(":")
    if kind == "small":
        from anyprefer.models.policies.small import SmallPolicy

        return SmallPolicy.load(rest)
    if kind == "openvla" and rest:
        from anyprefer.models.policies.openvla import OpenVLAPolicy

        return OpenVLAPolicy.load(rest)
    if kind == "server":
        raise ModelSetupError(f"policy {spec!r} is behind a URL; what is trained here is small or openvla:ID-or-folder")
    raise ModelSetupError(f"unknown policy {spec!r}; {near(kind, FORMS)}")
