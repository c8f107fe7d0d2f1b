"""Web search through DuckDuckGo, with langchain-community's wrapper around the `ddgs` package."""

from __future__ import annotations

import warnings
from typing import Annotated

from pydantic import Field

from anyprefer.tools.base import Finding, ToolFailure, tool


@tool
def web_search(query: str, *, max_results: Annotated[int, Field(ge=1)] = 5, backend: str = "duckduckgo") -> Finding:
    """Searches the web, for recent or rare facts that a local knowledge base does not hold."""
    results = _search(query, max_results, backend)
    text = "\n".join(f"[{number}] {r['title']}: {r['snippet']} ({r['link']})" for number, r in enumerate(results, 1))
    return Finding(text or "The web search found nothing.", data=results)


def _search(query: str, max_results: int, backend: str) -> list[dict[str, str]]:
    """Results as {title, snippet, link}; raises `ToolFailure` when the service cannot be reached.

    The backend is pinned: left open, `ddgs` asks other engines too.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # on import: langchain-ai/langchain-community#674
        from langchain_community.utilities.duckduckgo_search import DuckDuckGoSearchAPIWrapper
    from ddgs.exceptions import DDGSException

    wrapper = DuckDuckGoSearchAPIWrapper(time=None, max_results=max_results, backend=backend)
    try:
        return wrapper.results(query, max_results)
    except DDGSException as error:
        if "no results" in str(error).lower():
            return []
        raise ToolFailure(f"web search with {backend!r} failed: {error}; is this machine online?") from error
