import pytest

from anyprefer.core.records import Knowledge, Prompts, Round
from anyprefer.nodes.engines.evidence import MOST_WORDS, EvidenceEngine, broken_form, known_of
from anyprefer.tools import Finding, tool
from tests.scripted import Scripted, a_task, play

SUM = "What is 34 + 57? Answer with the number only."


def found(data, candidate=0, verdict=0.0, tool="t"):
    return Knowledge(tool=tool, candidate=candidate, data=data, verdict=verdict)


async def rewrite(*knowledge, name="target", target=SUM, task=None):
    prompts = Prompts(target=target, judge="j", tools={"t": "i"})
    task = task or a_task(SUM, reference="gold")
    return await EvidenceEngine().rewrite(
        name, prompts, [(task, Round(number=1, prompts=prompts, knowledge=knowledge))]
    )


def test_what_candidate_tools_state_is_known_once_and_task_tools_speak_where_they_are_silent():
    alone = found([{"text": "best"}, {"text": "second"}], candidate=None)
    assert known_of([alone, found({"text": "a"}), found({"text": "a"}, 1), found({"text": "b"}, 1)]) == "a b"
    assert known_of([alone, found({"score": 3}), found(None), found([]), found(["x"]), found({"text": 3})]) == "best"
    assert known_of([]) == ""


def test_a_hint_is_short():
    assert known_of([found({"text": "word " * 200})]) == "word " * MOST_WORDS + "…"


def test_the_form_is_asked_for_again_where_an_answer_broke_it():
    kept, broke = found({"form": "One word."}, verdict=1.0), found({"form": "One word."}, 1, verdict=0.9)
    assert broken_form([kept, broke]) == "One word."
    assert broken_form([kept, found({"form": "One word."}, verdict=None)]) == ""


async def test_the_target_is_asked_x_again_with_the_hint_and_never_told_the_reference():
    new, note = await rewrite(found({"text": "34 + 57 = 91."}), target="an earlier hint")
    assert note == ""
    assert SUM in new
    assert "34 + 57 = 91." in new
    assert "earlier" not in new
    assert "gold" not in new


async def test_a_passage_with_braces_survives():
    new, _ = await rewrite(found({"text": "{query} {known} {0}"}), task=a_task("{form}?"))
    assert "{form}?" in new
    assert "{query} {known} {0}" in new


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ({"name": "judge"}, "target's prompt only"),
        ({"name": "tools.t"}, "target's prompt only"),
        ({"target": SUM}, "nothing that would help"),
    ],
)
async def test_other_prompts_and_rounds_without_findings_keep_the_old_prompt(values, note):
    text, why = await rewrite(found(None), **values)
    assert text == {"judge": "j", "tools.t": "i"}.get(values.get("name"), SUM)
    assert note in why


async def test_the_same_hint_again_is_no_change():
    first, _ = await rewrite(found({"text": "fact"}))
    assert await rewrite(found({"text": "fact"}), target=first) == (first, "the rewrite is the same text")


@tool
def capital(candidate: object) -> Finding:
    """Knows a capital."""
    return Finding("", verdict=float("Lima" in candidate.text), data={"text": "Lima is the capital of Peru."})


def hinted(call):
    return ["Cusco", "Lima"][call.number % 2] if "Lima" in call.user else f"Quito {call.number}"


async def test_a_run_without_any_judge_model_has_feedback_and_its_pair_holds_x_alone(tmp_path):
    folder = tmp_path / "run"
    row = await play(
        Scripted(sample=hinted),
        a_task("What is the capital of Peru?"),
        judge="evidence",
        engine="evidence",
        tools=[capital, "answer_form"],
        max_rounds=2,
        folder=folder,
    )
    assert row.outcome == "accepted"
    assert row.models["engine"] == "evidence (rules over tool findings, no model)"
    assert "Lima is the capital of Peru." in row.rounds[1].prompts.target
    assert [(u.prompt, u.changed) for u in row.rounds[0].updates][:2] == [("target", True), ("judge", False)]
    assert row.pair.chosen == "Lima"
    pairs = (folder / "pairs.jsonl").read_text(encoding="utf-8")
    assert '"prompt":[{"role":"user","content":"What is the capital of Peru?"}]' in pairs


async def test_the_packaged_tools_tell_what_they_know():
    row = await play(
        Scripted(sample=lambda call: f"It is {call.number} or so, I think it may be"),
        a_task(SUM),
        judge="evidence",
        engine="evidence",
        tools=["calculator", "answer_form"],
        max_rounds=2,
    )
    hint = row.rounds[1].prompts.target.replace(SUM, "", 1)
    assert "34 + 57 = 91." in hint
    assert "Answer with the number only." in hint
