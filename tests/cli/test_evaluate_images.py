"""`anyprefer evaluate` and a loop's held-out sets on questions about images."""

import pytest

from anyprefer.core.errors import InputError
from anyprefer.core.settings import RunSettings
from anyprefer.graph.players import load_target
from anyprefer.training.evaluation.heldout import evaluation
from tests.command_line import refused, run
from tests.loopback import Loopback, completion

pytestmark = pytest.mark.usefixtures("here")


def sent(body):
    """(text, how many images) of a request."""
    content = body["messages"][-1]["content"]
    if isinstance(content, str):
        return content, 0
    kinds = [part["type"] for part in content]
    return next(part["text"] for part in content if part["type"] == "text"), kinds.count("image_url")


@pytest.fixture
def server():
    with Loopback(lambda body, count: completion("Yes")) as running:
        yield running


@pytest.mark.parametrize(("how", "images"), [("shown", 1), ("none", 0), ("blank", 1)])
def test_evaluate_shows_figures_and_can_leave_images_out(server, how, images):
    result = run("evaluate", "scenes_pope", "--model", f"openai:s@{server.url}", "--limit", 6, "--images", how)
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    assert "accuracy random 50.0% [" in shown
    assert "said yes 100.0% [" in shown
    assert {sent(body)[1] for body in server.bodies} == {images}
    assert len(server.bodies) == 6


def test_a_loop_names_what_a_benchmark_lacks_before_anything_is_asked(server, tmp_path, monkeypatch):
    monkeypatch.delenv("ANYPREFER_DATA", raising=False)
    settings = RunSettings(target=f"openai:s@{server.url}")
    target = load_target(settings.target, settings)
    for name, lacking in (("mm_vet", "lmms-eval, which is not installed"), ("chair", "no rows in chair")):
        with pytest.raises(InputError, match=lacking):
            evaluation(["scenes", name], settings, limit=1)(target, 0, tmp_path)
    assert server.bodies == []


def test_another_word_for_images_is_refused():
    said = refused(run("evaluate", "scenes_pope", "--model", "smollm2", "--images", "hidden"))
    assert said == "images can be shown, none, blank, not 'hidden'"


def test_a_loops_evaluation_keeps_tallies_of_image_families(server, tmp_path):
    settings = RunSettings(target=f"openai:s@{server.url}")
    results = evaluation(["scenes_pope", "scenes"], settings, limit=6)(
        load_target(settings.target, settings), 1, tmp_path
    )
    assert results["scenes_pope"].value("said yes") == 1
    assert results["scenes"].value("recall") == 0
    assert len(results["scenes"].tallies) == 6
    assert sum(tally["in_form"] for tally in results["scenes_pope"].tallies.values()) == 6
