import pytest

from anyprefer.core.errors import SettingsError
from anyprefer.core.records import Candidate, Judgment, PreferencePair
from anyprefer.graph import build_graph
from anyprefer.nodes.pair import pair
from anyprefer.nodes.pair_builders.best_worst import best_worst
from anyprefer.nodes.pair_builders.by_name import pair_builder
from anyprefer.nodes.pair_builders.ranks import ranks
from anyprefer.nodes.pair_builders.reference_chosen import reference_chosen
from tests.scripted import Scripted, a_task, play, scores


def a_round(*given, contents="abcde", **values):
    candidates = [Candidate(index=i, content=contents[i], seed=i) for i in range(len(given))]
    judgments = [Judgment(candidate=i, score=score) for i, score in enumerate(given)]
    return {"task": a_task(**values), "candidates": candidates, "judgments": judgments}


async def form(builder, *given, min_margin=0.0, contents="abcde", **values):
    return await pair(builder, min_margin)(a_round(*given, contents=contents, **values))


def test_best_worst_takes_top_and_bottom():
    assert best_worst(a_round(4, 9, 2, 5)) == PreferencePair(
        chosen="b", rejected="c", chosen_index=1, rejected_index=2, chosen_score=9, rejected_score=2
    )


@pytest.mark.parametrize(
    ("better", "worse", "chosen", "rejected"), [(1, 5, "b", "e"), (3, 5, "a", "e"), (1, 2, "b", "d"), (1, 3, "b", "a")]
)
def test_ranks_count_from_the_best(better, worse, chosen, rejected):
    built = ranks(better, worse)(a_round(5, 9, 3, 7, 1))
    assert (built.chosen, built.rejected) == (chosen, rejected)


def test_ranks_need_as_many_candidates():
    assert "Only 3 different" in ranks(3, 5)(a_round(1, 2, 3))


@pytest.mark.parametrize("given", [(), (5,)])
def test_fewer_than_two_candidates_form_no_pair(given):
    assert f"Only {len(given)} different" in best_worst(a_round(*given))


async def test_equal_scores_form_no_pair():
    assert "the better answer 6 and the worse one 6" in await form(best_worst, 6, 6, 6)


@pytest.mark.parametrize(("low", "formed"), [(6, False), (5, False), (4, True)])
async def test_the_margin_must_be_above_the_minimum(low, formed):
    assert isinstance(await form(best_worst, 7, low, min_margin=2), PreferencePair) is formed


async def test_negative_costs_rank_as_they_are():
    formed = await form(best_worst, -12.5, -0.25, -3)
    assert (formed.chosen, formed.margin) == ("b", 12.25)


async def test_a_builder_that_pairs_an_answer_with_itself_is_refused():
    assert "same text" in await form(lambda state: PreferencePair(chosen=[1], rejected=[1]), 1, 2)


async def test_the_reference_is_chosen_and_the_lowest_other_answer_rejected():
    formed = await form(reference_chosen, 9, 4, 1, reference="c", min_margin=9)
    assert (formed.chosen, formed.rejected, formed.rejected_index, formed.rejected_score) == ("c", "b", 1, 4)
    assert formed.chosen_index is formed.chosen_score is formed.margin is None


@pytest.mark.parametrize(
    ("reference", "given", "note"), [(None, (1, 2), "no reference"), ("a", (1,), "Every sampled answer")]
)
async def test_no_reference_or_nothing_but_the_reference_forms_no_pair(reference, given, note):
    assert note in await form(reference_chosen, *given, reference=reference)


@pytest.mark.parametrize(
    ("reference", "contents", "rejected"),
    [
        ("91", ["The answer is 91", "not 91", "81"], "81"),
        ("12 * 3 = 36\n#### 36", ["36", "12 * 3 = 36, so 36 clips", "35"], "35"),
        ("C++", ["It is C++.", "c++", "C"], "C"),
        ("Lima", ["Lima.", "Lima, Peru", "Cusco"], "Cusco"),
    ],
)
async def test_no_answer_that_agrees_with_the_reference_is_rejected(reference, contents, rejected):
    formed = await form(reference_chosen, 1, 2, 9, contents=contents, reference=reference)
    assert (formed.chosen, formed.rejected) == (reference, rejected)
    noted = await form(reference_chosen, 1, 2, contents=contents[:2], reference=reference)
    assert "agrees with the reference" in noted


@pytest.mark.parametrize(
    ("reference", "contents", "rejected"),
    [
        ("no", ["oesophagus", "Yes, a large one.", "no"], "Yes, a large one."),
        ("left lung", ["no", "yes", "the liver"], "the liver"),
        ("two", ["the liver", "There are 3 of them.", "2"], "There are 3 of them."),
        ("the liver", ["3", "It may be the liver or the spleen.", "A mass is seen. It is in a kidney."], "A mass is seen. It is in a kidney."),
        ({"answer": "a red circle.", "objects": []}, ["A red circle.", "a blue star.", "yes"], "a blue star."),
    ],
)  # fmt: skip
async def test_a_rejected_answer_is_wrong_and_has_the_form_that_the_question_asks_for(reference, contents, rejected):
    formed = await form(reference_chosen, 1, 2, 9, contents=contents, reference=reference)
    assert formed.rejected == rejected
    assert formed.chosen == (reference["answer"] if isinstance(reference, dict) else reference)


async def test_a_wrong_answer_that_was_cut_off_is_not_rejected_for_the_gold_one():
    state = a_round(1, 9, contents=["the live", "a kidney"], reference="the spleen")
    state["candidates"][0] = state["candidates"][0].model_copy(update={"ended": "length"})
    assert reference_chosen(state).rejected == "a kidney"


async def test_answers_that_were_not_judged_form_no_pair():
    judged = [Judgment(candidate=2, score=9), Judgment(candidate=0, score=1)]
    state = {**a_round(1, 2, 3), "judgments": judged}
    formed = best_worst(state)
    assert (formed.chosen_index, formed.rejected_index) == (2, 0)
    assert "Only 1 of 3 answers could be judged" in best_worst({**state, "judgments": judged[:1]})
    assert "Only 2 of 3 answers could be judged" in ranks(1, 3)(state)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("worst_best", r"there are: FILE\.py:NAME, best_worst, corrected, edited, ranks, reference_chosen"),
        ("best_wurst", "did you mean 'best_worst'"),
        ("rank(1,2)", "did you mean 'ranks'"),
        ("ranks", r"ranks\(better, worse, candidates\) is given the round"),
        ("ranks(1)", r"ranks\(1\): missing a required argument: 'worse'"),
        ("ranks(a,b)", "unknown pair builder"),
        ("best_worst(1,2)", "too many positional arguments"),
        ("", "unknown pair builder"),
    ],
)
def test_an_unknown_builder_is_told_the_known_ones(spec, words):
    with pytest.raises(SettingsError, match=words):
        pair_builder(spec, 5)


def test_a_builder_of_the_old_form_is_told_the_new_one():
    def old(task, candidates, judgments):
        return None

    with pytest.raises(
        SettingsError, match=r"it\(task, candidates, judgments\) is given the round, .* build\(state: GameState\)"
    ):
        build_graph(target=Scripted(), judge=Scripted(), tools=[], build_pair=old)


async def test_a_builder_sees_what_the_tools_found_and_how_far_the_judge_wavered():
    seen = {}

    def keep(state):
        seen.update(state)
        return "Nothing suits."

    row = await play(Scripted(judge=scores(9, 5, 1)), build_pair=keep, tools=["calculator"], max_rounds=1)
    assert row.reason.endswith("Nothing suits.")
    assert {"task_knowledge", "candidate_knowledge", "context", "prompts"} <= seen.keys()
    assert [judgment.spread for judgment in seen["judgments"]] == [0, 0, 0]


@pytest.mark.parametrize("name", ["ranks(0,2)", "ranks(2,2)", "ranks(3,1)", "ranks(1,6)"])
def test_ranks_outside_the_candidates_are_refused_before_anything_runs(name):
    with pytest.raises(SettingsError, match="1 <= i < j <= 5"):
        build_graph(target=Scripted(), judge=Scripted(), tools=[], pair=name)


async def test_the_setting_picks_the_builder():
    row = await play(Scripted(judge=scores(9, 5, 1)), pair="ranks(2, 3)")
    assert (row.pair.chosen_score, row.pair.rejected_score) == (5, 1)
    row = await play(Scripted(judge=scores(9, 5, 1)), a_task(reference="gold"), pair="reference_chosen")
    assert (row.pair.chosen, row.pair.rejected_score) == ("gold", 1)


async def test_a_function_may_build_the_pair():
    def second_and_first(state):
        first, second = state["candidates"][:2]
        return PreferencePair(chosen=second.content, rejected=first.content)

    row = await play(Scripted(sample=["a", "b", "c"]), build_pair=second_and_first)
    assert (row.pair.chosen, row.pair.rejected) == ("b", "a")


async def test_a_round_without_a_pair_ends_rejected_with_the_reason():
    row = await play(Scripted(judge=scores(5, 5, 4)), min_margin=1.5, max_rounds=2)
    assert row.outcome == "rejected"
    assert row.pair is None
    assert row.reason.startswith("no pair after 2 rounds: The judge scored the better answer 5 and the worse one 4;")
