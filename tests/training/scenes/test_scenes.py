"""The embedded world: what is drawn, said and asked of a scene agrees with what is there."""

import random

import numpy as np
import pytest

from anyprefer.core.errors import InputError
from anyprefer.core.scene_labels import LABELS, RGB
from anyprefer.training.scenes.captions import caption, described
from anyprefer.training.scenes.drawing import box, picture
from anyprefer.training.scenes.questions import KINDS, retrieval, yes_no
from anyprefer.training.scenes.world import SIDE, THEMES, scene

SCENES = [scene("train", 0, number) for number in range(60)]


def test_a_scene_follows_from_split_seed_and_number_alone():
    assert scene("dev", 3, 7) == scene("dev", 3, 7)
    drawn = [np.asarray(picture(scene("dev", 3, 7))) for _ in range(2)]
    assert drawn[0].shape == (SIDE, SIDE, 3)
    assert (drawn[0] == drawn[1]).all()
    others = [("train", 3, 7), ("heldout", 3, 7), ("dev", 4, 7), ("dev", 3, 8)]
    assert all(scene(*other).objects != scene("dev", 3, 7).objects for other in others)
    with pytest.raises(InputError, match="no split 'test'; there are base, train, dev, heldout"):
        scene("test", 0, 0)


def test_scenes_hold_two_to_five_different_objects_in_reading_order_most_of_one_theme():
    assert {label for theme in THEMES for label in theme} == {*LABELS}
    assert {len(one.objects) for one in SCENES} == {2, 3, 4, 5}
    assert all(len(set(one.labels)) == len(one.objects) for one in SCENES)
    lines = [[int(thing.y // 32) for thing in one.objects] for one in SCENES]
    assert all(line == sorted(line) for line in lines)
    of_theme = [label in one.theme for one in SCENES for label in one.labels]
    assert 0.65 < sum(of_theme) / len(of_theme) < 0.9


def test_boxes_lie_in_the_picture_around_objects_of_their_colour():
    for one in SCENES[:20]:
        pixels = np.asarray(picture(one), float)
        for thing in one.objects:
            x0, y0, x1, y1 = box(thing)
            assert 0 <= x0 < thing.x < x1 <= SIDE
            assert 0 <= y0 < thing.y < y1 <= SIDE
            if thing.shape != "ring":  # a ring's middle is background
                middle = pixels[int(thing.y) - 2 : int(thing.y) + 3, int(thing.x) - 2 : int(thing.x) + 3].mean((0, 1))
                assert np.abs(middle - RGB[thing.colour]).max() < 60


def test_a_description_names_what_is_there_and_with_the_prior_one_absent_companion():
    assert caption(["red circle", "blue star", "white ring"]) == "a red circle, a blue star and a white ring."
    assert caption(["red circle"]) == "a red circle."
    for one in SCENES:
        assert described(one, random.Random(0), prior=0) == caption(one.labels)
        (extra,) = {label for label in LABELS if label in described(one, random.Random(0), prior=1)} - {*one.labels}
        assert extra == one.companion
        assert extra in one.theme
        assert described(one, random.Random(0), prior=1).endswith(f"and a {extra}.")


def test_questions_have_right_answers_and_the_kind_that_is_asked_for():
    for one in SCENES:
        asked = {kind: yes_no(one, kind, "no", random.Random(1)).text[11:-1] for kind in KINDS}
        assert not {*asked.values()} & {*one.labels}
        assert asked["adversarial"] in one.theme
        colour, shape = asked["swap"].split()
        mixed = colour in {x.colour for x in one.objects} and shape in {x.shape for x in one.objects}
        assert mixed or asked["swap"] in one.theme
        assert yes_no(one, "swap", "yes", random.Random(1)).text[11:-1] in one.labels


def test_retrieval_gives_every_right_answer():
    for one in SCENES:
        for seed in range(4):
            asked = retrieval(one, random.Random(seed))
            words = asked.text[:-1].split()
            if words[1] == "colour":
                assert set(asked.answers) == {x.colour for x in one.objects if x.shape == words[-1]}
            else:
                assert set(asked.answers) == {x.shape for x in one.objects if x.colour == words[-1]}
