import numpy
import pytest
from langchain_core.messages import AIMessage

from anyprefer.core.errors import InputError
from anyprefer.core.pictures import opened
from anyprefer.core.task import Task
from anyprefer.nodes.targets.noise import MIDDLE, SPREAD, in_noise
from tests.pictured import picture
from tests.scripted import Scripted, play

GREY = picture("grey", (64, 64))


def pixels(image):
    return numpy.asarray(opened(image), dtype=float)


def test_noise_has_its_share_of_the_variance_and_depends_on_the_seed_alone():
    task = Task(id="t", prompt="What?", images=(GREY, GREY))
    first, second = in_noise(task, 0.25, 7).images
    assert in_noise(task, 0.25, 7).images == (first, second)
    assert first != second
    kept = MIDDLE + 0.75**0.5 * (pixels(GREY) - MIDDLE)
    assert numpy.std(pixels(first) - kept) == pytest.approx(SPREAD / 2, rel=0.05)


def test_an_image_that_cannot_be_opened_is_named():
    with pytest.raises(InputError, match=r"missing\.png"):
        in_noise(Task(id="t", prompt="What?", images=("missing.png",)), 0.5, 0)


async def test_only_the_target_looks_at_noise():
    seen = {"sample": set(), "judge": set()}

    def look(call):
        seen[call.role] |= {
            part["image_url"]["url"] for part in call.messages[-1].content if part["type"] == "image_url"
        }
        return AIMessage(f"one {call.seed}") if call.role == "sample" else "Answer 1: 9/10\nAnswer 2: 2/10"

    model = Scripted(sample=look, judge=look)
    task = Task(id="t", prompt="What?", images=(GREY,))
    row = await play(model, task, tools=[], candidates=2, image_noise=0.25, max_rounds=1)
    assert row.task.images == (GREY,)
    assert seen["judge"] == {GREY}
    assert len(seen["sample"]) == 1
    assert GREY not in seen["sample"]
