"""A data set on its way to the hub, here one on loopback."""

import json
import logging
import shutil

import pytest
from huggingface_hub import constants

from tests.command_line import refused, run
from tests.folder import run as play
from tests.hub import Hub
from tests.training.export.test_export import answering

TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"
pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with Hub(TOKEN) as one:
        monkeypatch.setattr(constants, "ENDPOINT", one.url)
        yield one


def test_the_folder_is_pushed_and_nothing_tells_the_token(hub, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    play(tmp_path / "run", answering())
    hub.files["default/old.parquet"] = b"of an export before"
    result = run("export", "run", "--out", "out", "--push", "me/set")
    assert result.exit_code == 0, result.output
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    there = {file.relative_to(tmp_path / "out").as_posix(): file.read_bytes() for file in files}
    assert hub.files == there
    created = [json.loads(body) for _, path, body in hub.asked if path.endswith("/repos/create")]
    assert [one.get("visibility") or one["private"] for one in created] in (["private"], [True]), (
        "as the client words it"
    )
    assert f"pushed: {hub.url}/datasets/me/set" in result.stdout
    assert 'load_dataset("me/set", split="train")' in hub.files["README.md"].decode()
    assert TOKEN not in result.output + caplog.text
    assert not any(TOKEN.encode() in data for data in there.values())
    again = run("export", "run", "--out", "out", "--push", "me/set", "--public")
    assert again.exit_code == 0, again.output


def test_what_the_hub_refuses_is_said_without_the_token(hub, tmp_path, monkeypatch):
    play(tmp_path / "run", answering())
    hub.token = "another"
    said = refused(run("export", "run", "--out", "out", "--push", "me/set"), code=1)
    assert "the hub did not take me/set" in said
    assert TOKEN not in said
    assert (tmp_path / "out" / "README.md").is_file()
    shutil.rmtree(tmp_path / "out")
    assert "ORG/NAME" in refused(run("export", "run", "--out", "out", "--push", "set"))
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    assert "HF_TOKEN" in refused(run("export", "run", "--out", "out", "--push", "me/set"))
    assert not (tmp_path / "out").exists()
