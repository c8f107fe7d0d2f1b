"""Pictures: images opened for whatever looks at pixels on this machine (local models, tools, trainers, reports).

`images.py` reads what rows write; here its texts (a path, a `data:` URL, an http(s) URL) become PIL images:

| the image has | what is seen |
|---|---|
| several frames or pages | the first |
| an EXIF orientation | turned upright; a broken EXIF block says nothing |
| transparency | white behind it |
| CMYK, a palette, grey, one bit | RGB |
| 16 bits or floats of grey | 8 bits of those in use: a twelve-bit radiograph is neither black nor white |

Bytes and pixels are bounded before anything is decoded, and only decoders of the formats in `FORMATS` are tried.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

from anyprefer.core.errors import InputError
from anyprefer.core.fetching import fetched
from anyprefer.core.image_files import LARGEST, kind_of, read_file

if TYPE_CHECKING:
    from PIL import Image

MOST_PIXELS = 50 * 2**20
"""Width times height: what the largest phone cameras give. While it is decoded, turned and converted a picture takes up
to 14 bytes a pixel, so about 700 MB; afterwards 4."""
_LARGE = 8 * 2**20
_IN_TURN = threading.Lock()
"""Held while a picture of more than `_LARGE` pixels is decoded: many threads do not need many times that."""
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
"""Those of `images.py` that Pillow decodes by itself; HEIC it does not."""
WEB = ("http://", "https://")
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def opened(image: str) -> Image.Image:
    """The picture, in RGB, upright, of at most `MOST_PIXELS`; `image` is what `Task.images` may hold.

    An http(s) URL is fetched, from public addresses only (`fetching.py`). Blocks: call it in a thread.
    Raises `InputError` naming the image and the fix for one that is missing, too large, broken or no image.
    """
    return decoded(image_bytes(image), f"image {shown(image)}")


def content_hash(image: str) -> str:
    """sha256 of the image's bytes in hexadecimal, the same for a file and for a `data:` URL of it; of an http(s) URL the
    hash of the URL, since what it shows today is known only by fetching it. Raises as `opened` does."""
    data = image.encode("utf-8", "replace") if image.startswith(WEB) else image_bytes(image)
    return hashlib.sha256(data).hexdigest()


def image_bytes(image: str) -> bytes:
    """The image as it was encoded. Raises `InputError` as `opened` does, but says nothing about what it holds."""
    if image.startswith(WEB):
        return fetched(image, LARGEST)
    return _of_data_url(image) if image.startswith("data:") else read_file(image)


def shown(image: str) -> str:
    """The image's name in errors."""
    return repr(image[:60]) + "…" if image.startswith("data:") else repr(image[:200])


def decoded(data: bytes, what: str) -> Image.Image:
    """The picture that bytes hold, as `opened` gives it; `what` names it in errors."""
    from PIL import Image, UnidentifiedImageError

    try:
        with (
            Image.open(io.BytesIO(data), formats=FORMATS) as picture,
            _IN_TURN if _check_size(picture, what) > _LARGE else nullcontext(),
        ):
            picture.load()
            made = in_rgb(_upright(picture))
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{what} is no picture that can be opened here; use PNG, JPEG, GIF, WebP or TIFF") from None
    except Exception as error:  # decoders raise nearly anything at broken bytes, MemoryError and struct.error among it
        raise InputError(f"{what} cannot be decoded: {error}; save it again as PNG or JPEG") from error
    made.info = {}
    return made


def shrunk(data: bytes, side: int) -> bytes:
    """The image with at most `side` pixels at its longer side: JPEG as JPEG, anything else as PNG. Raises as `opened`."""
    picture, made = decoded(data, "an image"), io.BytesIO()
    picture.thumbnail((side, side))
    kind = "JPEG" if kind_of(data) == "jpeg" else "PNG"
    picture.save(made, format=kind, quality=_QUALITY)
    return made.getvalue()


_QUALITY = 90


def check(data: bytes, what: str) -> tuple[int, int] | None:
    """Width and height of the image that is to be sent as it is; None for HEIC, which cannot be opened here.

    The header is read; the whole is decoded where the bytes do not end as they must, or nothing tells the end. Raises
    `InputError` for what no model could see: broken or cut short, without pixels or with too many.
    """
    from PIL import Image

    if kind_of(data) in ("heic", "heif"):
        return None
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            _check_size(picture, what)
            size, kind = picture.size, picture.format
    except InputError:
        raise
    except Exception as error:  # as in `decoded`
        raise InputError(f"{what} cannot be decoded: {error}; save it again as PNG or JPEG") from error
    if not _ends(data, kind):
        decoded(data, what)
    return size


def _ends(data: bytes, kind: str | None) -> bool:
    """Whether nothing seems to be missing at the end."""
    if kind in ("JPEG", "MPO"):  # an end marker behind the last scan: a thumbnail within has one too
        return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    if kind == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8 <= len(data)
    return kind == "PNG" and b"IEND" in data[-(2**16) :]


def _check_size(picture: Image.Image, what: str) -> int:
    """How many pixels it says it has."""
    width, height = picture.size
    if width < 1 or height < 1:
        raise InputError(f"{what} has {width} x {height} pixels; give one that shows something")
    if width * height > MOST_PIXELS:
        raise InputError(f"{what} has {width} x {height} pixels, more than {MOST_PIXELS}; make it smaller")
    return width * height


def _upright(picture: Image.Image) -> Image.Image:
    """A copy, turned."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # whatever a broken EXIF block makes Pillow raise
        return picture.copy()


def in_rgb(picture: Image.Image) -> Image.Image:
    """The picture in 8-bit RGB, as the table above has it."""
    from PIL import Image

    if picture.mode in _DEEP:
        return _eight_bits(picture).convert("RGB")
    if not picture.has_transparency_data:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    seen = picture if picture.mode == "RGBA" else picture.convert("RGBA")
    made = Image.new("RGB", seen.size, "white")
    made.paste(seen, mask=seen.getchannel("A"))
    return made


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Grey of more than 8 bits, or floats (0 to 1, or as integers are), as 8 bits: divided by the largest value that the
    bits in use can say."""
    values = picture if picture.mode == "F" else picture.convert("I")
    highest = float(values.getextrema()[1])  # type: ignore[arg-type]
    floats = picture.mode == "F" and highest <= 1
    scale = 255 / (1 if floats else 2 ** max(8, int(highest).bit_length()) - 1)
    return values.point(lambda value: value * scale + 0.5).convert("L")


def _of_data_url(image: str) -> bytes:
    head, _, body = image.partition(",")
    if not (head.startswith("data:image/") and head.endswith(";base64")):
        raise InputError(f"image {shown(image)} is no data: URL of an image in base64; give data:image/png;base64,…")
    if len(body) > LARGEST * 4 // 3 + 4:
        raise InputError(f"image {shown(image)} has more than {LARGEST} bytes; make it smaller")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"image {shown(image)} is no base64: {error}; encode the file's bytes again") from error
