import json
import re

import pytest

from anyprefer.core.errors import INTERRUPT, BudgetSpent, InputError
from anyprefer.core.results import wilson
from anyprefer.graph.runs.runner import Synthesis
from anyprefer.training.evaluation.gold import read_gold
from anyprefer.training.evaluation.judge_accuracy import eval_settings, judge_accuracy, pair_accuracy
from tests.scripted import Scripted, scores

SUMS = [
    {"id": f"s{n}", "prompt": f"What is {n} + {n}?", "candidates": [str(2 * n), str(2 * n + 1), str(2 * n + 3)],
     "correct": [True, False, False]}
    for n in range(10, 34)
]  # fmt: skip
SOLVED = {
    "question": "What is 2 + 2?",
    "ground_truth": "4",
    "6b_finetuning": {"is_correct": False, "solution": "2 + 2 = 5"},
    "6b_verification": {"is_correct": True, "solution": "2 + 2 = 4"},
    "175b_finetuning": {"is_correct": True, "solution": "2 + 2 = 4"},
    "175b_verification": {"is_correct": True, "solution": "It is 4. 2 + 2 = 4"},
}


def quality(text):
    """A judge that knows: the right sum gets 6, others 3 to 5."""
    return {0: 6}.get(int(text) % 2, 4)


def biased(call):
    """A place counts more than knowledge: the first answer gets 3 points more."""
    shown = re.findall(r"^Answer \d:\n(\d+)$", call.user, re.MULTILINE)
    return scores(*[quality(text) + 3 * (place == 0) for place, text in enumerate(shown)])


def measured(tmp_path, judge, gold=None, objects=None, **values):
    settings = eval_settings(tools=(), **values)
    return judge_accuracy(gold or read_gold(SUMS), settings, tmp_path, judge=judge, **(objects or {}))


def test_a_judge_that_likes_the_first_place_is_found_out_with_one_pass(tmp_path):
    result = measured(tmp_path, Scripted(judge=biased))
    assert (result.n, result.pairs, result.ties) == (24, 48, 0)
    assert result.accuracy < 0.8
    assert result.top1 < 0.6
    assert result.consistency < 0.5
    low, high = result.interval
    assert low < result.accuracy < high < 0.95


def test_as_many_passes_as_answers_take_the_bias_away(tmp_path):
    result = measured(tmp_path, Scripted(judge=biased), judge_passes=3)
    assert (result.accuracy, result.top1, result.consistency) == (1, 1, 1)
    assert result.top1_chance == pytest.approx(1 / 3)


def test_what_cannot_be_scored_is_left_out_and_told(tmp_path):
    def sometimes(call):
        return "I like them all." if "What is 12 " in call.user else biased(call)

    result = measured(tmp_path, Scripted(judge=sometimes), judge_passes=3)
    assert (result.n, result.unscored, result.accuracy) == (23, 1, 1)
    assert "I like them all." in result.first_error


def test_equal_scores_count_half(tmp_path):
    result = measured(tmp_path, Scripted(judge=scores(5, 5, 5)))
    assert (result.accuracy, result.ties, result.consistency) == (0.5, 48, 1)
    assert result.top1 == pytest.approx(1 / 3)


def test_the_verdicts_hold_what_led_to_the_scores_and_a_second_call_asks_nothing(tmp_path):
    gold = read_gold([{**SOLVED, "id": "x"}])
    settings = eval_settings(judge="evidence", tools=("calculator",))
    result = judge_accuracy(gold, settings, tmp_path)
    assert (result.accuracy, result.pairs, result.consistency, result.judge_form) == (1, 2, None, "")
    [verdict] = map(json.loads, (tmp_path / "verdicts.jsonl").read_text().splitlines())
    wrong = next(answer for answer in verdict["answers"] if not answer["right"])
    assert wrong["text"] == "2 + 2 = 5"
    assert wrong["score"] == 1
    assert "wrong" in wrong["knowledge"][0]["text"]
    model = Scripted(judge=biased)
    first = measured(tmp_path / "model", model)
    asked = len(model.calls)
    again = measured(tmp_path / "model", model)
    assert len(model.calls) == asked
    assert again.model_dump(exclude={"seconds"}) == first.model_dump(exclude={"seconds"})


def test_with_feedback_the_judges_prompt_is_rewritten_and_the_last_round_counts(tmp_path):
    def learns(call):
        knows = "rewritten" in call.system
        shown = re.findall(r"^Answer \d:\n(\d+)$", call.user, re.MULTILINE)
        return scores(*[quality(text) if knows else 9 - place for place, text in enumerate(shown)])

    def rates(call):
        return "10/10" if int(call.user.partition("Positive response:")[2].split()[0]) % 2 == 0 else "3/10"

    model = Scripted(judge=learns, reward=rates)
    off = measured(tmp_path / "off", model)
    on = measured(tmp_path / "on", model, objects={"reward": model, "engine": model}, max_rounds=2)
    assert off.accuracy < 0.7
    assert on.accuracy > 0.85


def test_tasks_without_a_contrast_are_not_played(tmp_path):
    same = {"id": "all", "prompt": "What is 1 + 1?", "candidates": ["2", "2.0"], "correct": [True, True]}
    model = Scripted(judge=biased)
    result = measured(tmp_path, model, read_gold([*SUMS[:2], same]))
    assert (result.n, result.no_contrast) == (2, 1)
    with pytest.raises(InputError, match="0 answers with right and wrong"):
        measured(tmp_path / "none", model, read_gold([same]))


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Hi?", "chosen": "yes", "rejected": "no"},
        {
            "prompt": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi?"}],
            "chosen": [{"role": "assistant", "content": "yes"}],
            "rejected": [{"role": "assistant", "content": "no"}],
        },
        {
            "chosen": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "yes"}],
            "rejected": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "no"}],
        },
        {"prompt": "Hi?", "candidates": ["no", "yes"], "correct": [False, True]},
        {"question": "Hi?", "a": {"solution": "yes", "is_correct": True}, "b": {"solution": "no", "is_correct": False}},
    ],
)
def test_gold_is_read_from_every_form(row):
    [gold] = read_gold([row])
    assert gold.task.prompt == "Hi?"
    assert gold.right == {"yes": True, "no": False}
    assert gold.task.reference is None
    assert "right" not in gold.task.model_dump_json()
    assert gold.task.system in (None, "Be kind.")


def test_equal_solutions_are_one_answer_and_the_order_is_drawn():
    rows = read_gold([{**SOLVED, "id": str(n)} for n in range(40)])
    assert all(len(gold.task.meta["candidates"]) == 3 for gold in rows)
    first = sum(gold.right[gold.task.meta["candidates"][0]] for gold in rows)
    assert 15 < first < 37
    assert rows == read_gold([{**SOLVED, "id": str(n)} for n in range(40)])
    assert rows != read_gold([{**SOLVED, "id": str(n)} for n in range(40)], seed=1)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "Hi?"}, "a pair needs columns chosen and rejected; it has: prompt"),
        ({"prompt": "Hi?", "candidates": ["a"], "correct": [True, False]}, "lists of the same length"),
        ({"prompt": "Hi?", "candidates": [1], "correct": [True]}, "must be a text"),
        ({"candidates": ["a"], "correct": [True]}, "there is no prompt"),
        ({"question": "q", "a": {"solution": None, "is_correct": True}}, "needs a `solution` text"),
        ({"chosen": 3, "rejected": 4}, "'chosen' must be a text or a list of messages"),
    ],
)
def test_a_row_of_another_form_is_named(row, words):
    with pytest.raises(InputError, match=f"row 2: .*{words}"):
        read_gold([SUMS[0], row])


@pytest.mark.parametrize("n", [1, 20])
def test_a_judge_that_was_always_right_may_be_wrong_yet(n):
    found = pair_accuracy([[(9.0, True), (2.0, False)]] * n, 0)
    assert found["accuracy"] == 1
    assert found["interval"] == pytest.approx(wilson(n, n))


def test_what_a_stopped_run_left_is_no_result(tmp_path, monkeypatch):
    model = Scripted(judge=biased)
    with pytest.raises(BudgetSpent, match="3 calls"):
        measured(tmp_path / "budget", model, max_calls=3)
    with monkeypatch.context() as patch:
        patch.setattr(Synthesis, "stopped", INTERRUPT)  # as after one Ctrl-C
        with pytest.raises(KeyboardInterrupt):
            measured(tmp_path / "stopped", model)
    assert not (tmp_path / "stopped" / "reversed").exists()
    assert not (tmp_path / "stopped" / "verdicts.jsonl").exists()
    assert measured(tmp_path / "stopped", model).n == 24
