import subprocess
import sys

import pytest
from ddgs.exceptions import DDGSException

from anyprefer.core.errors import ToolError
from anyprefer.tools import TOOLS, KnowledgeTool, ToolFailure
from anyprefer.tools.fact_check import fact_check
from anyprefer.tools.knowledge_search import knowledge_search
from anyprefer.tools.web_search import web_search
from tests.stand_ins import FakeEngine


async def test_results_become_text_and_data(engine: FakeEngine) -> None:
    found = await web_search.with_options(max_results=2).ainvoke({"query": "capital of Peru"})
    assert found.text == "[1] Lima {x}: Capital of Peru (https://example.org/lima)"
    assert found.data == [{"title": "Lima {x}", "snippet": "Capital of Peru", "link": "https://example.org/lima"}]
    call = engine.calls[0]
    assert (call["query"], call["max_results"], call["backend"]) == ("capital of Peru", 2, "duckduckgo")
    assert call["timelimit"] is None


async def test_the_backend_can_be_set(engine: FakeEngine) -> None:
    await web_search.with_options(backend="brave").ainvoke({"query": "x"})
    assert engine.calls[0]["backend"] == "brave"


async def test_offline_is_said_plainly(engine: FakeEngine) -> None:
    engine.answer = DDGSException("ConnectError: dns error")
    with pytest.raises(ToolFailure, match=r"'duckduckgo' failed: ConnectError.*online"):
        await web_search.ainvoke({"query": "x"})


async def test_no_results_are_a_finding(engine: FakeEngine) -> None:
    engine.answer = DDGSException("No results found.")
    assert (await web_search.ainvoke({"query": "x"})).text == "The web search found nothing."
    engine.answer = []
    assert (await web_search.ainvoke({"query": "x"})).data == []


@pytest.mark.parametrize(("tool", "name"), [(web_search, "max_results"), (knowledge_search, "k"), (fact_check, "k")])
def test_how_many_are_found_has_a_range(tool: KnowledgeTool, name: str) -> None:
    with pytest.raises(ToolError, match=f"option {name} is 0: Input should be greater than or equal to 1"):
        tool.with_options(**{name: 0})


def test_listing_tools_loads_no_heavy_package() -> None:
    assert "web_search" in TOOLS.names()
    code = (
        "import sys; from anyprefer.tools import TOOLS; [TOOLS.get(name) for name in TOOLS.names()]; "
        "assert not {'torch', 'transformers', 'langchain_community', 'ddgs'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-W", "error::DeprecationWarning:langchain_community", "-c", code], check=True)
