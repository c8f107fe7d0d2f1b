"""Experiments: arms of one application side by side, and the paper's tables and figures made from them."""

from anyprefer.training.experiments.arms import ARMS, Arm, arm
from anyprefer.training.experiments.lab import Lab, Outcome

__all__ = ["ARMS", "Arm", "Lab", "Outcome", "arm"]
