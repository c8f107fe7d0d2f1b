"""Published marking rules, each against values computed by hand from its source."""

from collections import Counter

import pytest

from anyprefer.core.results import EvalResult, summed
from anyprefer.training.evaluation.rules import choices, coco_mentions, llava_med, mentions, report_texts, yes_no
from anyprefer.training.evaluation.rules.vqa_words import eval_ai, normal, vqa_accuracy


@pytest.mark.parametrize(
    ("answer", "pope", "strict", "mme", "form"),
    [
        ("Yes", "yes", "yes", "yes", True),
        ("no.", "no", "no", "no", True),
        ("No, there is not. Yes", "no", "", "no", False),
        ("maybe", "yes", "", "", False),  # POPE's rule: whatever is not no is yes
        ("", "yes", "", "", False),
        ("NO", "yes", "no", "no", True),  # POPE's rule knows "No" and "no" alone
        ("There is nothing. No", "yes", "no", "", False),  # only the first sentence counts
        ("Yes, there is a dog", "yes", "yes", "yes", False),
        ("The answer is yes", "yes", "yes", "", False),  # MME reads four letters
        ("Nothing of that", "yes", "", "no", False),
        ("I do not see it", "no", "", "", False),
    ],
)
def test_what_an_answer_says_by_three_rules(answer, pope, strict, mme, form):
    assert (yes_no.pope(answer), yes_no.strict(answer), yes_no.mme(answer)) == (pope, strict, mme)
    assert yes_no.in_form(answer) is form


def test_accuracy_f1_and_yes_ratio_by_hand():
    """Of 4 questions, 2 yes: three said yes, two of them rightly, one said no wrongly... F1 = 2*1/(2+2)."""
    asked = [("yes", "yes"), ("yes", "no"), ("no", "yes"), ("no", "no")]
    sums = summed(yes_no.counted("random", gold, said) for gold, said in asked)
    assert yes_no.accuracy("random").value(sums) == 0.5
    assert yes_no.f1("random").value(sums) == 2 * 1 / (2 + 2)
    assert yes_no.said_yes("random").value(sums) == 0.5
    other = {**sums, **yes_no.counted("popular", "yes", "yes")}
    assert yes_no.f1("random", "popular").value(other) == pytest.approx((0.5 + 1) / 2)
    assert yes_no.accuracy("random", "popular").value(other) == pytest.approx((0.5 + 1) / 2)
    assert yes_no.said_yes("random", "popular").value(other) == 3 / 5


@pytest.mark.parametrize(
    ("text", "compared"),
    [
        ("The Left Lung.", "left lung"),
        ("two", "2"),
        ("None", "0"),
        ("x-ray", "x ray"),
        ("x - ray", "x ray"),
        ("T2-weighted, axial", "t2 weighted axial"),
        ("1,000 cells/ml", "1000 cellsml"),  # a comma within a number joins whatever a mark parts
        ("3.5 cm", "3.5 cm"),
        ("about 3.", "about 3"),
        ("dont know", "don't know"),
    ],
)
def test_words_as_vqa_compares_them(text, compared):
    assert normal(text) == compared


def test_vqa_accuracy_leaves_each_person_out_once():
    """Three of ten said it: seven see 3 others (1), three see 2 (2/3), so 0.9."""
    golds = ["a dog"] * 3 + ["cat"] * 7
    assert vqa_accuracy("Dog", golds) == pytest.approx((7 * 1 + 3 * 2 / 3) / 10)
    assert vqa_accuracy("cat", golds) == 1
    assert vqa_accuracy("bird", golds) == 0
    assert vqa_accuracy("1", ["one"] + ["two"] * 9) == pytest.approx((9 * 1 / 3) / 10)
    assert eval_ai("What's\tthat?") == "what 's that"


@pytest.mark.parametrize(
    ("answer", "gold", "published", "strict"),
    [
        ("Yes", "yes", True, True),
        ("no", "yes", False, False),
        ("normal", "No", True, False),  # "no" is in "normal"
        ("yes, it is normal", "no", True, False),
        ("left", "left", False, True),  # neither yes nor no: wrong by the published rule, whatever is said
        ("No, the left side", "left", True, False),
        ("Left.", "left", False, True),
    ],
)
def test_closed_questions_by_llava_meds_rule_and_strictly(answer, gold, published, strict):
    assert llava_med.closed_right(answer, gold) is published
    assert llava_med.strict_right(answer, gold) is strict


def test_the_published_rules_ceiling_with_perfect_answers():
    """134 of 141 closed questions of VQA-RAD's first 250 have yes or no as gold: 95.0%."""
    golds = ["yes"] * 70 + ["No"] * 64 + ["left", "right", "MRI", "CT", "axial", "left", "bilateral"]
    sums = summed(llava_med.counted(gold, gold, True) for gold in golds)
    assert llava_med.METRICS["closed (llava-med)"].value(sums) == pytest.approx(134 / 141)
    assert llava_med.METRICS["closed (strict)"].value(sums) == 1
    assert sums["in_form"] == 134
    always = summed(llava_med.counted("normal", gold, True) for gold in golds)
    assert llava_med.METRICS["closed (llava-med)"].value(always) == pytest.approx(64 / 141)


def test_open_recall_by_both_rules():
    """Gold "left lung": "left left left" finds 3 of 3 + 1 by the published rule, 1 of 2 strictly."""
    assert llava_med.recall("left left left", "left lung") == 0.75
    assert llava_med.strict_recall("left left left", "left lung") == 0.5
    assert llava_med.recall("the Left lung", "left lung") == 1
    assert llava_med.recall("heart", "left lung") == llava_med.strict_recall("", "left lung") == 0
    sums = summed([llava_med.counted("left left left", "left lung", False), llava_med.counted("", "liver", False)])
    assert llava_med.METRICS["open recall (llava-med)"].value(sums) == 0.375


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("b", ""),
        ("B. a cat", "B"),
        ("(B) a cat", "B"),
        ("B) cat", "B"),
        ("a cat", "B"),
        ("A cat.", "B"),
        ("The answer is B.", "B"),
        ("The answer is B, the answer is A", ""),
        ("Because", ""),
        ("D", ""),
        ("", ""),
    ],
)
def test_the_choice_an_answer_names(answer, letter):
    assert choices.chosen(answer, ["a dog", "a cat", "a cow"]) == letter


@pytest.mark.parametrize(
    ("caption", "named"),
    [
        ("A man rides a bike.", ["person", "bicycle"]),
        ("Two women and three children with puppies", ["person", "person", "dog"]),
        ("A hot dog next to a dog", ["hot dog", "dog"]),
        ("A baby elephant beside an adult giraffe", ["elephant", "giraffe"]),
        ("A passenger train on train tracks", ["train"]),
        ("The toilet seat is up; the seat of the toilet", ["toilet", "toilet"]),
        ("A wooden seat", ["chair"]),
        ("Three wine glasses, knives and a bow tie", ["wine glass", "knife", "tie"]),
        ("A cell phone on the dining table", ["cell phone", "dining table"]),
        ("A player at home plate with a baseball bat", ["person", "baseball bat"]),
        ("A red fire hydrant, a bus and glasses", ["fire hydrant", "bus"]),
        ("Two TVs and buses", ["tv", "bus"]),
        ("A stove top oven", ["oven", "oven"]),  # CHAIR joins no three words
    ],
)
def test_cocos_objects_as_chair_reads_them(caption, named):
    # "dining table" is two words that CHAIR does not join, and "table" alone means it
    assert coco_mentions.named(caption) == named


def test_cocos_eighty_objects_and_what_is_there():
    assert len(set(coco_mentions.objects().values())) == 80
    assert coco_mentions.gold(["tv", "person"], ["a man with a puppy"]) == {"tv", "person", "dog"}


def test_chair_counts_mentions_and_repeats_lower_f1():
    """Two pictures: 5 mentions, 2 of them of one thing that is not there; 2 of 4 things found, one named twice."""
    one = mentions.counted(["dog", "cat", "dog", "cat"], {"dog", "car"})
    two = mentions.counted(["bus"], {"bus", "person"})
    sums = summed([one, two])
    value = {name: metric.value(sums) for name, metric in mentions.METRICS.items()}
    assert value == pytest.approx(
        {"CHAIR-i": 2 / 5, "CHAIR-s": 1 / 2, "recall": 2 / 4, "F1": 4 / (5 + 4), "mentions": 2.5, "repeats": 2 / 5}
    )
    assert mentions.all_right(mentions.counted(["bus", "person"], {"person", "bus"}))
    assert not mentions.all_right(mentions.counted(["bus", "bus"], {"bus"}))


def test_a_report_is_cleaned_as_r2gen_cleans_it():
    written = "1. Heart size is NORMAL.. 2. No pneumothorax, effusion (or edema). XXXX follow-up."
    assert report_texts.cleaned(written) == (
        "heart size is normal . no pneumothorax effusion or edema . xxxx follow-up ."
    )


def of_reports(*pairs):
    counted = {str(n): report_texts.counted(said, gold) for n, (said, gold) in enumerate(pairs)}
    result = EvalResult(model="m", n=len(pairs), correct=0, tallies=counted, metrics=report_texts.METRICS)
    return {name: result.value(name) for name in report_texts.METRICS}


def test_bleu_is_of_all_reports_together_and_punishes_shortness():
    """ "the lungs are clear ." against "the lungs are clear and dry .": 5 of 5 words, 3 of 4 pairs, 2 of 3 triples and
    1 of 2 fours are found; the length 5 of 7 takes exp(1 - 7/5)."""
    value = of_reports(("The lungs are clear.", "The lungs are clear and dry."))
    brevity = 2.718281828459045 ** (1 - 7 / 5)
    assert value["BLEU-1"] == pytest.approx(brevity)
    assert value["BLEU-2"] == pytest.approx(brevity * (1 * 3 / 4) ** (1 / 2))
    assert value["BLEU-4"] == pytest.approx(brevity * (1 * 3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4))
    assert value["words"] == 5


def test_bleu_is_sacrebleus_corpus_score():
    from sacrebleu.metrics import BLEU

    pairs = [
        ("The heart is normal. Lungs are clear.", "Heart size is normal. The lungs are clear. No effusion."),
        ("No acute disease of the chest.", "No acute cardiopulmonary disease. The chest is clear."),
    ]
    said, gold = ([report_texts.cleaned(pair[side]) for pair in pairs] for side in (0, 1))
    value = of_reports(*pairs)
    for n in range(1, 5):
        theirs = BLEU(max_ngram_order=n, tokenize="none", smooth_method="none", force=True).corpus_score(said, [gold])
        assert value[f"BLEU-{n}"] == pytest.approx(theirs.score / 100)


def test_rouge_l_and_meteor_by_hand():
    """ROUGE-L: 4 of 4 and 4 of 5 words in order, F = 2.44 * 1 * .8 / (.8 + 1.44 * 1). METEOR: 3 words of 4 and 4 in one
    run, one by its stem; mean 10PR / (R + 9P) = .75, less half of (1/3)^3 of it."""
    assert report_texts.rouge_l("a b c d", "a b x c d") == pytest.approx(2.44 * 0.8 / (0.8 + 1.44))
    assert report_texts.rouge_l("x", "y") == 0
    assert report_texts.meteor("clear lungs seen here", "clear lung seen there") == pytest.approx(
        0.75 * (1 - 0.5 * (1 / 3) ** 3)
    )
    value = of_reports(("The lungs are clear.", "The lungs are clear."), ("Nothing", "Cardiomegaly."))
    assert value["ROUGE-L"] == pytest.approx((1 + report_texts.rouge_l("nothing .", "cardiomegaly .")) / 2)


def test_no_word_of_a_contraction_list_is_lost():
    words = Counter(normal(word) for word in ("cant", "youre", "wont", "let's"))
    assert words == {"can't": 1, "you're": 1, "won't": 1, "let's": 1}
