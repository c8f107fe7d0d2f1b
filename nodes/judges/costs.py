"""A judge that ranks trajectories by staged costs over their keypoints, without any model (§3.1, visuo-motor control).

The knowledge is what a tool found of each trajectory's keypoints (`tools/control/keypoints.py`); consolidating it gives the
cost specification, which is the round's context, and scoring evaluates it (`core/costs.py`). Without tools there are no
keypoints, and trajectories are ranked by the policy's own likelihood, as in self-rewarding.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anyprefer.core.cost_spec import CostSpec, read_spec
from anyprefer.core.costs import Costs, costs_of, default_spec
from anyprefer.core.errors import InputError, ModelError, SettingsError
from anyprefer.core.game_state import GameState
from anyprefer.core.keypoint_tracks import Tracks
from anyprefer.core.records import Candidate, Judgment, Knowledge, Round
from anyprefer.core.roles import Judge
from anyprefer.core.trajectories import Trajectory
from anyprefer.core.trajectory_scores import Parts, likelihood_of
from anyprefer.core.values import as_text


class CostsJudge(Judge):
    """With the specification that ships, or `costs:FILE.json` with the user's own. Every pair that its ranking gives is
    accepted, where no reward is named. A trajectory without keypoints, where others have them, is left out."""

    abstains = True
    rated_by = "accept"

    def __init__(self, argument: str = "") -> None:
        """Raises `SettingsError` for a file that cannot be read."""
        self.name = f"costs ({argument or 'the specification that ships'}, no model)"
        try:
            self._own = Path(argument).read_text(encoding="utf-8") if argument else ""
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"judge 'costs:{argument}': the file cannot be read: {error}") from error

    async def aggregate(self, state: GameState) -> str:
        """The specification as JSON, for the objects of the scene; "" where no tool found keypoints.

        Raises `InputError` for one that cannot be used, and where none ships for the scene.
        """
        tracks = tracks_of(state["candidate_knowledge"])
        if not tracks:
            return ""
        objects = next(iter(tracks.values())).points
        spec = read_spec(self._own, objects) if self._own else default_spec(objects)
        return spec.model_dump_json(exclude_defaults=True)

    async def score(self, state: GameState) -> list[Judgment]:
        """1..10 by staged costs, success and likelihood (`core/trajectory_scores.py`); the analysis is JSON of all of
        them. Raises `ModelError` where nothing is known that trajectories could be ranked by."""
        return scored(state)


def scored(state: GameState) -> list[Judgment]:
    """The judgments of a round whose context is a specification; by likelihood alone where no tool was used."""
    if not state["candidate_knowledge"]:
        return [_by_likelihood(candidate) for candidate in state["candidates"]]
    tracks = tracks_of(state["candidate_knowledge"])
    if not tracks:
        raise ModelError(f"no tool found the keypoints of any trajectory ({_errors(state['candidate_knowledge'])})")
    spec = read_spec(state["context"], next(iter(tracks.values())).points)
    return [
        _by_costs(candidate, spec, tracks[candidate.index])
        for candidate in state["candidates"]
        if candidate.index in tracks
    ]


def tracks_of(found: Sequence[Knowledge]) -> dict[int, Tracks]:
    """By candidate, the keypoints that a tool found of its trajectory. Raises `InputError` for data of a tool that are
    no keypoints though they say so."""
    return {
        item.candidate: Tracks.of(item.data)
        for item in reversed(found)
        if item.candidate is not None and isinstance(item.data, dict) and "keypoints" in item.data
    }


def costs_in(played: Round, candidate: int) -> Costs | None:
    """What a candidate of a finished round costs, by stage and over time; None where that was not what judged it."""
    tracks = tracks_of(played.knowledge).get(candidate)
    if tracks is None or not played.context:
        return None
    try:
        return costs_of(read_spec(played.context, tracks.points), tracks)
    except InputError:  # another judge's context
        return None


def _by_costs(candidate: Candidate, spec: CostSpec, tracks: Tracks) -> Judgment:
    trajectory, costs = Trajectory.of(candidate.content), costs_of(spec, tracks)
    succeeded = None if trajectory.success is None else float(trajectory.success)
    parts = Parts(costs=1 - costs.total, success=succeeded, likelihood=likelihood_of(trajectory))
    return _judged(candidate, parts, {"parts": parts.told(), "costs": costs.told()})


def _by_likelihood(candidate: Candidate) -> Judgment:
    likelihood = likelihood_of(Trajectory.of(candidate.content))
    if likelihood is None:
        raise ModelError(
            "without tools the costs judge ranks trajectories by the policy's likelihood, which this target does not "
            "record; use a tool that finds keypoints (tools = ['pose_keypoints'])"
        )
    parts = Parts(likelihood=likelihood)
    return _judged(candidate, parts, {"parts": parts.told()})


def _judged(candidate: Candidate, parts: Parts, told: dict[str, object]) -> Judgment:
    return Judgment(candidate=candidate.index, score=round(parts.score, 6), analysis=as_text(told))


def _errors(found: Sequence[Knowledge]) -> str:
    return "; ".join(dict.fromkeys(f"{item.tool}: {item.error or 'no keypoints'}" for item in found))


offers = CostsJudge
