"""The embedded tools of medicine: what their rules read, and an index of a handful of images."""

import pytest
import torch
from PIL import Image

from anyprefer.core.errors import ModelSetupError
from anyprefer.core.pictures import content_hash
from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.models.local.lite0_weights import pretrained_encoder
from anyprefer.models.local.radiology_index import FOLDS, Asked, Head, Neighbour, RadiologyIndex, pooled
from anyprefer.tools import load_tools
from anyprefer.tools.vision.radiology_kinds import MODALITY, ORGAN
from anyprefer.tools.vision.radiology_neighbours import support

ROWS = [
    Asked("Is there a fracture?", "Yes", 0),
    Asked("Is there a fracture of a rib?", "No", 1),
    Asked("Is a fracture seen? -yes/no", "no", 2),
    Asked("Where is the fracture?", "left rib", 2),
    Asked("What is bright?", "the skull", 1),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An index of three images, whose probes say CT and chest of every image, and its folder."""
    folder, images = tmp_path_factory.mktemp("radiology"), []
    for at in range(4):
        images.append(str(folder / f"{at}.png"))
        Image.linear_gradient("L").rotate(40 * at).resize((40, 30)).save(images[-1])
    encoder = pretrained_encoder()
    features = torch.stack([pooled(encoder, image) for image in images[:3]])
    heads = {}
    for kind in (MODALITY, ORGAN):
        weight = torch.zeros(FOLDS, 3, features.shape[1] + 1)
        weight[:, 0, -1] = 9.0
        heads[kind.name] = Head(list(kind.labels), weight)
    RadiologyIndex([content_hash(image) for image in images[:3]], features, ROWS, heads).save(folder / "index")
    return images, str(folder / "index")


async def found(made, name, question, answer, image=0, **options):
    images, model = made
    [tool] = load_tools([name], {name: {"model": model, **options}})
    tool.prepare()
    task = Task(id="t", prompt=question, images=(images[image],))
    return await tool.ainvoke({"task": task, "candidate": Candidate(index=0, content=answer, seed=0)})


@pytest.mark.parametrize(
    ("kind", "question", "answer", "agrees"),
    [
        (MODALITY, "Is this a CT?", "yes", True),
        (MODALITY, "Was this image taken via MRI? -yes/no", "Yes.", False),
        (MODALITY, "What imaging modality was used?", "CT with contrast", True),
        (MODALITY, "How was this image taken?", "plain film", False),
        (MODALITY, "How was this image taken?", "lying down", None),
        (MODALITY, "Is this a noncontrast CT?", "no", None),
        (MODALITY, "Is this a T1 weighted image?", "no", None),
        (MODALITY, "What type of MRI is this?", "T2", None),
        (MODALITY, "Is this a CT?", "it may be", None),
        (MODALITY, "Is there a fracture on this CT?", "no", None),
        (ORGAN, "What organ system is imaged?", "the lungs", True),
        (ORGAN, "Is this an image of the brain?", "no", True),
        (ORGAN, "What organ is enlarged in this image?", "liver", None),
    ],
)
def test_a_probe_takes_a_side_only_where_the_question_asks_for_what_it_tells(kind, question, answer, agrees):
    assert kind.agrees(question, answer, next(iter(kind.labels))) is agrees


def test_questions_are_read_in_linear_time():
    for kind in (MODALITY, ORGAN):
        assert kind.agrees("what imaging is " * 50_000, "ct " * 50_000, "CT") is None


async def test_the_probes_tell_the_judge_and_give_verdicts(made):
    finding = await found(made, "modality_probe", "Is this an MRI?", "yes")
    assert (finding.verdict, finding.data["label"]) == (0.0, "CT")
    assert finding.text == "The modality is CT (1.00), as a probe of the image tells. The answer does not agree."
    finding = await found(made, "organ_probe", "Is there a fracture?", "yes", image=3)
    assert (finding.verdict, finding.data["label"]) == (None, "chest")


async def test_neighbours_are_never_of_the_same_image(made):
    questions = [[one["question"] for one in (await _neighbours(made, image)).data["neighbours"]] for image in range(4)]
    own = [{row.question for row in ROWS if row.image == image} for image in range(4)]
    assert [set(some) & mine for some, mine in zip(questions, own, strict=True)] == [set()] * 4
    assert len(questions[3]) == len(ROWS)  # an image that is in no index, so that all questions are of others
    finding = await _neighbours(made, 0, k=1)
    assert (finding.verdict, len(finding.data["neighbours"])) == (0.0, 1)


async def _neighbours(made, image, **options):
    return await found(made, "radiology_neighbours", "Is there a fracture?", "yes", image, **options)


def test_support_is_of_answers_of_the_same_form():
    near = [
        Neighbour("q", "Yes", 1.0),
        Neighbour("q", "no", 0.5),
        Neighbour("q", "left lung", 1.0),
        Neighbour("q", "lung", 1.0),
    ]
    assert support("yes, it is", near) == pytest.approx(0.8)
    assert support("No.", near) == pytest.approx(0.2)
    assert support("the left lung", near) == pytest.approx((1 + 2 / 3) / 2)
    assert support("", near) is None
    assert support("lung", near[:2]) is None


def test_a_missing_index_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path))
    for name in ("modality_probe", "organ_probe", "radiology_neighbours"):
        with pytest.raises(ModelSetupError, match="anyprefer build radiology_index"):
            load_tools([name])[0].prepare()
    (tmp_path / "radiology_index").mkdir()
    (tmp_path / "radiology_index" / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelSetupError, match="holds no radiology index"):
        load_tools(["organ_probe"])[0].prepare()
