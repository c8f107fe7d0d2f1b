"""A tool: `tools = ["word_limit"]`."""

from anyprefer.core.records import Candidate
from anyprefer.tools import Finding, tool


@tool(quick=True)
def word_limit(candidate: Candidate, *, most: int = 12) -> Finding:
    """Counts an answer's words; use it when the question asks for a short answer."""
    words = len(candidate.text.split())
    return Finding(f"{words} words, at most {most} are wanted.", verdict=float(words <= most), data={"words": words})
