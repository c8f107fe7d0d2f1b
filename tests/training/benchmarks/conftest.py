import pytest

from tests import sample_data


def no_hub(**asked):
    raise ConnectionError("no hub here")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with six questions a set, and no hub."""
    folder = sample_data.make(tmp_path / "data")
    monkeypatch.setenv("ANYPREFER_DATA", str(folder))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", no_hub)
    return folder
