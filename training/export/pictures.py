"""The images of exported pairs: each kept once, as a file named by its content."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from anyprefer.core.errors import InputError
from anyprefer.core.image_files import kind_of
from anyprefer.core.images import images_of
from anyprefer.core.pictures import WEB, image_bytes, shown


class Pictures:
    """Files in `folder/images`; a web address stays one, since nothing is fetched to be published."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept: dict[str, str] = {}

    def keep(self, image: str, roots: Sequence[Path], beside: Path) -> str:
        """The image's name from the folder on, `images/HASH.png`, or its web address.

        `image` is what a task holds. Raises `InputError` for one that cannot be read or leads out of `roots`.
        """
        if image.startswith(WEB):
            return image
        if image not in self._kept:
            self._kept[image] = self._written(image, roots, beside)
        return self._kept[image]

    def data(self, name: str) -> dict[str, bytes | str | None]:
        """A kept image as the `Image` feature of `datasets` stores it."""
        if name.startswith(WEB):
            return {"bytes": None, "path": name}
        return {"bytes": (self.folder / name).read_bytes(), "path": Path(name).name}

    def _written(self, image: str, roots: Sequence[Path], beside: Path) -> str:
        [found] = images_of([image], roots, beside) or [""]
        data = image_bytes(found)
        kind = kind_of(data)
        if not kind:
            raise InputError(f"image {shown(image)} is no image by its content")
        name = f"images/{sha256(data).hexdigest()[:32]}.{'jpg' if kind == 'jpeg' else kind}"
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.write_bytes(data)
        return name
