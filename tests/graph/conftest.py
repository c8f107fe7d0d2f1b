import pytest

from tests.cli import SUMS, write
from tests.server import OpenAIServer


@pytest.fixture(scope="module")
def model():
    """A model string of a local server that plays every role."""
    with OpenAIServer() as server:
        yield f"openai:any@{server.url}"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder with a file of sums to type commands in; no key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    write("sums.jsonl", SUMS)
