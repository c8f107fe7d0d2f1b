"""How long a candidate is: a knowledge tool in one file."""

from anyprefer.core.records import Candidate
from anyprefer.tools.base import Finding, tool


@tool
def word_count(candidate: Candidate, *, most: int = 50) -> Finding:
    """Counts an answer's words; use it when the question asks for a short answer."""
    words = len(candidate.text.split())
    return Finding(f"{words} words, at most {most} are wanted.", verdict=1.0 if words <= most else 0.0)
