import pytest
from langchain_core.messages import AIMessage
from PIL import Image

from anyprefer.core.errors import AnswerError, InputError
from anyprefer.core.images import image_url
from anyprefer.models.ask import ask
from anyprefer.models.messages import user
from tests.pixels import URL, data_url, encoded
from tests.scripted import Scripted, a_task, play


@pytest.mark.parametrize("url", ["http://a/b.png", "https://a/b", URL])
def test_urls_pass_as_they_are(url):
    assert image_url(url) == url


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif", "tiff", "bmp", "avif"])
@pytest.mark.parametrize("name", ["a.png", "b.JPG", "none"])
def test_a_file_becomes_a_data_url_of_what_it_is(tmp_path, name, kind):
    data = encoded(Image.new("RGB", (4, 2)), kind)
    (tmp_path / name).write_bytes(data)
    assert image_url(str(tmp_path / name)) == data_url(data, kind)
    assert image_url(data_url(data, "png")) == data_url(data, kind)


def test_images_go_before_the_text():
    assert [part["type"] for part in user("text", ["http://a/b.png", "http://a/c.png"]).content] == [
        "image_url",
        "image_url",
        "text",
    ]


@pytest.mark.parametrize("image", ["data:text/plain,hello", "file:///etc/passwd", "no-suffix"])
def test_what_is_no_file_is_refused(image):
    with pytest.raises(InputError, match=r"cannot be read|no data: URL"):
        image_url(image)


def test_a_long_text_in_place_of_an_image_is_not_quoted_whole():
    with pytest.raises(InputError) as caught:
        image_url("x" * 100_000)
    assert len(str(caught.value)) < 400


async def test_an_image_that_cannot_be_read_fails_its_task_by_name(tmp_path):
    missing = str(tmp_path / "gone.png")
    row, other = await play(Scripted(), a_task(images=(missing,)), a_task(id="u"))
    assert row.outcome == "failed"
    assert missing in row.reason
    assert "No such file" in row.reason
    assert other.outcome == "accepted"


async def test_a_model_that_returns_no_message_fails_the_task():
    class Odd(Scripted):
        async def ainvoke(self, *args, **kwargs):
            return "text"

    assert "returned str instead of a message" in (await play(Odd())).reason


async def test_an_answer_cut_off_names_the_setting():
    cut = AIMessage("Criterion 1: 9/10", response_metadata={"finish_reason": "length"})
    model = Scripted(sample=[cut, cut])

    def parse(answer):
        raise AnswerError("no score", str(answer.text))

    with pytest.raises(AnswerError, match=r"no score \(judge: cut off at judge_max_new_tokens = 16; raise it\)"):
        await ask(model, [user("Rate it.")], "judge", parse=parse, seed=0, max_tokens=16)


async def test_each_further_question_is_another_one_also_with_images(monkeypatch):
    monkeypatch.setattr("anyprefer.models.ask.REASKS", 2)
    asked = []

    def never(answer):
        raise AnswerError("not a number", str(answer.text))

    model = Scripted(sample=lambda call: asked.append(call) or f"no {call.number}")
    question = user("Which?", ["http://a/b.png"])
    with pytest.raises(AnswerError, match="no 2"):
        await ask(model, [question], "sample", parse=never, seed=0, temperature=0.0)
    texts = [str(call.messages[-1].text) for call in asked]
    assert len(set(texts)) == 3
    assert texts[0] == "Which?"
    assert "Your answer number 2 could not be read: not a number." in texts[2]
    assert all(call.messages[-1].content[0]["type"] == "image_url" for call in asked)
    assert str(question.text) == "Which?"
