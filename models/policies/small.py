"""The embedded policy: `small` as it ships, `small:FOLDER` as it was trained further.

    policy = SmallPolicy.load()
    policy.act([observation], ["put the carrot on the plate"], seeds=[0], temperature=1.0).actions     # (1, 7)

It knows some twenty words; others it does not read. Weights and vocabulary are one file of safetensors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.policies.action_tokens import limits
from anyprefer.models.policies.base import DIMENSIONS, Acted, Inputs, Observation, uniforms
from anyprefer.models.policies.small_network import WORDS, Batch, SmallNetwork
from anyprefer.models.policies.views import crop, scene

FILE = "policy.safetensors"
SHIPPED = Path(__file__).with_name("small_weights.safetensors")
TOKENS = limits((0.0459, 0.0459, 0.0459, 0.204, 0.204, 0.204, 1.0))
"""The expert's longest steps, 45 mm and 0.2 rad, a little inside the first and the last bin."""
_WORD = re.compile(r"[a-z]+")


def read_words(text: str) -> list[str]:
    """An instruction's words, in lower case."""
    return _WORD.findall(text.lower())


class SmallPolicy:
    """A policy of `small_network.SmallNetwork`."""

    def __init__(self, network: SmallNetwork, vocabulary: Sequence[str], checkpoint: str = "small") -> None:
        self.module: Any = network
        """`SmallNetwork`, or what peft made of it."""
        self.vocabulary, self.checkpoint = tuple(vocabulary), checkpoint
        self.name = checkpoint
        self._numbers = {word: number for number, word in enumerate(self.vocabulary, 1)}

    @classmethod
    def new(cls, vocabulary: Sequence[str], seed: int = 0) -> Self:
        """One that has learnt nothing."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(SmallNetwork(len(vocabulary) + 1), vocabulary)

    @classmethod
    def load(cls, folder: str = "") -> Self:
        """The one that ships, or of a folder. Raises `ModelSetupError` for a folder without one."""
        file = Path(folder) / FILE if folder else SHIPPED
        try:
            with safe_open(file, "pt") as opened:
                vocabulary = json.loads((opened.metadata() or {})["vocabulary"])
                weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            network = SmallNetwork(len(vocabulary) + 1)
            network.load_state_dict(weights)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelSetupError(
                f"{file} holds no small policy ({str(error).strip().splitlines()[0][:120]}); name a folder that a training wrote"
            ) from error
        return cls(network.eval(), vocabulary, f"small:{folder}" if folder else "small")

    def with_lora(self, rank: int, alpha: int) -> None:
        """See `base.TrainablePolicy`; saved, it is merged into the weights, which are small."""
        from peft import LoraConfig, get_peft_model

        linear = [name for name, layer in self.module.named_modules() if isinstance(layer, torch.nn.Linear)]
        self.module = get_peft_model(self.module, LoraConfig(r=rank, lora_alpha=alpha, target_modules=linear))

    def save(self, folder: Path) -> str:
        """Writes what `load` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        self.write(folder / FILE)
        return f"small:{folder}"

    def write(self, file: Path) -> None:
        """Weights and vocabulary in one file."""
        if hasattr(self.module, "merge_and_unload"):
            self.module = self.module.merge_and_unload()
        weights = {name: weight.detach().contiguous() for name, weight in self.module.state_dict().items()}
        save_file(weights, file, {"vocabulary": json.dumps(self.vocabulary)})

    def inputs(self, observation: Observation) -> Inputs:
        """Scene, crop and proprioception, 16 kB."""
        pixels, state = observation["pixels"], np.asarray(observation["agent_pos"], dtype=np.float32)
        return {
            "scene": scene(pixels),
            "crop": crop(pixels, observation["calibration"], state[:3].astype(np.float64)),
            "state": state,
        }

    def batch(self, inputs: Sequence[Inputs], instructions: Sequence[str]) -> Batch:
        """Kept inputs and their instructions, as the network takes them."""
        parts = [torch.from_numpy(np.stack([one[name] for one in inputs])) for name in ("scene", "crop", "state")]
        return Batch(parts[0], parts[1], self._words(instructions), parts[2])

    def log_probabilities(self, inputs: Sequence[Inputs], instructions: Sequence[str], tokens: Tensor) -> Tensor:
        """ln p (n, 7) of tokens (n, 7), each given those before it; with gradients."""
        logits: Tensor = self.module(self.batch(inputs, instructions), tokens[:, :-1])[0]
        return logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]

    @torch.inference_mode()
    def act(
        self,
        observations: Sequence[Observation],
        instructions: Sequence[str],
        seeds: Sequence[int],
        temperature: float,
    ) -> Acted:
        """See `base.Policy`."""
        cache, known = self.module.begun(self.batch([self.inputs(one) for one in observations], instructions))
        drawn, last = torch.from_numpy(uniforms(seeds)), None
        tokens, told = [], []
        for at in range(DIMENSIONS):
            logits, cache = self.module.step(cache, known, last, at)
            last = sampled(logits, drawn[:, at], temperature)
            tokens.append(last)
            told.append(logits.log_softmax(-1).gather(-1, last[:, None])[:, 0])
        found = torch.stack(tokens, dim=1).numpy()
        return Acted(TOKENS.actions(found), found, torch.stack(told, dim=1).double().numpy())

    def _words(self, instructions: Sequence[str]) -> Tensor:
        rows = torch.zeros(len(instructions), WORDS, dtype=torch.long)
        for row, text in zip(rows, instructions, strict=True):
            known = [self._numbers[word] for word in read_words(text) if word in self._numbers][:WORDS]
            row[: len(known)] = torch.tensor(known, dtype=torch.long)
        return rows


def sampled(logits: Tensor, drawn: Tensor, temperature: float) -> Tensor:
    """(B,) of logits (B, V): the token in whose share of the probability `drawn` (B,) in [0, 1) falls."""
    if not temperature:
        return logits.argmax(-1)
    shares = (logits.double() / temperature).softmax(-1).cumsum(-1)
    return (shares <= drawn[:, None] * shares[:, -1:]).sum(-1).clamp(max=logits.shape[-1] - 1)
