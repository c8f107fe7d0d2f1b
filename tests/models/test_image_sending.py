"""What is made of images on the way to a server: one read a task, one place a request, keys by content, tokens."""

import base64
import io

import pytest
from langchain_core.messages import HumanMessage
from PIL import Image

from anyprefer.core import images
from anyprefer.core.errors import InputError
from anyprefer.core.images import image_key, image_url, load, loaded, smaller
from anyprefer.graph import RunSettings, Synthesis, Task
from anyprefer.graph.players import assemble
from anyprefer.graph.tracing.sending import cleaner
from anyprefer.models.image_tokens import image_tokens, surplus, text_size
from anyprefer.models.load import load_model
from anyprefer.models.messages import user
from anyprefer.models.packing import said_in
from anyprefer.models.servers.endpoint import Servers
from anyprefer.tools import tool
from anyprefer.tools.recording import asked_of
from tests.pixels import PNG, URL, data_url, encoded
from tests.scripted import Scripted
from tests.server import OpenAIServer

OTHER = encoded(Image.new("RGB", (4, 2), "blue"))


def shown(message):
    return [part.get("text") or part["image_url"]["url"] for part in message.content]


def test_an_image_is_shown_once_however_many_found_it(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    found = [("[a]", data_url(OTHER)), ("[b]", URL), ("[c]", data_url(OTHER)), ("[a]", data_url(OTHER))]
    message = user("Which?", [str(tmp_path / "a.png")], found)
    assert shown(message) == [URL, "[a] [c]", data_url(OTHER), "Which?"]
    assert shown(user("Same?", [URL, URL])) == [URL, URL, "Same?"]  # what a task asks twice for is shown twice


async def test_an_image_is_read_once_a_task_whoever_found_it(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "b.png").write_bytes(OTHER)
    reads, real = [], images.image_bytes
    monkeypatch.setattr(images, "image_bytes", lambda image: reads.append(image[-5:]) or real(image))
    own, found = str(tmp_path / "a.png"), str(tmp_path / "b.png")
    with loaded(await load([own])):
        for _ in range(3):
            assert shown(user("Q", [own], [("[t]", found)])) == [URL, "[t]", data_url(OTHER), "Q"]
            said_in([user("Q", [own], [("[t]", found)])])
            assert text_size([user("Q", [own]).content]) == 1 + 4 * 255
        assert reads == ["a.png", "b.png"]
    image_url(own)
    assert reads == ["a.png", "b.png", "a.png"]


def test_keys_follow_the_content_and_hold_no_bytes(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)

    @tool
    def looks(task: Task) -> str:
        """Looks."""
        return "seen"

    def keys(image):
        task = Task(id="1", prompt="Q", images=(image,))
        return [said_in([user("Q", [image])]), asked_of(looks, {"task": task})]

    before = keys(str(path))
    assert keys(URL)[0] == before[0]
    assert keys(URL)[1] == before[1]
    assert base64.b64encode(PNG).decode() not in str(before)
    assert image_key(URL) in str(before[0])
    path.write_bytes(OTHER)
    changed = keys(str(path))
    assert [one == other for one, other in zip(before, changed, strict=True)] == [False, False]


def test_what_is_no_image_of_ours_stays_in_keys():
    content = [{"type": "text", "text": "image_url"}, {"type": "image_url", "image_url": {"url": "https://a/b"}},
               {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAA"}}, {"type": "image_url"}]  # fmt: skip
    [[_, kept]] = said_in([HumanMessage(content)])
    assert [kept[0], kept[1], kept[3]] == [content[0], content[1], content[3]]
    assert len(kept[2]["image_url"]["url"]) == 64


def test_a_shared_sample_is_of_the_image_as_it_is(tmp_path):
    path = tmp_path / "a.png"

    def asked(image):
        model, settings = Scripted(), RunSettings(candidates=2, max_rounds=1)
        players = assemble(settings, target=model, judge=model, tools=[], samples=tmp_path / "samples.db")
        Synthesis(settings, None, players).play([Task(id="t", prompt="Q", images=(image,))])
        return sum(call.role == "sample" for call in model.calls)

    path.write_bytes(PNG)
    assert [asked(str(path)), asked(str(path)), asked(URL)] == [2, 0, 0]
    path.write_bytes(OTHER)
    assert asked(str(path)) == 2


def test_traces_hold_a_hash():
    said = f'{{"url": "{URL}", "other": "data:image/png;base64,short"}}'
    assert cleaner()(said) == said.replace(URL.partition(";")[2], f"sha256,{image_key(URL)}")


@pytest.mark.parametrize(
    ("size", "tokens"),
    [((1024, 1024), 765), ((2048, 4096), 1105), ((512, 512), 255), ((513, 512), 425), ((4, 2), 255), ((1, 20_000), 765),
     ((1920, 1080), 1105), ((8000, 3000), 1445), (None, 765)],
)  # fmt: skip
def test_openais_rule_of_tokens(size, tokens):
    assert image_tokens(size) == tokens


def test_an_image_counts_as_a_text_of_its_tokens(tmp_path):
    photo = data_url(encoded(Image.effect_noise((1024, 1024), 90)))
    content = user("What is it?", [photo, "https://a/b.png"]).content
    assert text_size(["text", content]) == 4 + len("What is it?") + 4 * 765 * 2
    assert surplus([content, "text"]) == len(photo) + len("https://a/b.png") - 4 * 765 * 2
    assert (
        text_size([["a", {"type": "text", "text": "bc"}, {"type": "image_url", "image_url": {"url": "data:x"}}]])
        == 3 + 4 * 765
    )


def test_a_rate_limit_is_charged_for_tokens_and_not_for_base64():
    model = load_model("openai:any@http://127.0.0.1:9/v1")
    photo = data_url(encoded(Image.effect_noise((1024, 1024), 90)))
    _, request = model._posted([user("What is it?", [photo])], None, {})
    assert len(request.body) > 1_000_000
    assert 4 * 765 < request.size < 4 * 765 + 300
    _, plain = model._posted([HumanMessage("What is it?")], None, {})
    assert plain.size == len(plain.body)


async def test_load_checks_every_image_before_a_model_is_asked(tmp_path):
    (tmp_path / "cut.png").write_bytes(encoded(Image.effect_noise((64, 64), 90))[:-900])
    for image in (str(tmp_path / "cut.png"), data_url(b"<html>"), "data:image/png;base64,@"):
        with pytest.raises(InputError):
            await load([URL, image])
    found = await load([URL, "https://a/b.png", data_url(PNG, "jpeg")])
    assert [one.url for one in found.values()] == [URL, "https://a/b.png", URL]
    assert [one.size for one in found.values()] == [(4, 2), None, (4, 2)]


async def test_a_server_may_be_shown_smaller_images():
    photo, small = Image.effect_noise((600, 300), 90).convert("RGB"), data_url(encoded(Image.new("RGB", (64, 32))))
    turned = Image.Exif()
    turned[0x0112] = 6
    given = [data_url(encoded(photo, "JPEG", exif=turned), "jpeg"), data_url(encoded(photo)), small, "https://a/b.png"]
    with OpenAIServer() as server:
        spec = f"openai:any@{server.url}"
        for settings in (RunSettings(image_side=100), RunSettings()):
            with loaded(await load(given)):
                for _ in range(2):
                    await load_model(spec, servers=Servers(settings)).ainvoke([user("What is it?", given)])
        received = [request["images"] for request in server.requests]
    assert received[0] == received[1]
    assert [image_url(data_url(data))[:15] for data in received[0][:2]] == ["data:image/jpeg", "data:image/png;"]
    sizes = [Image.open(io.BytesIO(data)).size for data in received[0][:3]]
    assert sizes == [(50, 100), (100, 50), (64, 32)]
    assert received[0][3] == b"https://a/b.png"
    assert [
        data_url(data, url[11:].partition(";")[0]) for data, url in zip(received[2], given[:3], strict=False)
    ] == given[:3]


async def test_a_large_image_is_made_smaller_once_a_task(monkeypatch):
    made, real = [], images.shrunk
    monkeypatch.setattr(images, "shrunk", lambda data, side: made.append(side) or real(data, side))
    photo = data_url(encoded(Image.new("RGB", (600, 300))))
    with loaded(await load([photo])):
        assert {smaller(photo, 100) for _ in range(3)} == {smaller(smaller(photo, 100), 100)}
    assert made == [100]
