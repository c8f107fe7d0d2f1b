"""Pictures of a MuJoCo scene without a screen: through EGL, or through OSMesa where there is no EGL."""

from __future__ import annotations

import atexit
import ctypes.util
import os
import sys
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.simulators.base import HEIGHT, WIDTH

INSTALL = 'pip install "anyprefer[control]"'
NO_GL = (
    "apt-get install libegl1 libegl-mesa0 and MUJOCO_GL=egl, or libosmesa6 and MUJOCO_GL=osmesa, before Python starts; "
    "both draw without a GPU or a screen"
)


def load_mujoco() -> Any:
    """MuJoCo, told what to draw with before it is imported: MUJOCO_GL where set, else what is installed.

    Raises `ModelSetupError` with the line that installs it where the package is missing.
    """
    os.environ.setdefault("LP_NUM_THREADS", "0")  # Mesa's threads cost more than they save in pictures this small
    if not os.environ.get("MUJOCO_GL") and "mujoco" not in sys.modules:
        found = [name for name, library in (("egl", "EGL"), ("osmesa", "OSMesa")) if ctypes.util.find_library(library)]
        if found:
            os.environ["MUJOCO_GL"] = found[0]
    try:
        import mujoco
    except ImportError as error:
        raise ModelSetupError(f"the embedded simulator needs MuJoCo ({error}): {INSTALL}") from error
    return mujoco


class Pictures:
    """Draws colours, depth and ids of one model from its camera `front`.

    Raises `ModelSetupError` with what to install where nothing can draw.
    """

    def __init__(self, model: Any) -> None:
        self._mujoco = load_mujoco()
        try:
            self._renderer = self._mujoco.Renderer(model, HEIGHT, WIDTH)
        except Exception as error:  # each way of drawing fails with an error of its own
            way = os.environ.get("MUJOCO_GL") or "unset when mujoco was imported"
            raise ModelSetupError(f"no pictures can be drawn, MUJOCO_GL is {way} ({error}): {NO_GL}") from error
        # EGL complains at exit about what was not freed: google-deepmind/mujoco#1472
        self.close = weakref.finalize(self, self._renderer.close)
        # and before EGL ends, which is registered as the first picture is drawn: what is registered last is called first
        atexit.register(self.close)
        self._no_shadows()

    def colours(self, data: Any) -> NDArray[np.uint8]:
        """(168, 224, 3)."""
        return self._drawn(data)

    def depth(self, data: Any) -> NDArray[np.float32]:
        """(168, 224) metres along the view."""
        self._renderer.enable_depth_rendering()
        try:
            return self._drawn(data)
        finally:
            self._renderer.disable_depth_rendering()

    def geoms(self, data: Any) -> NDArray[np.int32]:
        """(168, 224) numbers of the geoms; -1 where there is none."""
        self._renderer.enable_segmentation_rendering()
        try:
            return self._drawn(data)[..., 0]
        finally:
            self._renderer.disable_segmentation_rendering()

    def _drawn(self, data: Any) -> NDArray[Any]:
        self._renderer.update_scene(data, camera="front")
        drawn: NDArray[Any] = self._renderer.render()
        return drawn

    def _no_shadows(self) -> None:
        flags = self._mujoco.mjtRndFlag
        for flag in (flags.mjRND_SHADOW, flags.mjRND_REFLECTION, flags.mjRND_SKYBOX, flags.mjRND_HAZE):
            self._renderer.scene.flags[flag] = False
