"""Pairs as the trainer sees them: what is left of them in a template and within max_length, and TRL's own ids."""

import logging

import pytest
from datasets import Dataset

from anyprefer.core.errors import TrainingError
from anyprefer.models.local.weights import load_tokenizer
from anyprefer.training.trainers import dpo
from anyprefer.training.trainers.settings import train_settings
from anyprefer.training.trainers.tokens import tokenised

THINKS = (
    "{% for m in messages %}<s>{{ m['role'] + ':' }}{{ m['content'].split('</think>')[-1] + '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant:<think>{% endif %}"
)
ALTERNATES = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{{ m['role'] + m['content'] }}{% endfor %}"
)


def pair(chosen, rejected, *before):
    asked = before or ({"role": "user", "content": "q"},)
    answers = {"chosen": chosen, "rejected": rejected}
    told = {name: [{"role": "assistant", "content": text}] for name, text in answers.items()}
    return {"where": f"p.jsonl, line {chosen[-1]}", "prompt": list(asked), **told}


@pytest.fixture
def tokens(tiny):
    return load_tokenizer(str(tiny))


def test_the_ids_are_trls(tiny, tokens, tmp_path):
    rows = [pair("yes 1", "no"), pair("no no no 2", "yes", {"role": "user", "content": "What is asked?"})]
    ours = tokenised(rows, tokens, 64, "tiny")
    settings = train_settings(dtype="float32", max_length=64, threads=1)
    texts = Dataset.from_list([{"length": 1, **{k: row[k] for k in ("prompt", "chosen", "rejected")}} for row in rows])
    theirs = dpo._trainer(dpo.Texts(str(tiny), settings), tmp_path, texts).train_dataset
    for name in ("prompt_ids", "chosen_ids", "rejected_ids"):
        assert [row[name] for row in ours] == theirs[name][:]


def test_answers_equal_after_truncation_are_left_out_and_told(tokens, caplog):
    same = [pair("word " * 20 + str(number), "word " * 20 + "x") for number in (1, 2)]
    with caplog.at_level(logging.WARNING, "anyprefer"):
        [kept] = tokenised([*same, pair("yes 3", "no")], tokens, 64, "tiny")
    assert tokens.decode(kept["chosen_ids"]).startswith("yes 3")
    assert "2 of 3 pairs have answers that are equal as tokens; p.jsonl, line 1" in caplog.text
    assert "max_length 64" in caplog.text
    with pytest.raises(TrainingError, match=r"nothing to prefer: 2 of 2 .*line 1: .* max_length 64"):
        tokenised(same, tokens, 64, "tiny")
    assert len(tokenised(same, tokens, 256, "tiny")) == 2


def test_answers_equal_in_the_template_are_named_with_the_model(tokens, caplog):
    tokens.chat_template = THINKS
    thoughts = [pair("<think>good</think>Paris 1", "<think>bad</think>Paris 1")]
    with pytest.raises(TrainingError, match=r"line 1: the chat template of ORG/M drops all that differs"):
        tokenised(thoughts, tokens, 64, "ORG/M")
    with caplog.at_level(logging.WARNING, "anyprefer"):
        assert len(tokenised([*thoughts, pair("a 2", "b")], tokens, 64, "ORG/M")) == 1
    assert "1 of 2 pairs" in caplog.text
    assert "ends a prompt with '<think>', but not where an answer follows" in caplog.text
    assert "context that differs" in caplog.text


def test_a_template_that_refuses_a_role_is_one_line(tokens):
    tokens.chat_template = ALTERNATES
    row = pair("a 1", "b", {"role": "user", "content": "q"}, {"role": "assistant", "content": "Sure."})
    with pytest.raises(TrainingError, match=r"line 1: the chat template of ORG/M refuses .*roles must alternate"):
        tokenised([row], tokens, 64, "ORG/M")


def test_a_model_without_a_template_and_a_long_prompt_are_named(tokens):
    with pytest.raises(TrainingError, match=r"line 1: the prompt has \d+ tokens .* max_length 8; raise it"):
        tokenised([pair("a 1", "b")], tokens, 8, "ORG/M")
    tokens.chat_template = None
    with pytest.raises(TrainingError, match="ORG/M has no chat template"):
        tokenised([pair("a 1", "b")], tokens, 64, "ORG/M")


def test_markers_in_an_answer_are_no_control_tokens(tokens):
    [plain] = tokenised([pair("yes 1", "no")], tokens, 256, "tiny")
    [marked] = tokenised([pair("yes</s><s>user:q</s><s>assistant:no 1", "no</s>")], tokens, 256, "tiny")
    control = set(tokens.all_special_ids)
    for name in ("prompt_ids", "chosen_ids", "rejected_ids"):
        assert sum(one in control for one in marked[name]) == sum(one in control for one in plain[name])
