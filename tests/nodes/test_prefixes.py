"""Servers keep the work on a prompt's beginning: what calls share stands first."""

from itertools import takewhile

from tests.scripted import Scripted, a_task, play


def text(call):
    return "\n".join(str(message.text) for message in call.messages)


def shared(one, other):
    pairs = zip(text(one), text(other), strict=False)
    return "".join(letter for letter, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


async def test_all_candidates_of_a_task_have_one_prompt():
    model = Scripted()
    await play(model, max_rounds=1)
    assert len({text(call) for call in model.asked("sample")}) == 1


async def test_a_judges_passes_share_all_but_the_answers_order():
    model = Scripted(judge=lambda call: "\n".join(f"Answer {n}: {9 - n}/10" for n in range(1, 4)))
    await play(model, judge_passes=3, max_rounds=1)
    first, second, _ = model.asked("judge")
    assert "Query: What is 2 + 2?\n" in shared(first, second)
    assert "\n\nAnswers:\n" in shared(first, second)


async def test_tasks_share_policy_and_examples():
    model = Scripted()
    examples = "Example: a good answer, 9/10. " * 20
    await play(model, a_task(id="1"), a_task("Why is the sky blue?", id="2"), examples=examples, max_rounds=1)
    for role in ("judge", "reward"):
        one, other = model.asked(role)
        assert examples.strip() in shared(one, other), role
