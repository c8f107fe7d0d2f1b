"""AlpacaEval with a judge on loopback that tells how likely either verdict is."""

import math
import re

import pytest

from anyprefer.core.errors import EndpointError, InputError, ModelError, ModelSetupError
from anyprefer.training.evaluation.benchmarks import measure
from tests.loopback import Loopback, completion, refusal
from tests.sample_data import ASKED
from tests.training.benchmarks.conftest import no_hub

LIKES_US = 0.8


def player(likes_us=LIKES_US, logprobs=True):
    """Answers instructions, and as judge prefers the answer with `mine` in it with the probability given."""

    def answer(asked, count):
        text = asked["messages"][-1]["content"]
        if "## Model Outputs" not in text:
            return completion(f"mine, about {text[-3:-1]}")
        first = re.search(r'"model_identifier": "m",\s+"output": """(.*?)"""', text, re.DOTALL)[1]
        m = likes_us if "mine" in first else 1 - likes_us
        said = completion("m" if m > 0.5 else "M")
        if logprobs:
            tops = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in (("m", m), ("M", 1 - m))]
            said["choices"][0]["logprobs"] = {"content": [{**tops[0], "top_logprobs": tops}]}
        return said

    return answer


def judged(server):
    return [body for body in server.bodies if body.get("logprobs")]


def test_a_judge_is_asked_and_both_win_rates_are_given(data, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-written")
    with Loopback(player()) as server:
        given = {"judge": f"openai:judge@{server.url}", "folder": tmp_path / "kept"}
        found = measure("alpaca_eval", f"openai:mine@{server.url}", **given)
        assert (found.n, found.correct, found.unscored) == (8, 8, 0)
        assert found.figures["win_rate"] == pytest.approx(LIKES_US)
        assert 0 < found.figures["length_controlled_minimal_win_rate"] <= 1
        assert "length_controlled_win_rate" not in found.figures  # without the difficulties it is another figure
        assert found.judge == f"openai:judge@{server.url}"
        assert (len(server.bodies), len(judged(server))) == (16, 8)
        assert {body["model"] for body in judged(server)} == {"judge"}
        assert measure("alpaca_eval", f"openai:mine@{server.url}", **given).figures == found.figures
        assert len(judged(server)) == 8  # verdicts are kept
    kept = [file.read_bytes() for file in (tmp_path / "kept").iterdir()]
    assert len(kept) == 4
    assert not any(b"not-to-be-written" in text for text in kept)


def test_the_difficulties_make_it_alpaca_evals_own_figure(data):
    rows = [f"gamed{k},{n},{0.2 * n - 0.7},{1.2 + 0.1 * k},{1 - 2 * k},False" for k in (0, 1) for n in range(8)]
    head = "model,index,instruction_difficulty,preference,std_delta_len,not_gamed_baseline"
    (data / "alpaca_eval" / "df_gamed.csv").write_text("\n".join([head, *rows]) + "\n")
    with Loopback(player()) as server:
        found = measure("alpaca_eval", f"openai:mine@{server.url}", limit=8, judge=f"openai:judge@{server.url}")
    assert found.figures["win_rate"] == pytest.approx(LIKES_US)
    assert 0.5 < found.figures["length_controlled_win_rate"] < 1


@pytest.mark.parametrize("missing", [0, 5, 7])
def test_a_missing_answer_leaves_the_others_their_difficulties(data, monkeypatch, missing):
    rows = [
        f"gamed{k},{n},{n / 10},{1.2 + 0.1 * k},{1 - 2 * k},False" for k in (0, 1) for n in (3, 1, 0, 2, 7, 6, 5, 4)
    ]
    head = "model,index,instruction_difficulty,preference,std_delta_len,not_gamed_baseline"
    (data / "alpaca_eval" / "df_gamed.csv").write_text("\n".join([head, *rows]) + "\n")
    from alpaca_eval.metrics import glm_winrate

    seen, made = [], glm_winrate.make_dmatrix_for_model

    def watched(train, test, formula):
        seen.extend(test["instruction_difficulty"])
        return made(train, test, formula=formula)

    monkeypatch.setattr(glm_winrate, "make_dmatrix_for_model", watched)

    def answer(asked, count):
        failing = asked["messages"][-1]["content"] == ASKED[missing]
        return completion("") if failing else player()(asked, count)

    with Loopback(answer) as server:
        found = measure("alpaca_eval", f"openai:mine@{server.url}", judge=f"openai:judge@{server.url}")
    assert sorted(seen) == pytest.approx([n / 10 for n in range(8) if n != missing])
    assert sorted(found.marks) == sorted(str(n) for n in range(8) if n != missing)
    assert "length_controlled_win_rate" in found.figures


@pytest.mark.parametrize("status", [402, 422])
def test_only_missing_verdicts_are_asked_for_again(data, tmp_path, status):
    """402, an empty account, stops the benchmark; another refusal leaves its verdict out."""
    answered = []

    def answer(asked, count):
        if asked["model"] == "judge" and len(answered) >= most:
            return refusal(status, "not this time")
        if asked["model"] == "judge":
            answered.append(asked)
        return player()(asked, count)

    with Loopback(answer) as server:
        given = {"judge": f"openai:judge@{server.url}", "folder": tmp_path}
        most = 6
        if status == 402:
            with pytest.raises(EndpointError):
                measure("alpaca_eval", f"openai:mine@{server.url}", **given)
        else:
            found = measure("alpaca_eval", f"openai:mine@{server.url}", **given)
            assert (found.n, found.unscored) == (6, 2)
        most, asked = 100, len(server.bodies)
        assert measure("alpaca_eval", f"openai:mine@{server.url}", **given).n == 8
        assert len(server.bodies) - asked == 8 - 6


def test_too_few_verdicts_are_named(data):
    with Loopback(player()) as server, pytest.raises(ModelError, match="4 verdicts are too few"):
        measure("alpaca_eval", f"openai:mine@{server.url}", limit=4, judge=f"openai:judge@{server.url}")


def test_a_failed_answer_is_unscored(data):
    def answer(asked, count):
        failing = asked["messages"][-1]["content"] == ASKED[2]
        return completion("") if failing else player()(asked, count)

    with Loopback(answer) as server:
        found = measure("alpaca_eval", f"openai:mine@{server.url}", judge=f"openai:judge@{server.url}")
    assert (found.n, found.unscored) == (7, 1)


def test_a_judge_without_log_probabilities_is_named(data):
    with Loopback(player(logprobs=False)) as server, pytest.raises(ModelError, match="log-probabilities"):
        measure("alpaca_eval", f"openai:mine@{server.url}", limit=2, judge=f"openai:judge@{server.url}")


@pytest.mark.parametrize("judge", ["evidence", "smollm2", "openai:"])
def test_a_judge_of_another_form_is_refused(judge):
    with pytest.raises(ModelSetupError, match="must be openai:NAME"):
        measure("alpaca_eval", "smollm2", judge=judge)


def test_the_default_judge_needs_a_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelSetupError, match="gpt-4-1106-preview needs OPENAI_API_KEY"):
        measure("alpaca_eval", "smollm2")


def test_missing_instructions_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("ANYPREFER_DATA", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", no_hub)
    with pytest.raises(InputError, match=r"outputs_gpt4_1106_preview.jsonl in the folder ANYPREFER_DATA names"):
        measure("alpaca_eval", "smollm2", judge="openai:judge@http://127.0.0.1:9/v1")


def test_another_threads_look_up_stays_its_own(tmp_path, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    from alpaca_eval.metrics import glm_winrate

    from anyprefer.training.evaluation.benchmarks import alpaca_eval

    monkeypatch.setattr(glm_winrate, "hf_hub_download", lambda **asked: "the hub's")
    given = tmp_path / "df_gamed.csv"
    with alpaca_eval._difficulties(given, 1), ThreadPoolExecutor() as other:
        assert glm_winrate.hf_hub_download(filename="df_gamed.csv") == str(given)
        assert other.submit(glm_winrate.hf_hub_download, filename="df_gamed.csv").result() == "the hub's"
    assert glm_winrate.hf_hub_download() == "the hub's"
