"""Frames as a video: MP4 as LeRobot writes it, or GIF where PyAV has no AV1."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyprefer.core.errors import InputError

Frame = NDArray[np.uint8]
"""(height, width, 3), red, green and blue."""
CODEC, PIXELS, OPTIONS = "libsvtav1", "yuv420p", {"g": "2", "crf": "30", "preset": "12"}
"""LeRobot's own (docs/source/video_encoding_parameters.mdx): every second frame stands alone."""


def write_video(frames: Iterable[Frame], stem: Path, rate: int) -> Path:
    """STEM.mp4, or STEM.gif where this machine cannot write it; `rate` frames a second, all of one size with even
    sides. Raises `InputError` where there are none."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    rows = iter(frames)
    first = next(rows, None)
    if first is None:
        raise InputError(f"there are no frames for the video {stem}")
    write, ending = (_mp4, "mp4") if has_av1() else (_gif, "gif")
    file = stem.with_name(f"{stem.name}.{ending}")
    fresh = file.with_name(f"new-{file.name}")
    write(first, rows, fresh, rate)
    fresh.replace(file)
    return file


def has_av1() -> bool:
    """Whether PyAV is there with the encoder."""
    try:
        import av
    except ImportError:
        return False
    return CODEC in av.codecs_available


def read_video(file: Path) -> Iterator[Frame]:
    """The frames of a video of either kind."""
    if file.suffix == ".gif":
        from PIL import Image, ImageSequence

        with Image.open(file) as image:
            yield from (np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(image))
        return
    import av

    with av.open(str(file)) as opened:
        yield from (frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False) for frame in opened.decode(video=0))


def _mp4(first: Frame, rest: Iterator[Frame], file: Path, rate: int) -> None:
    import av

    os.environ.setdefault("SVT_LOG", "1")  # or the encoder prints its settings for every file
    with av.open(str(file), "w", format="mp4") as opened:
        stream: Any = opened.add_stream(CODEC, rate=rate, options=dict(OPTIONS))
        stream.pix_fmt, (stream.height, stream.width) = PIXELS, first.shape[:2]
        with _same_priority():
            stream.codec_context.open()
        for frame in _chained(first, rest):
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                opened.mux(packet)
        for packet in stream.encode():
            opened.mux(packet)


@contextmanager
def _same_priority() -> Iterator[None]:
    """Under root, SVT-AV1 makes the thread that opens it a real-time one (SCHED_FIFO 99), for good: all other processes
    of that core would wait for it from then on."""
    if not hasattr(os, "sched_setscheduler"):
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, priority)


def _gif(first: Frame, rest: Iterator[Frame], file: Path, rate: int) -> None:
    from PIL import Image

    images = [Image.fromarray(frame) for frame in _chained(first, rest)]
    images[0].save(file, format="GIF", save_all=True, append_images=images[1:], duration=1000 // rate, loop=0)


def _chained(first: Frame, rest: Iterator[Frame]) -> Iterator[Frame]:
    yield first
    yield from rest
