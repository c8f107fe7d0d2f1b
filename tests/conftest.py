"""What every folder's tests share: Ctrl-C, a tiny model, a search engine without a network."""

import signal

import pytest

from tests.stand_ins import PLAIN, FakeEngine, save_llama, tokenizer

# a shell's background jobs ignore Ctrl-C, and so would the tests of it and the processes they start
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Folder of a two-layer random Llama with a chat template: loading, sampling and training in milliseconds."""
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    tokens = tokenizer(("<pad>", "<s>", "</s>"), PLAIN, merges=False, **names)
    return save_llama(tmp_path_factory.mktemp("tiny"), tokens, num_key_value_heads=2, max_position_embeddings=256)


@pytest.fixture
def engine(monkeypatch):
    """What `web_search` asks instead of the web."""
    fake = FakeEngine()
    monkeypatch.setattr("ddgs.DDGS", lambda: fake)
    return fake
