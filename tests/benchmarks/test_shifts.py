"""The size of a shift is found by bisection, and written beside the others."""

import tomllib

import numpy as np
import pytest

from anyprefer.models.simulators import expert
from anyprefer.models.simulators.by_name import simulator
from benchmarks.shifts import Found, bisected, write


def test_it_finds_the_noise_that_leaves_an_expert_half_its_success():
    played = simulator("mujoco:stack", pixels=False)

    def success(spread: float) -> float:
        return sum(noisy(played, seed, spread) for seed in range(6)) / 6

    found = bisected(success, most=0.08, wanted=(0.3, 0.7))
    assert 0.3 <= found.success <= 0.7
    assert success(0.0) == 1.0
    assert success(found.size) == found.success


def noisy(played, seed: int, spread: float) -> bool:
    rng = np.random.default_rng(seed)
    observation, info = played.reset(seed=seed)
    done = False
    while not done:
        wanted = expert.action(played.scene, observation, info)
        observation, _, success, cut, info = played.step(wanted + np.append(rng.normal(0, spread, 3), np.zeros(4)))
        done = success or cut
    return info["is_success"]


def test_where_no_size_will_do_it_says_what_it_saw():
    with pytest.raises(ValueError, match=r"no size up to 1 leaves .* seen 0\.5: 1\.000, 0\.75: 1\.000"):
        bisected(lambda size: 1.0, most=1, tries=2)


def test_the_table_keeps_the_other_shifts(tmp_path):
    file = tmp_path / "shifts.toml"
    file.write_text("[camera]\nsize = 0.014\n")
    write(file, "light", Found(0.5, 0.41666), "small", 24)
    kept = tomllib.loads(file.read_text())
    assert kept["camera"] == {"size": 0.014}
    assert kept["light"] == {"size": 0.5, "success": 0.417, "trials": 96, "policy": "small"}
