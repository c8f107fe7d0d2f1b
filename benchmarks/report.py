"""Results as JSON files, and all of them as one page.

    python -m benchmarks.report runs/benchmarks --out docs/benchmarks.md

A result is a JSON object; those with the keys of `save` become a section, in the order of ORDER. Any other
object or list of objects in the folder becomes a plain table under its file's name.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from anyprefer.core.versions import versions

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "runs" / "benchmarks"
ORDER = (
    "game",
    "single",
    "peers",
    "peers_64",
    "faults",
    "limits",
    "kill",
    "million",
    "cluster",
    "local_sampling",
    "dpo",
    "image_dpo",
)
PACKAGES = ("anyprefer", "langgraph", "langchain-core", "langchain-openai", "openai", "aiohttp", "uvloop", "pydantic")

HEAD = """\
# Benchmarks

`make bench` measures all of this again and writes this page. Engines of one table took turns, each run
with a server of its own (`benchmarks/server.py`) on the same machine; numbers are the median of the
repeats with the smallest and the largest in brackets.
"""


def save(path: Path, title: str, command: str, tables: Sequence[dict[str, Any]], notes: str, data: Any) -> None:
    """Writes a result. A table is {"columns": [...], "rows": [[...]]}; `data` is what it was made from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "title": title,
        "command": command,
        "date": date.today().isoformat(),
        "machine": machine(),
        "versions": versions(PACKAGES),
        "tables": list(tables),
        "notes": notes,
        "data": data,
    }
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(section(path.stem, result))


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": cores,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def section(name: str, result: Any) -> str:
    if not (isinstance(result, dict) and {"title", "tables"} <= set(result)):
        return f"## {name}\n\n{table(plain(result))}\n"
    at = result["machine"]
    where = f"{at['cores']} cores of {at['cpu']}, Python {at['python']}, {result['date']}"
    parts = [f"## {result['title']}", f"`{result['command']}` ({where})"]
    parts += [table(one) for one in result["tables"]]
    if result["notes"]:
        parts.append(result["notes"].strip())
    return "\n\n".join(parts) + "\n"


def table(one: dict[str, Any]) -> str:
    rows = [one["columns"], ["---"] * len(one["columns"]), *one["rows"]]
    lines = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([*([one["caption"], ""] if one.get("caption") else []), *lines])


def plain(result: Any) -> dict[str, Any]:
    """A list of objects as rows, any other value as dotted names and values."""
    if isinstance(result, list) and result and all(isinstance(row, dict) for row in result):
        columns = list(dict.fromkeys(key for row in result for key in row))
        return {"columns": columns, "rows": [[row.get(key, "") for key in columns] for row in result]}
    return {"columns": ["", ""], "rows": [list(pair) for pair in flat(result)]}


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """`{"a": {"b": [1, 2]}}` as ("a.b", "1, 2")."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, ", ".join(map(str, value)) if isinstance(value, list) else value


def page(folder: Path) -> str:
    files = sorted(folder.glob("*.json"), key=lambda file: (file.stem not in ORDER, _place(file.stem), file.stem))
    found = {file.stem: json.loads(file.read_bytes()) for file in files}
    used = {n: v for one in found.values() if isinstance(one, dict) for n, v in (one.get("versions") or {}).items()}
    foot = "Versions: " + ", ".join(f"{name} {number}" for name, number in used.items()) + ".\n"
    return "\n".join([HEAD, *(section(name, one) for name, one in found.items()), foot])


def _place(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--out", type=Path, help="file to write; printed without it")
    chosen = parser.parse_args()
    text = page(chosen.folder)
    if chosen.out:
        chosen.out.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
