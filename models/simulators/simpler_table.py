"""SIMPLER's four WidowX tasks (Li et al. 2024, arXiv 2405.05941) as ManiSkill 3 has them, as data.

The words, places and sizes of our own scenes' table, in SIMPLER's sizes; lengths in metres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from anyprefer.models.simulators.scene_table import SCENES, Scene, Triple


@dataclass(frozen=True)
class SimplerTask:
    """A task of SIMPLER's Bridge setting."""

    scene: Scene
    """`instructions` begin with SIMPLER's own words."""
    environment: str
    """Its class in ManiSkill's `bridge_dataset_eval.put_on_in_scene`."""
    moved: tuple[float, float]
    """How far source and target are moved at most from one of SIMPLER's initial states, each way in x and in y."""
    steps: int = 60


def _scene(name: str, source: Triple, target: Triple, instruction: str, floor: float = 0.0) -> Scene:
    """Our scene of that name, with half sizes and words of SIMPLER's."""
    ours = SCENES[name]
    surface = target[2]
    return replace(
        ours,
        source=replace(ours.source, half=source),
        target=replace(ours.target, half=target, surface=surface),
        instructions=(instruction, *ours.instructions[1:]),
        floor=floor,
    )


_CUBE: Triple = (0.015, 0.015, 0.015)

SIMPLER_TASKS = {
    task.scene.name: task
    for task in (
        SimplerTask(
            _scene("carrot", (0.0575, 0.016, 0.019), (0.055, 0.055, 0.003), "put carrot on plate"),
            "PutCarrotOnPlateInScene",
            (0.02, 0.02),
        ),
        SimplerTask(
            _scene("spoon", (0.07, 0.0173, 0.013), (0.05, 0.05, 0.005), "put the spoon on the towel"),
            "PutSpoonOnTableClothInScene",
            (0.02, 0.02),
        ),
        SimplerTask(
            _scene("stack", _CUBE, _CUBE, "stack the green block on the yellow block"),
            "StackGreenCubeOnYellowCubeBakedTexInScene",
            (0.02, 0.02),
        ),
        SimplerTask(
            _scene("eggplant", (0.039, 0.0187, 0.019), (0.065, 0.04, 0.001), "put eggplant into yellow basket", 0.068),
            "PutEggplantInBasketScene",
            (0.01, 0.0),
            steps=120,
        ),
    )
}
"""By our name of the task."""
