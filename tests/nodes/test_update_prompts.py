import asyncio

import pytest

from anyprefer.nodes.engines.textgrad import usable
from anyprefer.tools import tool
from tests.scripted import Scripted, a_task, play

OPEN, CLOSE = "<IMPROVED_VARIABLE>", "</IMPROVED_VARIABLE>"


@tool
def look(query: str) -> str:
    """Looks things up."""
    return "seen"


@tool
def unused(query: str) -> str:
    """Never chosen."""
    return ""


def by_player(target=f"{OPEN}new target {{x}}{CLOSE}", judge="new judge", instruction="new instruction"):
    """The engine's answers, by whose prompt it is asked to improve."""

    def script(call):
        role = call.user.partition("<ROLE>")[2].partition("</ROLE>")[0]
        if "when and with which" in role:
            return f"{OPEN}{instruction}{CLOSE}"
        return f"{OPEN}{judge}{CLOSE}" if role.startswith("the system") else target

    return script


def looping(**script):
    return Scripted(**{"select_tools": '["look"]', "reward": ["Too alike. 3/10", "Fine. 9/10"], **script})


async def test_a_low_reward_starts_a_second_round_in_which_every_new_prompt_arrives():
    model = looping(textgrad=by_player())
    row = await play(model, tools=[look, unused])
    first, second = row.rounds
    assert row.outcome == "accepted"
    assert (first.prompts.target, second.prompts.target) == ("What is 2 + 2?", "new target {x}")
    assert second.prompts.judge == "new judge"
    assert second.prompts.tools == {"look": "new instruction", "unused": "Never chosen."}
    assert [(u.prompt, u.changed, u.note) for u in first.updates] == [
        ("target", True, ""),
        ("judge", True, ""),
        ("tools.look", True, ""),
    ]
    assert second.updates == ()
    assert first.prompts.version != second.prompts.version

    assert [call.user for call in model.asked("sample")] == ["What is 2 + 2?"] * 3 + ["new target {x}"] * 3
    for role in ("select_tools", "aggregate", "judge"):
        before, after = model.asked(role)
        assert before.system.startswith("[Task] You are an expert")
        assert after.system == "new judge"
        assert "Query: What is 2 + 2?" in after.user
    before, after = model.asked("select_tools")
    assert "Looks things up." in before.user
    assert "new instruction" in after.user
    assert "Looks things up." not in after.user
    assert "Feedback on the previous round: Too alike. 3/10" in after.user


async def test_the_feedback_holds_query_pair_reward_and_analysis():
    model = looping(sample=["good", "fair", "bad", "1", "2", "3"])
    await play(model, tools=[look])
    for call in model.asked("textgrad"):
        context = call.user.partition("<CONTEXT>")[2].partition("</CONTEXT>")[0]
        for part in (
            "Query: What is 2 + 2?",
            "Positive response: good",
            "Negative response: bad",
            "3/10",
            "Too alike.",
        ):
            assert part in context


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        ("I would rather not.", "no improved text in the answer: 'I would rather not.'"),
        (f"{OPEN}{CLOSE}", "no improved text"),
        (f"{OPEN}  \n {CLOSE}", "no improved text"),
        (f"{OPEN}What is 2 + 2?{CLOSE}", "the rewrite is the same text"),
        (f"{OPEN}{'long ' * 1000}{CLOSE}", "too many for a prompt of 14"),
        (f"{OPEN}never closed", "no improved text"),
    ],
)
async def test_an_unusable_rewrite_keeps_the_old_prompt_and_the_others_are_updated(answer, note):
    row = await play(looping(textgrad=by_player(target=answer)), tools=[look])
    first, second = row.rounds
    assert second.prompts.target == "What is 2 + 2?"
    assert second.prompts.judge == "new judge"
    assert second.prompts.tools["look"] == "new instruction"
    assert [(u.prompt, u.changed) for u in first.updates] == [("target", False), ("judge", True), ("tools.look", True)]
    assert note in first.updates[0].note


@pytest.mark.parametrize(
    "answer",
    [
        f"I put it between {OPEN} tags. {OPEN}real{CLOSE}",
        f"Between {OPEN}{CLOSE} tags: {OPEN}\nreal\n{CLOSE} That is all.",
        f"{OPEN}draft{CLOSE} or better {OPEN}real{CLOSE}",
    ],
)
async def test_tags_that_are_mentioned_before_they_are_used_do_no_harm(answer):
    row = await play(looping(textgrad=by_player(target=answer)), tools=[look])
    assert row.rounds[1].prompts.target == "real"


def test_a_rewrite_may_hold_braces_and_tags_of_its_own():
    assert usable(f'{OPEN}{{"a": <b>{{x}}</b>}}{CLOSE}', "old") == ('{"a": <b>{x}</b>}', "")


async def test_an_engine_that_fails_is_noted_and_the_round_goes_on():
    row = await play(looping(textgrad=RuntimeError("engine is out")), tools=[look])
    assert row.outcome == "accepted"
    assert {(u.changed, u.note) for u in row.rounds[0].updates} == {
        (False, "textgrad (Scripted) did not answer: RuntimeError: engine is out")
    }
    assert row.rounds[1].prompts == row.rounds[0].prompts


@pytest.mark.parametrize(
    ("feedback", "rewritten"),
    [((), []), (("target",), ["target"]), (("judge",), ["judge"]), (("tools",), ["tools.look"])],
)
async def test_the_feedback_setting_says_whose_prompts_are_rewritten(feedback, rewritten):
    model = looping()
    row = await play(model, tools=[look], feedback=feedback)
    first, second = row.rounds
    assert [update.prompt for update in first.updates] == rewritten
    assert len(model.asked("textgrad")) == len(rewritten)
    assert (second.prompts == first.prompts) is (not rewritten)
    assert [c.content for c in second.candidates] != [c.content for c in first.candidates]


async def test_an_engine_of_its_own_rewrites():
    engine = Scripted(textgrad=f"{OPEN}from the engine{CLOSE}")
    model = looping()
    row = await play(model, tools=[look], engine=engine)
    assert row.rounds[1].prompts.target == "from the engine"
    assert model.asked("textgrad") == []
    assert {call.settings["temperature"] for call in engine.calls} == {0.0}


async def test_without_an_engine_the_old_prompts_stay_and_it_is_recorded():
    row = await play(
        Scripted(reward=["3/10", "9/10"]), judge="evidence", reward=Scripted(reward=["3/10", "9/10"]), tools=[sided]
    )
    assert [(u.changed, u.note) for u in row.rounds[0].updates] == [
        (False, "no engine rewrites prompts in this run")
    ] * 3
    assert row.rounds[1].prompts == row.rounds[0].prompts


@tool
def sided(candidate: object) -> object:
    """Takes a side."""
    from anyprefer.tools import Finding

    return Finding("", verdict=(len(candidate.text) % 7 + candidate.index) / 10)


async def test_jointly_each_step_sees_the_prompts_that_were_rewritten_before_it():
    model = looping(textgrad=by_player())
    await play(model, tools=[look])
    target, judge, instruction = (call.user for call in model.asked("textgrad"))
    assert "fit together with it: [Task] You are an expert" in target
    assert "fit together with it: new target {x}" in judge
    assert "The judge's prompt" not in judge
    assert "fit together with it: new target {x}" in instruction
    assert "fit together with it: new judge" in instruction


async def test_independently_all_are_rewritten_at_once_from_the_round_alone():
    at_work, most = 0, 0

    async def slow(call):
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.05)
        at_work -= 1
        return by_player()(call)

    model = looping(textgrad=slow)
    row = await play(model, tools=[look], feedback_mode="independent")
    assert most == len(model.asked("textgrad")) == 3
    assert all("fit together with" not in call.user for call in model.asked("textgrad"))
    assert all(update.changed for update in row.rounds[0].updates)

    most = 0
    await play(looping(textgrad=slow), tools=[look], feedback_mode="joint")
    assert most == 1


HOSTILE = 'Given {"a": {"b": [1, {2}]}} and {answers} {query} {0} {}, what is {x}? \\1 %s'


async def test_a_question_with_braces_and_json_survives_everywhere():
    model = looping(sample=lambda call: f"{{{call.seed}}} {{query}}", textgrad=by_player(judge="{answers} {count}"))
    row = await play(model, a_task(HOSTILE), tools=[look])
    assert row.outcome == "accepted"
    assert row.task.prompt == row.rounds[0].prompts.target == HOSTILE
    assert {call.user for call in model.asked("sample")[:3]} == {HOSTILE}
    for role in ("select_tools", "aggregate", "judge", "reward", "textgrad"):
        assert all(f"Query: {HOSTILE}" in call.user for call in model.asked(role)), role
    assert f"<VARIABLE> {HOSTILE} </VARIABLE>" in model.asked("textgrad")[0].user
    assert model.asked("judge")[1].system == "{answers} {count}"
    for candidate in row.rounds[1].candidates:
        assert f"Answer {candidate.index + 1}:\n{candidate.content}" in model.asked("judge")[1].user
