"""Fills `<!-- commands -->` with every command of the command line and its options, asked of the commands themselves."""

from typing import Any

MARK = "<!-- commands -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with its commands."""
    return markdown.replace(MARK, commands()) if MARK in markdown else markdown


def commands() -> str:
    """A heading, the help and a table of options for each command."""
    import typer

    from anyprefer.cli import app

    group: Any = typer.main.get_command(app)
    return "\n\n".join(section(name, command) for name, command in group.commands.items())


def section(name: str, command: Any) -> str:
    """One command."""
    said = plain(command.help)
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and "--help" not in one.opts]
    usage = " ".join(
        ["anyprefer", name, *(f"[{(one.metavar or one.name).strip('[]').upper()}]" for one in arguments), "[OPTIONS]"]
    )
    rows = [row(one) for one in options]
    table = "\n".join(["| option | meaning |", "|---|---|", *rows]) if rows else ""
    return f"## {name}\n\n```text\n{usage}\n```\n\n{paragraphs(said)}\n\n{table}"


def plain(said: str | None) -> str:
    """A help text without the terminal's markup."""
    from rich.text import Text

    return Text.from_markup(said or "").plain


def paragraphs(said: str) -> str:
    """A help text as Markdown; its commands as blocks of code."""
    blocks: list[str] = []
    for part in said.split("\n\n"):
        is_code = part.lstrip().startswith("anyprefer ")
        blocks.append(f"```sh\n{part.strip()}\n```" if is_code else part.replace("<", "&lt;"))
    return "\n\n".join(blocks)


def row(option: Any) -> str:
    """One line of the table."""
    said = " ".join(plain(option.help).split()).replace("|", "\\|").replace("<", "&lt;")
    names = ", ".join(f'<code class="name">{name}</code>' for name in [*option.opts, *option.secondary_opts])
    return f"| {names} | {said} |"
