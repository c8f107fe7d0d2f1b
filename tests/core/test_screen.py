"""What a terminal obeys never reaches it from outside."""

import io
import logging

import pytest
from rich.text import Text

from anyprefer.cli.console import Screen, complain, table
from anyprefer.cli.summary import reasons_table
from anyprefer.core.screen import visible
from anyprefer.graph.runs.reasons import Reasons

ATTACKS = [
    "\x1b]0;pwned\x07",
    "\x1b[2J",
    "\x9b5m",
    "a\rb",
    "\x08\x08",
    "\u202egnp.exe",
    "\u2066x",
    "\x00",
    "\x7f",
    "\u2028",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_control_characters_are_written_out(attack):
    shown = visible(f"Grüße\t{attack}\n")
    assert shown.startswith("Grüße\t")
    assert all(letter.isprintable() or letter in "\t\n" for letter in shown)
    assert visible(shown) == shown


@pytest.mark.parametrize("attack", [*ATTACKS, "[bold red]", "[/]", "[link=http://x]y[/link]", ":warning:"])
def test_no_console_obeys_text_from_outside(attack, capsys):
    written = io.StringIO()
    screen = Screen(file=written, force_terminal=True, width=200)
    reasons, shown = Reasons(), table("name", title=attack)
    reasons.add("failed", f"HTTPStatusError: 400 {attack}")
    shown.add_row(attack)
    for part in (attack, Text(attack, "bold"), shown, reasons_table(reasons, attack, "outcome")):
        screen.print(part)
    complain(ValueError(attack))
    for text in (written.getvalue(), capsys.readouterr().err):
        for sequence in ("\x1b[0m", "\x1b[1m", "\x1b[2m"):  # the house's own: reset, bold, dim
            text = text.replace(sequence, "")
        assert "\x1b]" not in text
        assert "\x1b[2J" not in text
        assert not set(text) & set("\x9b\r\x08\u202e\u2066\x00\x7f\u2028\x07")
        if attack.startswith(("[", ":")):
            assert attack in text


def test_the_log_is_fit_for_a_terminal(caplog):
    logging.getLogger("anyprefer").warning("the server said %s", "\x1b[2Jno")
    assert caplog.messages == ["the server said \\x1b[2Jno"]
