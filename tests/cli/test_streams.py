import logging
import os
import subprocess

import pytest
from rich.text import Text

from anyprefer.cli import console, output_streams
from tests.command_line import ANYPREFER


def shell(script):
    return subprocess.run(
        ["bash", "-c", script, "bash", *ANYPREFER, "list", "tools", "--json"], capture_output=True, text=True
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "| head -1", "2>/dev/full"])
def test_a_closed_stream_stops_nothing(closed):
    done = shell(f'"$@" {closed}; exit "${{PIPESTATUS[0]}}"')
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_output_that_cannot_be_written_is_exit_code_1_in_one_line():
    done = shell('"$@" >/dev/full')
    assert done.returncode == 1
    assert done.stderr == "error: standard output cannot be written: No space left on device\n"


def test_a_stream_that_failed_once_is_given_up(tmp_path):
    with open("/dev/full", "w") as full:
        stream = output_streams.Lenient(full)
        stream.write("lost")
        stream.flush()
        assert stream.failure.strerror == os.strerror(28)
        stream.write("lost too")
        stream.flush()


def test_a_warning_is_said_once_however_many_handlers_the_root_has(capsys):
    root = logging.getLogger()
    handler = logging.StreamHandler()
    root.addHandler(handler)
    try:
        with console.said_warnings():
            logging.getLogger("anyprefer").warning("the server is slow")
    finally:
        root.removeHandler(handler)
    assert capsys.readouterr().err == "note: the server is slow\n"


def test_notes_stand_above_a_live_line(monkeypatch):
    import io

    from rich.console import Console

    monkeypatch.setattr(console, "Screen", lambda **_: Console(file=io.StringIO(), force_terminal=True))
    live = Console(file=io.StringIO(), force_terminal=True)
    with console.shows_live(live):
        console.to_stderr(Text("a note"))
    assert live.file.getvalue() == "a note\n"
