"""Small images that every reader takes."""

import base64
import io

from PIL import Image


def encoded(picture, kind="PNG", **options):
    """The picture's bytes."""
    data = io.BytesIO()
    picture.save(data, format=kind, **options)
    return data.getvalue()


def data_url(data, kind="png"):
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


PNG = encoded(Image.new("RGB", (4, 2), "red"))
URL = data_url(PNG)
