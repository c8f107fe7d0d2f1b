"""Makes pages of the files outside of docs/ that pages link: README's neighbours as they are, sources as code.

So every link works in the repository's own view and on the site, which needs no other server.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)#:\s]+)(#[^)\s]*)?\)")
LANGUAGES = {".py": "python", ".toml": "toml", ".jsonl": "json", ".yaml": "yaml", ".txt": "text", ".ipynb": "json"}
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "LICENSE": "license.md",
    "examples/README.md": "examples.md",
}
"""Where the site has these; all else is under source/."""
MADE: dict[str, Path] = {}
"""What each page that is made shows, by its place on the site."""
AT_MOST = 300
"""Lines of a file that are shown."""


def outside(link: str, here: Path) -> Path | None:
    """The file or folder of the repository that a link of a page in `here` names, where docs/ does not hold it."""
    path = (here / link).resolve()
    inside = path.is_relative_to(DOCS) or not path.is_relative_to(ROOT)
    return None if inside or not path.exists() else path.relative_to(ROOT)


def page_of(path: Path) -> str:
    """The page that shows a file or folder of the repository."""
    return PAGES.get(str(path), f"source/{path.as_posix()}.md")


def shown(path: Path) -> str:
    """A file as a page: Markdown as it is, a source as a block of code, a folder as those of its files."""
    full = ROOT / path
    if full.suffix == ".md":
        return full.read_text(encoding="utf-8")
    if full.is_dir():
        files = sorted(one for one in full.rglob("*") if one.is_file() and one.suffix in LANGUAGES)
        return f"# `{path}`\n\n" + "\n\n".join(block(one.relative_to(ROOT), "##") for one in files)
    return block(path, "#")


def block(path: Path, heading: str) -> str:
    """A source under its name; fenced by more ticks than it can hold."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    more = f"\n\n… and {len(lines) - AT_MOST} more lines." if len(lines) > AT_MOST else ""
    text = "\n".join(lines[:AT_MOST])
    return f"{heading} `{path}`\n\n``````{LANGUAGES.get(path.suffix, 'text')}\n{text}\n``````{more}\n"


def on_files(files: Any, config: Any) -> Any:
    """Adds README and the linked files, and those that they link."""
    waiting = [(path.read_text(encoding="utf-8"), path.parent) for path in DOCS.rglob("*.md")]
    add([Path("README.md")], waiting)
    while waiting:
        text, here = waiting.pop()
        linked = (outside(match[2], here) for match in LINK.finditer(text))
        add([path for path in linked if path and page_of(path) not in MADE], waiting)
    for uri, path in MADE.items():
        files.append(File.generated(config, uri, content=shown(path)))
    return files


def add(paths: list[Path], waiting: list[tuple[str, Path]]) -> None:
    """Notes the pages to make; those in Markdown have links of their own."""
    for path in paths:
        MADE[page_of(path)] = path
        if path.suffix == ".md":
            waiting.append((shown(path), (ROOT / path).parent))


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Points the links to what lies outside of docs/ at the pages made of it."""
    uri = page.file.src_uri
    source = MADE.get(uri)
    if source is not None and source.suffix != ".md":
        return markdown  # code
    here = (DOCS / uri).parent if source is None else (ROOT / source).parent
    up = "../" * (len(PurePosixPath(uri).parts) - 1)

    def pointed(match: re.Match[str]) -> str:
        path, inside = outside(match[2], here), (here / match[2]).resolve()
        if path:
            return f"{match[1]}({up}{page_of(path)}{match[3] or ''})"
        if source is not None and inside.is_relative_to(DOCS):
            return f"{match[1]}({up}{inside.relative_to(DOCS).as_posix()}{match[3] or ''})"
        return match[0]

    return LINK.sub(pointed, markdown)
