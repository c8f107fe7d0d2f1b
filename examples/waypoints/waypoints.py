"""All that `waypoints.toml` names: a policy, its start states, what a walk costs, a trainer and an evaluation."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from anyprefer import EvalResult, Task, Trainer, Trajectory
from anyprefer.training.pair_data.trajectories import trajectory_pairs

STEPS, LONGEST, SPREAD, NEAR = 8, 0.4, 0.15, 0.25


def starts(n: int, seed: int, split: str) -> list[Task]:
    """Seeded start states: a place and a goal in a square. No two splits draw the same."""
    rng = np.random.default_rng([seed, split == "heldout"])
    places = rng.uniform(-1, 1, size=(n, 2, 2)).round(3).tolist()
    return [
        Task(id=f"{split}-{number}", prompt="walk to the goal", start={"place": place, "goal": goal})
        for number, (place, goal) in enumerate(places)
    ]


class Policy:
    """a ~ N(W s, SPREAD²), with s = (place, goal); where there is no checkpoint, W = 0: it wanders."""

    def __init__(self, checkpoint: str = "") -> None:
        self.checkpoint = checkpoint
        self.name = f"waypoint policy {checkpoint or 'as it begins'}"
        self.weights = np.array(json.loads(Path(checkpoint).read_text())) if checkpoint else np.zeros((2, 4))

    async def sample(self, task: Task, prompt: str, seeds: Sequence[int]) -> list[Trajectory]:
        """One walk a seed."""
        return [rollout(self.weights, task, np.random.default_rng(seed)) for seed in seeds]


def rollout(weights: np.ndarray, task: Task, rng: np.random.Generator | None = None) -> Trajectory:
    """STEPS steps from the task's start; without a generator the likeliest ones."""
    place, goal = np.array(task.start["place"]), np.array(task.start["goal"])
    states, actions = [np.concatenate([place, goal])], []
    for _ in range(STEPS):
        mean = np.clip(weights @ states[-1], -LONGEST, LONGEST)
        actions.append(mean if rng is None else mean + SPREAD * rng.normal(size=2))
        states.append(np.concatenate([states[-1][:2] + actions[-1], goal]))
    return Trajectory(states=[s.tolist() for s in states], actions=[a.tolist() for a in actions])


def missed(walk: Trajectory) -> float:
    """How far from the goal it ends."""
    x, y, goal_x, goal_y = walk.states[-1]
    return float(np.hypot(x - goal_x, y - goal_y))


def cost(task: Task, walk: Trajectory) -> float:
    """The way's length, and ten times what is left of it."""
    return sum(float(np.hypot(*action)) for action in walk.actions) + 10 * missed(walk)


class FitSettings(BaseModel):
    """Settings of the trainer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(100, ge=1, description="Steps of gradient descent.")
    rate: float = Field(0.01, gt=0, description="Learning rate of Adam.")
    beta: float = Field(1.0, gt=0, description="How hard the policy is held to the one it started from.")


class FitPolicy(Trainer):
    """DPO on whole walks: log π(walk) is the sum over its steps."""

    name = "fit_policy"
    settings_type = FitSettings

    def train(self, pairs: Sequence[Path], start: str, output: Path, seed: int) -> str:
        """`…:Policy:FILE` of the fitted weights."""
        import torch

        place, _, checkpoint = start.partition(":Policy")
        before = torch.tensor(Policy(checkpoint.removeprefix(":")).weights)  # (2, 4)
        walks = [_tensors(side) for side in zip(*trajectory_pairs(*pairs), strict=True)]
        weights = before.clone().requires_grad_()
        optimiser = torch.optim.Adam([weights], lr=self.settings.rate)
        for _ in range(self.settings.steps):
            chosen, rejected = (_log_likelihood(weights, *walk) - _log_likelihood(before, *walk) for walk in walks)
            loss = -torch.nn.functional.logsigmoid(self.settings.beta * (chosen - rejected)).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        output.mkdir(parents=True, exist_ok=True)
        file = output / "policy.json"
        file.write_text(json.dumps(weights.detach().tolist()))
        return f"{place}:Policy:{file}"


def _tensors(walks: Sequence[Trajectory]):
    import torch

    return torch.tensor([w.states[:-1] for w in walks]).double(), torch.tensor([w.actions for w in walks]).double()


def _log_likelihood(weights, states, actions):
    return -((actions - states @ weights.T) ** 2).sum(dim=(1, 2)) / (2 * SPREAD**2)


def reached(target: Policy, iteration: int, folder: Path) -> Mapping[str, EvalResult]:
    """Held-out starts from which the policy's likeliest walk ends near the goal."""
    marks = {task.id: missed(rollout(target.weights, task)) < NEAR for task in starts(200, 0, "heldout")}
    return {"reached": EvalResult.of(target.name, marks)}
