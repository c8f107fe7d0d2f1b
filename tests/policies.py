"""What policies see in tests, without a simulator."""

import numpy as np

CARROT, SPOON = "put the carrot on the plate", "put the spoon on the towel"
WORDS = ("carrot", "on", "plate", "put", "spoon", "the", "towel")


class Overhead:
    """A camera straight above: a metre is 300 pixels."""

    def project(self, points):
        return np.asarray(points)[:, :2] * 300 + [112, 84]


def seen(n, seed=0):
    """Observations of noise."""
    rng = np.random.default_rng(seed)
    return [
        {
            "pixels": rng.integers(0, 256, (168, 224, 3), dtype=np.uint8),
            "agent_pos": rng.uniform(-0.3, 0.3, 8),
            "calibration": Overhead(),
        }
        for _ in range(n)
    ]
