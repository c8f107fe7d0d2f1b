"""A target that acts in the embedded simulator without any weights: the scripted expert, whose sight a seed puts off."""

import math

import numpy as np

from anyprefer.core.trajectories import Trajectory
from anyprefer.models.simulators.by_name import simulator
from anyprefer.models.simulators.expert import action


class MisseeingExpert:
    """Sees the object that it reaches for up to 5 cm beside where it is: now it grasps it, now it does not."""

    name = "expert who mis-sees"
    checkpoint = ""

    def __init__(self, most=0.05):
        self.most, self.played = most, []

    async def sample(self, task, prompt, seeds):
        self.played += [(task.id, seed) for seed in seeds]
        return [self.walk(task, prompt, seed) for seed in seeds]

    def walk(self, task, prompt, seed):
        played = simulator(task.start["simulator"], pixels=False)
        rng = np.random.default_rng(seed)
        angle = rng.uniform(0, math.tau)
        off = rng.uniform(0, self.most) * np.array([math.cos(angle), math.sin(angle), 0])
        observation, info = played.reset(seed=task.start["seed"])
        states, actions, infos = [observation["agent_pos"]], [], [info]
        done = False
        while not done:
            seen = dict(info["poses"])
            name = played.objects[0]
            if info["touches"] < 2:
                seen[name] = [*(np.array(seen[name][:3]) + off), *seen[name][3:]]
            actions.append(action(played.scene, observation, {**info, "poses": seen}))
            observation, _, success, truncated, info = played.step(actions[-1])
            states.append(observation["agent_pos"])
            infos.append(info)
            done = success or truncated
        return Trajectory(
            states=[one.tolist() for one in states],
            actions=[one.tolist() for one in actions],
            instruction=prompt,
            success=infos[-1]["is_success"],
            grasped=[one["is_grasped"] for one in infos],
            poses={name: [list(map(float, one["poses"][name])) for one in infos] for name in infos[0]["poses"]},
            tokens=[[128] * 7] * len(actions),
            logprobs=[[-1.0 - (seed % 7) / 10] * 7] * len(actions),
        )
