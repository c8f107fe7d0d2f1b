"""Fills `<!-- fields: MODULE.NAME -->` with a table of a class's fields, read from its source: it cannot go stale."""

import ast
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"<!-- fields: ([\w.]+)\.(\w+) -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with its tables."""
    return MARK.sub(lambda match: table(match[1], match[2]), markdown)


def table(module: str, name: str) -> str:
    """Field, type, default and what it means, for every field of a class."""
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    [found] = [one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == name]
    rows = [
        row(field, after) for field, after in zip(found.body, [*found.body[1:], None], strict=True) if is_field(field)
    ]
    return "\n".join(["| field | type | default | meaning |", "|---|---|---|---|", *rows])


def is_field(node: ast.stmt) -> bool:
    """Whether it declares a public field."""
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and "ClassVar" not in ast.unparse(node)


def row(field: Any, after: ast.stmt | None) -> str:
    """One line of the table."""
    default, meaning = told(field.value)
    if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
        meaning = after.value.value
    cells = (f"`{field.target.id}`", f"`{ast.unparse(field.annotation)}`", default and f"`{default}`", meaning)
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def told(value: ast.expr | None) -> tuple[str, str]:
    """(default, description) of what stands behind `=`; pydantic's `Field` holds both."""
    if not (isinstance(value, ast.Call) and ast.unparse(value.func) == "Field"):
        return ("" if value is None else ast.unparse(value)), ""
    named = {keyword.arg: keyword.value for keyword in value.keywords}
    first = value.args[0] if value.args else named.get("default")
    default = "" if first is None else ast.unparse(first)
    if "default_factory" in named:
        default = f"{ast.unparse(named['default_factory'])}()"
    said = named.get("description")
    return default.replace("...", ""), ast.literal_eval(said) if said is not None else ""
