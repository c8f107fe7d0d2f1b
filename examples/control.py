"""Control: a robot's policy plays one start state several times, and what it did is judged by what it cost.

pip install "anyprefer[control]"        # MuJoCo; the policy comes with the package
python examples/control.py
"""

import sys

from anyprefer import Trajectory, synth
from anyprefer.training.evaluation.control_families import CONTROL

CANDIDATES = int(sys.argv[1]) if len(sys.argv) > 1 else 4
[task] = CONTROL["control"].make(1, 0, "train")  # an instruction, a simulator and a seed

players = {"target": "policy:small", "judge": "costs", "tools": ["pose_keypoints"], "engine": "none"}
[row] = synth([task], **players, candidates=CANDIDATES, max_rounds=1, folder="runs/control")

print(task.prompt, "|", row.outcome, row.reason)
for judged, candidate in zip(row.rounds[0].judgments, row.rounds[0].candidates, strict=True):
    walk = Trajectory.of(candidate.content)
    print(f"{len(walk.actions)} steps, {'success' if walk.success else 'no success'}, score {judged.score:.2f}")
