"""How much is asked of one model server, and how long it is waited for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of one base URL, shared by all models at it."""

    connections: int = 256
    """Requests in flight at most, ≥ 1; fewer while the server answers 429."""
    rpm: int = 0
    """Requests a minute, retries and hedges counted; 0 is no limit."""
    tpm: int = 0
    """Tokens a minute, read and written; 0 is no limit."""
    connect_timeout: float = 10.0
    """Seconds to open a connection."""
    read_timeout: float = 120.0
    """Seconds without a byte after which an attempt has failed."""
    total_timeout: float = 600.0
    """Seconds an attempt may take in all."""
    retries: int = 8
    """Attempts of a call after its first, while the server answers others. 429 is asking to wait, not counted."""
    patience: float = 600.0
    """Seconds a server may stay away, or refuse one call with 429, before it is given up."""
    hedge: float = 0.0
    """A call unanswered after so many times the 95th percentile of latency is sent once more; 0 is never."""


ALONE = Limits(patience=60.0)
"""For a model made outside a run: nobody wants a single call to wait for ten minutes."""
