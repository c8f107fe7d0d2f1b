"""OpenVLA's network (Kim et al. 2024, arXiv 2406.09246, §3.1) in classes of transformers: two vision towers whose patches
stand side by side (DINOv2 with registers, SigLIP; the last layer but one of each), a projector of three layers, Llama.

Importing this file registers configuration and model with transformers' Auto classes, so that a saved folder loads with
them and no code comes with a checkpoint. The original's own code (`modeling_prismatic.py`) asks for timm < 1 and
transformers 4.40.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    SiglipVisionConfig,
    SiglipVisionModel,
)

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Means and standard deviations of the colours as DINOv2 sees them; SigLIP's are all 0.5."""
_PARTS = {"text_config": LlamaConfig, "dino_config": Dinov2WithRegistersConfig, "siglip_config": SiglipVisionConfig}


class OpenVLAConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """The defaults of each part are transformers' own; `norm_stats` are the statistics of actions, by data set."""

    model_type = "anyprefer_openvla"
    sub_configs = _PARTS

    text_config: Any = None
    dino_config: Any = None
    siglip_config: Any = None
    norm_stats: Any = None
    pad_to_multiple_of: int = 64
    """Rows of the vocabulary's end that stand for no token: the 256 before them are the bins of actions."""

    def __post_init__(self, **others: Any) -> None:
        for name, kind in _PARTS.items():
            given = getattr(self, name) or {}
            setattr(self, name, given if isinstance(given, PreTrainedConfig) else kind(**given))
        super().__post_init__(**others)  # type: ignore[no-untyped-call]


class Projector(nn.Module):
    """(…, D) features of both towers to (…, H) embeddings of the language model."""

    def __init__(self, seen: int, told: int) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(seen, 4 * seen), nn.Linear(4 * seen, told), nn.Linear(told, told)

    def forward(self, features: Tensor) -> Tensor:
        """Three layers with GELU between them."""
        gelu = nn.functional.gelu
        found: Tensor = self.fc3(gelu(self.fc2(gelu(self.fc1(features)))))
        return found


class OpenVLA(PreTrainedModel):
    """From pixels and a prompt's tokens to logits."""

    config_class = OpenVLAConfig
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True

    def __init__(self, config: OpenVLAConfig) -> None:
        super().__init__(config)
        self.dino = Dinov2WithRegistersModel(config.dino_config)
        self.siglip = SiglipVisionModel(config.siglip_config)
        seen = config.dino_config.hidden_size + config.siglip_config.hidden_size
        self.projector = Projector(seen, config.text_config.hidden_size)
        self.language_model = LlamaForCausalLM(config.text_config)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_input_embeddings(self) -> Any:
        """The language model's."""
        return self.language_model.get_input_embeddings()

    @property
    def side(self) -> int:
        """Pixels of a picture's side."""
        return int(self.config.siglip_config.image_size)

    @property
    def tokens(self) -> int:
        """Vocabulary without the rows that stand for no token; bin b has the id `tokens - 1 - b`."""
        return int(self.config.text_config.vocab_size - self.config.pad_to_multiple_of)

    def patches(self, pixels: Tensor) -> Tensor:
        """(B, S, S, 3) uint8 to (B, patches, H)."""
        colours = (pixels.permute(0, 3, 1, 2).float() / 255).to(self.dtype)
        mean, spread = (torch.tensor(one, dtype=self.dtype, device=pixels.device).view(1, 3, 1, 1) for one in IMAGENET)
        dino = self.dino.embeddings((colours - mean) / spread)
        for layer in self.dino.encoder.layer[:-1]:
            dino = layer(dino)
        siglip = self.siglip.embeddings((colours - 0.5) / 0.5)
        for layer in self.siglip.encoder.layers[:-1]:
            siglip = layer(siglip, None)
        first = 1 + self.config.dino_config.num_register_tokens
        found: Tensor = self.projector(torch.cat([dino[:, first:], siglip], dim=2))
        return found

    def forward(self, pixels: Tensor, input_ids: Tensor, attention_mask: Tensor, **given: Any) -> Any:
        """The language model's output for prompts (B, L), padded on the left; patches stand behind the first token of
        each, as OpenVLA has them."""
        embedded = self.get_input_embeddings()(input_ids)
        seen, first = self.patches(pixels), attention_mask.argmax(1)
        rows = [
            torch.cat([one[: at + 1], patches, one[at + 1 :]])
            for one, patches, at in zip(embedded, seen, first.tolist(), strict=True)
        ]
        mask = _left_padded(torch.cat([attention_mask, attention_mask.new_ones(len(seen), seen.shape[1])], dim=1))
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        return self.language_model(
            inputs_embeds=torch.stack(rows), attention_mask=mask, position_ids=positions, **given
        )


def _left_padded(mask: Tensor) -> Tensor:
    """A mask (B, L) of as many ones in each row, all at its end."""
    places = torch.arange(mask.shape[1], device=mask.device)
    return (places >= mask.shape[1] - mask.sum(1, keepdim=True)).to(mask.dtype)


AutoConfig.register(OpenVLAConfig.model_type, OpenVLAConfig, exist_ok=True)
AutoModelForImageTextToText.register(OpenVLAConfig, OpenVLA, exist_ok=True)
