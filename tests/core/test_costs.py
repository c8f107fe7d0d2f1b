import json

import numpy as np
import pytest

from anyprefer.core.cost_spec import read_spec
from anyprefer.core.costs import costs_of, default_spec
from anyprefer.core.errors import InputError
from anyprefer.core.keypoint_tracks import Tracks
from anyprefer.core.trajectories import Trajectory
from anyprefer.core.trajectory_scores import STEPS, Parts, likelihood_of, mean_log_probability
from tests.carried import CARROT, ENDS, GOAL, carried


def tracks(end, felt=True, **changed):
    trajectory = carried(end)
    points = {name: [pose[:3] for pose in poses] for name, poses in trajectory.poses.items()}
    return Tracks.of({"keypoints": {**points, **changed}, **({"grasped": trajectory.grasped} if felt else {})})


@pytest.mark.parametrize("felt", [True, False])
def test_a_trajectory_that_gets_further_costs_less(felt):
    spec = default_spec(["carrot", "plate"])
    costs = [costs_of(spec, tracks(end, felt)).total for end in ENDS]
    assert costs == sorted(costs)
    assert costs[0] < 0.05 < 0.15 < costs[1]
    assert len(set(costs)) == len(ENDS)
    assert all(0 <= cost <= 1 for cost in costs)


def test_the_third_stage_is_reached_and_one_that_is_not_costs_all_of_its_weights():
    spec = default_spec(["carrot", "plate"])
    reach, move, place = costs_of(spec, tracks("placed")).stages
    assert (reach.span, move.span, place.span) == ((0, 8), (7, 16), (15, 21))
    reach, move, place = costs_of(spec, tracks("never touched")).stages
    assert (reach.span, move.span, place.span) == ((0, 21), (21, 21), (21, 21))
    assert (move.cost, place.cost) == (3, 5)
    assert [term.cost for term in reach.terms][1:] == [0, 1]


def test_costs_over_time_are_of_the_stage_that_goes_on():
    found = costs_of(default_spec(["carrot", "plate"]), tracks("placed"))
    over = found.over_time()
    assert over.shape == (21,)
    assert np.all(np.diff(over[:7]) < 0), "the hand comes nearer"
    assert over[16:] == pytest.approx(0, abs=1e-9)
    assert list(found.told()) == ["reach", "move", "place"]
    assert json.loads(json.dumps(found.told()))["place"]["states"] == [15, 21]


def test_keypoints_that_are_frozen_cannot_tell_where_it_was_put():
    spec = default_spec(["carrot", "plate"])
    placed, dropped = (costs_of(spec, tracks(end, carrot=[CARROT] * 21)).stages[2].terms[0].cost for end in ENDS[:2])
    assert placed == dropped


@pytest.mark.parametrize(
    ("measure", "of", "over", "value"),
    [
        ("distance", ["carrot", "goal"], "final", 0.0),
        ("distance", ["carrot", "plate"], "final", 0.0195),
        ("xy_distance", ["carrot", "plate"], "max", 0.15),
        ("height_difference", ["hand", "carrot"], "max", 0.144),
        ("below", ["plate", "carrot"], "min", 0.012),
        ("moved", ["carrot"], "final", float(np.linalg.norm(np.subtract(GOAL, CARROT)))),
        ("moved", ["plate"], "max", 0.0),
        ("not_grasped", ["carrot"], "mean", 13 / 21),
        ("not_released", ["carrot"], "mean", 8 / 21),
        ("not_grasped", ["plate"], "min", 1.0),
    ],
)
def test_every_measure_is_what_it_says(measure, of, over, value):
    term = {"kind": "path", "measure": measure, "of": of, "over": over}
    points = {"goal": {"of": "plate", "offset": [0, 0, 0.0195]}}
    text = json.dumps({"points": points, "stages": [{"name": "all", "terms": [term]}]})
    given = tracks("placed")
    assert costs_of(read_spec(text, given.points), given).total == pytest.approx(value, abs=1e-6)


def test_what_is_paid_begins_at_the_threshold_and_ends_at_the_limit():
    given = tracks("placed")

    def cost(**changes):
        term = {"kind": "path", "measure": "xy_distance", "of": ["carrot", "plate"], "over": "max", **changes}
        return costs_of(read_spec(json.dumps({"stages": [{"name": "a", "terms": [term]}]}), given.points), given)

    assert cost(threshold=0.05, limit=0.25).total == pytest.approx(0.5)
    assert cost(threshold=0.2).total == 0
    assert cost(limit=0.1).total == 1
    assert cost(limit=0.3, weight=4.0).stages[0].cost == pytest.approx(2)


def test_a_place_that_was_not_seen_is_the_one_before():
    seen = [[0, 0, 0], None, [1, 0, 0], None]
    assert Tracks.of({"keypoints": {"hand": seen}}).points["hand"][:, 0].tolist() == [0, 0, 1, 1]
    assert Tracks.of({"keypoints": {"hand": [None, [2, 0, 0]]}}).points["hand"][:, 0].tolist() == [2, 2]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "no keypoints"),
        ({"keypoints": [1]}, "no keypoints"),
        ({"keypoints": {"cup": [[0, 0, 0]]}}, "one called 'hand'"),
        ({"keypoints": {"hand": [[0, 0, 0]], "cup": [[0, 0, 0]] * 2}}, "different lengths: 1, 2"),
        ({"keypoints": {"hand": [[0, 0, 0]]}, "grasped": [True, False]}, "different lengths: 1, 2"),
        ({"keypoints": {"hand": [[0, 0, 0]]}, "grasped": 1}, "different lengths"),
        ({"keypoints": {"hand": [None]}}, "never seen"),
        ({"keypoints": {"hand": []}}, "no track of 1 to"),
        ({"keypoints": {"hand": "abc"}}, "no track"),
        ({"keypoints": {"hand": [[0, 0]]}}, "no place of three"),
        ({"keypoints": {"hand": [[0, 0, True]]}}, "no place of three"),
        ({"keypoints": {"hand": [[0, 0, float("nan")]]}}, "no place of three"),
        ({"keypoints": {"hand": [[0, 0, 10**400]]}}, "no place of three"),
        ({"keypoints": {str(n): [[0, 0, 0]] for n in range(70)} | {"hand": [[0, 0, 0]]}}, "71 keypoints"),
    ],
)
def test_data_of_a_tool_that_are_no_keypoints_are_refused(data, why):
    with pytest.raises(InputError, match=why):
        Tracks.of(data)


def test_each_of_the_four_tasks_has_a_specification_and_no_other_scene():
    scenes = {"carrot": "plate", "spoon": "towel", "green cube": "yellow cube", "eggplant": "basket"}
    specs = [default_spec(["hand", source, target]) for source, target in scenes.items()]
    assert [spec.points["source"].of for spec in specs] == list(scenes)
    assert len({spec.points["goal"].offset for spec in specs}) == 4
    with pytest.raises(InputError, match=r"no cost specification ships for a scene of cup, hand; .*costs:FILE\.json"):
        default_spec(["hand", "cup"])


def test_the_likelihood_is_of_a_token_and_says_nothing_of_the_length():
    def trajectory(steps, logprob):
        return Trajectory(states=[[0]] * (steps + 1), actions=[[0]] * steps, logprobs=[[logprob, logprob]] * steps)

    assert mean_log_probability(trajectory(STEPS, -2.0)) == mean_log_probability(trajectory(40, -2.0)) == -2
    late = Trajectory(states=[[0]] * 41, actions=[[0]] * 40, logprobs=[[-1.0]] * STEPS + [[-9.0]] * (40 - STEPS))
    assert mean_log_probability(late) == -1
    assert likelihood_of(trajectory(3, -2.0)) == pytest.approx(0.1353, abs=1e-4)
    assert likelihood_of(Trajectory(states=[[0]], actions=[])) is None


def test_a_score_lies_in_1_to_10_and_leaves_out_what_is_not_known():
    assert Parts(costs=1, success=1, likelihood=1).score == pytest.approx(10)
    assert Parts(costs=0, success=0, likelihood=0).score == 1
    assert Parts(costs=0.5).score == Parts(likelihood=0.5).score == 5.5
    assert Parts(costs=0.5, success=1.0).score == pytest.approx(1 + 9 * 0.75)
    assert Parts(costs=0.5, likelihood=0.25).told() == {"costs": 0.5, "likelihood": 0.25}
    with pytest.raises(ValueError, match="no part"):
        _ = Parts().score
