"""What every folder's tests share: Ctrl-C, a tiny model, a search engine without a network."""

import json
import shutil
import signal

import pytest

from tests.command_line import SUMS, write
from tests.pictured import save_llava
from tests.server import OpenAIServer
from tests.stand_ins import PLAIN, FakeEngine, save_llama, tokenizer

# a shell's background jobs ignore Ctrl-C, and so would the tests of it and the processes they start
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Folder of a two-layer random Llama with a chat template: loading, sampling and training in milliseconds."""
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    tokens = tokenizer(("<pad>", "<s>", "</s>"), PLAIN, merges=False, **names)
    return save_llama(tmp_path_factory.mktemp("tiny"), tokens, num_key_value_heads=2, max_position_embeddings=8192)


@pytest.fixture(scope="session")
def tiny_player(tiny, tmp_path_factory):
    """`tiny` with more ways to end an answer: a random model hardly ever does, and what is cut off is never chosen."""
    folder = tmp_path_factory.mktemp("tiny-player")
    shutil.copytree(tiny, folder, dirs_exist_ok=True)
    config = json.loads((folder / "generation_config.json").read_text())
    config["eos_token_id"] = [config["eos_token_id"], *range(10, 90, 5)]
    (folder / "generation_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def tiny_llava(tmp_path_factory):
    """Folder of a random LLaVA with Llama text and 16 tokens a picture."""
    return save_llava(tmp_path_factory.mktemp("tiny-llava"))


@pytest.fixture
def engine(monkeypatch):
    """What `web_search` asks instead of the web."""
    fake = FakeEngine()
    monkeypatch.setattr("ddgs.DDGS", lambda: fake)
    return fake


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
