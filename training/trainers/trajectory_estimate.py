"""What an iteration of control takes with OpenVLA on one GPU, before there is one: memory, time, and the judge's cost.

    estimate_control(trajectory_settings, run_settings, starts=112).seconds

The parts of `estimate.py` on sequences of one control step: 256 patches, the instruction, 7 action tokens. What cannot be
known without a run is assumed, and said where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anyprefer.core.settings import RunSettings
from anyprefer.models.prices import Prices
from anyprefer.models.simulators.scene_table import SCENES
from anyprefer.training.evaluation.control_families import TRIALS
from anyprefer.training.trainers.estimate import CONTEXT, GIB, MARGIN, Training, estimate_training
from anyprefer.training.trainers.settings import GPUS, Gpu, train_settings
from anyprefer.training.trainers.shape import Shape, Sight
from anyprefer.training.trainers.trajectory import TrajectorySettings

PARAMETERS, LORA_32 = 7_541_237_184, 110_828_288
"""OpenVLA's, and those of its LoRA of rank 32 on all linear layers (its README)."""
TOWERS = 731_000_000
"""DINOv2 ViT-L/14 and SigLIP So400m/14 (arXiv 2406.09246, §3.1)."""
PATCHES, ACTION = 256, 7
PROMPT = 24
"""Tokens of an instruction in OpenVLA's prompt; an assumption."""
STEPS = 80
"""Of an episode on average, of SIMPLER's 60 and 120; an assumption."""
SIMULATED = 15.0
"""Steps a second of SIMPLER in one process with pictures, as it was seen on a processor without a GPU."""
CALLS: Mapping[str, tuple[int, int]] = {"judge": (4_000, 900), "engine": (6_000, 1_500)}
"""Tokens read and written a task and round: tools chosen and costs written; prompts rewritten. An assumption."""


@dataclass(frozen=True)
class Control:
    """What `estimate_control` found; of one iteration of one arm."""

    training: Training
    windows: int
    sampling_memory: float
    """Bytes."""
    rollouts: int
    """Episodes of candidates and trials, at most."""
    acting: float
    """Seconds of the policy's steps."""
    simulating: float
    """Seconds of the simulator in one process."""
    dollars: float | None
    """Of the judge's and the engine's calls, at most; None where a price is not known, 0 without a model behind a server."""

    @property
    def seconds(self) -> float:
        """All of it, one after another."""
        return self.training.seconds + self.acting + self.simulating


def openvla_shape(rank: int) -> Shape:
    """OpenVLA-7B: Llama-2-7B with 64 tokens more, two vision towers, one token a patch."""
    from transformers import AutoConfig

    from anyprefer.training.trainers.shape import KNOWN

    config = AutoConfig.for_model(**{**KNOWN["meta-llama/Llama-2-7b-hf"], "vocab_size": 32064})
    lookup = 32064 * config.hidden_size
    sight = Sight(TOWERS, PATCHES, PATCHES, 2176)
    return Shape(config, PARAMETERS, lookup, LORA_32 * rank // 32, False, sight)


def estimate_control(trained: TrajectorySettings, played: RunSettings, starts: int, gpu: Gpu | None = None) -> Control:
    """One iteration: C candidates of each start in every round, a pair of each start, its training, and the trials."""
    gpu = gpu or GPUS["a100"]
    shape = openvla_shape(trained.lora_r or 32)
    length = PATCHES + PROMPT + ACTION
    windows = starts * -(-STEPS // trained.window)
    settings = train_settings(
        "paper",
        lora_r=trained.lora_r or 32,
        epochs=trained.epochs,
        batch_size=trained.batch_size * trained.window,
        max_length=length,
    )
    training = estimate_training(shape, settings, starts * STEPS, gpu, length)
    rollouts = starts * played.candidates * played.max_rounds + TRIALS * len(SCENES)
    acts = rollouts * STEPS
    read = acts * 2 * (shape.multiplied * (PATCHES + PROMPT) + TOWERS * PATCHES) / gpu.flops
    written = acts * ACTION * 2 * PARAMETERS / gpu.bandwidth  # one episode at a time: the weights are read for a token
    memory = (1 + MARGIN) * 2 * PARAMETERS + CONTEXT + GIB
    return Control(
        training,
        windows,
        memory,
        rollouts,
        read + written,
        acts / SIMULATED,
        _dollars(played, starts * played.max_rounds),
    )


def _dollars(played: RunSettings, rounds: int) -> float | None:
    prices, total = Prices(played.prices or None), 0.0
    for role, (read, written) in CALLS.items():
        spec = getattr(played, role) or (played.judge if role == "engine" else "")
        if not spec.startswith("openai:"):
            continue
        price = prices.named(spec.removeprefix("openai:").partition("@")[0])
        if price is None:
            return None
        total += rounds * (read * price[0] + written * price[1]) / 1e6
    return total
