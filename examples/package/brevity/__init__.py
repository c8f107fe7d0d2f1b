"""One thing of each kind, one file each, offered by the entry points of pyproject.toml."""
