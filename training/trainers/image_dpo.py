"""The trainer `image_dpo`: a model that sees gets better at what it was sampled on, by DPO with LoRA and its projector (§2.5).

As `text_dpo`, which see; pairs may have images, several or none. The work is in `image_training.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyprefer.core.errors import SettingsError
from anyprefer.core.settings import RunSettings
from anyprefer.models.local.built import SCENES
from anyprefer.training.trainers.settings import IMAGE_PRESETS, ImageSettings, ImageTrainSettings
from anyprefer.training.trainers.text_dpo import TextDPO

if TYPE_CHECKING:
    from anyprefer.training.trainers.dpo import Texts


class ImageDPO(TextDPO):
    """DPO with LoRA and projector on an image-text-to-text model of transformers."""

    name = "image_dpo"
    settings_type = ImageSettings
    embedded = SCENES
    round_type = ImageTrainSettings
    presets = IMAGE_PRESETS
    settings: ImageSettings

    def check(self, start: str, played: RunSettings) -> None:
        """As for texts; servers take LoRA's matrices alone, no projector."""
        super().check(start, played)
        if start != played.target and self.settings.projector_rate:
            raise SettingsError("a server takes no projector with an adapter; set projector_rate to 0")

    def form(self) -> type[Texts]:
        """Pairs with images."""
        from anyprefer.training.trainers.image_training import Images

        return Images


offers = ImageDPO
