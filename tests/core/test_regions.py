"""Regions as data, their masks, and a picture with them drawn."""

import json
from typing import Any

import numpy
import pytest
from PIL import Image

from anyprefer.core.drawing import drawn
from anyprefer.core.regions import Region, clipped, decoded, encoded, regions_data, regions_in

SIZE = (64, 48)


def disc() -> Any:
    rows, columns = numpy.mgrid[: SIZE[1], : SIZE[0]]
    return (rows - 20) ** 2 + (columns - 30) ** 2 < 150


def test_regions_survive_json() -> None:
    regions = [Region("red circle", (18.0, 8.0, 42.0, 32.0), 0.9, encoded(disc())), Region("cat", (0.0, 0.0, 5.5, 6.0))]
    found = regions_in(json.loads(json.dumps(regions_data(regions, SIZE))))
    assert found == (regions, SIZE)
    mask = found[0][0].mask
    assert mask is not None
    assert (decoded(mask) == disc()).all()


@pytest.mark.parametrize(
    "given",
    [
        None,
        "regions",
        {},
        {"regions": []},
        {"regions": [], "size": [0, 5]},
        {"regions": [], "size": [1 << 20, 1 << 20]},
    ],
)
def test_what_is_no_such_finding_holds_none(given: Any) -> None:
    assert regions_in(given) is None


@pytest.mark.parametrize(
    "one",
    [
        {"label": "a"}, {"box": [0, 0, 1, 1]}, {"label": 3, "box": [0, 0, 1, 1]}, {"label": "a", "box": [0, 0, 1]},
        {"label": "a", "box": [0, 0, 1, float("nan")]}, {"label": "a", "box": "0011"}, "a",
    ],
)  # fmt: skip
def test_a_region_that_is_none_is_left_out(one: Any) -> None:
    good = {"label": "b", "box": [50, 10, 90, -4], "score": 7}
    assert regions_in({"regions": [one, good], "size": list(SIZE)}) == ([Region("b", (50, 0, 64, 10))], SIZE)


@pytest.mark.parametrize("counts", ["", "o" * 50, "0", "zz", "100", "é", "Pd:1O10", "1" * 3000])
def test_a_mask_that_does_not_fill_its_size_is_none(counts: str) -> None:
    given = {"label": "a", "box": [0, 0, 9, 9], "mask": {"size": [SIZE[1], SIZE[0]], "counts": counts}}
    found = regions_in({"regions": [given], "size": list(SIZE)})
    assert found is not None
    assert found[0][0].mask is None


def test_masks_are_cocos() -> None:
    from pycocotools import mask as coco

    rle = encoded(disc())
    assert coco.area({"size": rle["size"], "counts": rle["counts"].encode()}) == disc().sum()


@pytest.mark.parametrize("mask", [disc(), ~disc(), numpy.zeros((48, 64), bool), numpy.ones((48, 64), bool)])
def test_every_mask_comes_back(mask: Any) -> None:
    assert (decoded(encoded(mask)) == mask).all()
    with pytest.raises(ValueError, match="do not fill"):
        decoded({**encoded(mask), "size": [48, 65]})


def test_boxes_are_cut_to_the_picture() -> None:
    assert clipped((70, -3, 2, 99), SIZE) == (2, 0, 64, 48)


def test_a_small_picture_is_enlarged_and_shows_which_regions_an_answer_names() -> None:
    picture = Image.new("RGB", SIZE, "white")
    regions = [Region("red circle", (10, 20, 30, 40), 0.98, encoded(disc())), Region("cat", (40, 30, 60, 44))]
    plain, told = drawn(picture, regions), drawn(picture, regions, named=["cat"])
    assert plain.size == told.size == (512, 384)
    outline = [told.getpixel((round(box[0] * 8), round((box[1] + box[3]) * 4))) for box in (one.box for one in regions)]
    assert outline[0] != outline[1]
    assert plain.tobytes() == drawn(picture, regions).tobytes() != told.tobytes()
    assert picture.getextrema() == ((255, 255),) * 3


def test_odd_regions_are_drawn_without_an_error() -> None:
    odd = [
        Region("", (5, 5, 5, 5)), Region("x" * 5000, (-9, -9, 900, 900)), Region("日本\n<b>", (63, 47, 64, 48), 0.5),
        Region("other size", (0, 0, 9, 9), None, {"size": [2, 2], "counts": "04"}),
    ]  # fmt: skip
    for size in [(1, 1), (64, 48), (1024, 3)]:
        assert drawn(Image.new("L", size), odd * 5).mode == "RGB"
