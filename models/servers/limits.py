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
    read_timeout: float = 600.0
    """Seconds without a byte after which an attempt has failed; a model that thinks sends none before its answer."""
    total_timeout: float = 1800.0
    """Seconds an attempt may take in all."""
    retries: int = 8
    """Attempts of a call after its first before it fails, if the server answers others. 429 asks to wait and does not
    count."""
    patience: float = 600.0
    """Seconds a server may stay away before it is given up, and one call may fail while others are answered."""
    hedge: float = 0.0
    """A call unanswered after so many times the 95th percentile of latency is sent once more; 0 is never."""
    leave_out: tuple[str, ...] = ()
    """Optional parts of requests that are never sent, such as `seed`; others are found out (`request_parts.py`)."""


ALONE = Limits(patience=60.0)
"""For a model made outside a run: nobody wants a single call to wait for ten minutes."""
