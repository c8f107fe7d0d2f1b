"""What a collector is sent, read as protobuf; counted in bytes."""

import json
import re

import pytest

from anyprefer.core.errors import SettingsError
from anyprefer.graph.tracing.to_otlp import endpoint
from tests.collector import Collector
from tests.scripted import Scripted, a_task
from tests.traced import model_of_three_rounds, rows_of

MOST = 140_000
"""Bytes: a fifth of 0.7 MB, what a task of this kind took when every node told the whole state (this one: 674 kB)."""


@pytest.fixture(autouse=True)
def _of_no_environment(monkeypatch):
    for name in ("ENDPOINT", "HEADERS", "TRACES_ENDPOINT", "TRACES_HEADERS"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)


def ways(spans):
    """By span: how it is reached from the task."""
    by_id = {span["spanId"]: span for span in spans}

    def way(span):
        above = by_id.get(span.get("parentSpanId"))
        return f"{way(above)} > {span['name']}" if above else span["name"]

    return {way(span): span for span in spans}


@pytest.fixture(scope="module")
def sent():
    """One rejected task, as it was sent, with its row."""
    with Collector() as there:
        [row] = rows_of(f"otlp={there.url}")
        [body] = there.bodies("/v1/traces")
        [(_, _, compressed)] = there.requests
        assert len(compressed) < len(body) / 3
        return row, body, there.spans()


def test_a_round_is_one_thing_and_holds_its_steps(sent):
    _, _, spans = sent
    found = ways(spans)
    steps = ("select_tools", "sample", "use_tools", "judge", "reward")
    expected = {f"task t > round {number} > {step}" for number in (1, 2, 3) for step in steps}
    assert expected <= set(found)
    assert "task t > round 2 > update_prompts > textgrad" in found
    assert "task t > round 3 > judge > judge" in found
    assert "task t > round 1 > use_tools > weigh answer 3" in found
    assert {way.count(" > ") for way in found} == {0, 1, 2, 3}
    assert found["task t"]["traceId"] == found["task t > round 1"]["traceId"]


def test_a_task_in_which_all_is_told_takes_140_kb_at_most(sent):
    _, body, _ = sent
    assert 100_000 < len(body) <= MOST


def test_the_root_says_why_and_what_it_is_found_by(sent):
    row, _, spans = sent
    root = ways(spans)["task t"]["attributes"]
    told = json.loads(root["output.value"])
    assert told["outcome"] == "rejected"
    assert told["reason"] == row.reason
    assert "round 2: R 4" in told["reason"]
    assert root["openinference.span.kind"] == "AGENT"
    assert root["gen_ai.operation.name"] == "invoke_agent"
    metadata = json.loads(root["metadata"])
    assert {"task": "t", "outcome": "rejected", "seed": "0", "judge": "Scripted"}.items() <= metadata.items()
    assert {span["attributes"]["session.id"] for span in spans} == {metadata["run"]}
    assert "outcome:rejected" in root["tag.tags"]


def test_a_row_names_its_trace(sent):
    import base64

    row, _, spans = sent
    assert base64.b64decode(spans[0]["traceId"]).hex() == row.trace


def test_scores_stand_where_they_were_given_with_their_analysis(sent):
    _, _, spans = sent
    found = ways(spans)
    judged = found["task t > round 2 > judge"]
    told = judged["attributes"]
    assert told["openinference.span.kind"] == "EVALUATOR"
    assert [told[f"evaluations.{n}.evaluation.score"] for n in range(5)] == [5.0, 4.0, 3.0, 2.0, 1.0]
    assert told["evaluations.1.evaluation.annotator_kind"] == "LLM"
    assert told["evaluations.1.evaluation.explanation"].startswith("answer 2")
    assert json.loads(told["evaluations.1.evaluation.metadata"]) == {"round": 2, "answer": 2}
    rated = found["task t > round 3 > reward"]
    names = {one["attributes"]["gen_ai.evaluation.name"]: one["attributes"] for one in rated["events"]}
    assert names["pair_reward"]["gen_ai.evaluation.score.value"] == 5.0
    assert "The answer needs some words" in names["pair_reward"]["gen_ai.evaluation.explanation"]
    assert names["margin"]["gen_ai.evaluation.score.value"] == 4.0
    of_task = [one["attributes"] for one in found["task t"]["events"]]
    assert [(one["gen_ai.evaluation.name"]) for one in of_task] == ["outcome", "reward"]
    assert of_task[0]["gen_ai.evaluation.score.label"] == "rejected"


def test_a_call_has_its_tokens_and_a_tool_its_answers_number(sent):
    _, _, spans = sent
    found = ways(spans)
    call = found["task t > round 1 > judge > judge"]["attributes"]
    assert [call["llm.token_count.prompt"], call["gen_ai.usage.output_tokens"]] == [10, 2]
    assert call["llm.input_messages.0.message.role"] == "system"
    assert "Answer 5: 1/10" in call["llm.output_messages.0.message.content"]
    used = found["task t > round 1 > use_tools > weigh answer 3"]["attributes"]
    assert json.loads(used["input.value"])["answer"] == 3
    assert json.loads(used["output.value"])["verdict"] == 0.5
    failed = found["task t > round 1 > use_tools > weigh answer 2"]
    assert failed["status"]["code"] == "STATUS_CODE_ERROR"
    assert "out of order" in failed["status"]["message"]


def test_the_choices_of_one_request_count_once():
    """A server reports a request's tokens, and each of its choices repeats them."""
    from tests.server import OpenAIServer

    with Collector() as there, OpenAIServer() as server:
        player = f"openai:any@{server.url}"
        [row] = rows_of(f"otlp={there.url}", model=player, tools=[], max_rounds=1, candidates=4)
        told = [span["attributes"].get("gen_ai.usage.input_tokens", 0) for span in there.spans()]
    assert sum(told) == sum(used.input_tokens for used in row.usage.values()) == server.tokens["read"] > 0


def test_a_node_tells_what_it_read_and_changed_and_not_the_whole_state(sent):
    _, _, spans = sent
    found = ways(spans)
    read = json.loads(found["task t > round 2 > judge"]["attributes"]["input.value"])
    assert set(read) == {"context", *(f"answer {number}" for number in range(1, 6))}
    changed = json.loads(found["task t > round 2 > reward"]["attributes"]["output.value"])
    assert changed["pair"] == {"chosen": "answer 1", "rejected": "answer 5", "margin": 4.0}
    rounds = [json.loads(found[f"task t > round {n}"]["attributes"]["metadata"]) for n in (1, 2)]
    assert rounds[0]["prompt_version"] != rounds[1]["prompt_version"]


def test_langfuse_is_sent_scores_by_its_own_api_with_the_same_key(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20bXkta2V5OmFuZC1zZWNyZXQ=")
    with Collector() as there:
        [row] = rows_of(f"otlp={there.url}/api/public/otel", model=Scripted(), tools=[])
        scores = [json.loads(body) for body in there.bodies("/api/public/scores")]
        assert there.requests[-1][1]["authorization"] == "Basic bXkta2V5OmFuZC1zZWNyZXQ="
        assert len(there.spans()) > 5
    assert {one["traceId"] for one in scores} == {row.trace}
    by_name = {one["name"]: one for one in scores}
    assert by_name["pair_reward"]["value"] == 9.0
    assert by_name["pair_reward"]["comment"] == "A clear pair. 9/10"
    assert by_name["outcome"] | {"id": ""} == {
        **{"id": "", "traceId": row.trace, "name": "outcome", "value": "accepted"},
        **{"dataType": "CATEGORICAL", "comment": "", "metadata": {}},
    }


def test_where_a_collector_is(monkeypatch):
    assert endpoint("") == "http://localhost:4318/v1/traces"
    assert endpoint("http://127.0.0.1:6006/") == "http://127.0.0.1:6006/v1/traces"
    assert endpoint("https://a/v1/traces") == "https://a/v1/traces"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:4318")
    assert endpoint("") == "http://b:4318/v1/traces"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/own")
    assert endpoint("") == "http://c/own"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "c:4317")
    with pytest.raises(SettingsError, match="no http"):
        endpoint("")


def test_keys_and_images_are_in_no_trace(monkeypatch, tmp_path):
    from PIL import Image

    Image.new("RGB", (4, 2), "red").save(tmp_path / "red.png")
    monkeypatch.setenv("THE_API_KEY", "a-secret-of-mine")
    model = model_of_three_rounds(sample=lambda call: f"a-secret-of-mine {call.number}")
    task = a_task(images=[str(tmp_path / "red.png")])
    with Collector() as there:
        rows_of(f"otlp={there.url}", task, model=model, max_rounds=1, image_roots=[str(tmp_path)])
        [body] = there.bodies("/v1/traces")
    assert b"a-secret-of-mine" not in body
    assert b"[THE_API_KEY]" in body
    assert b"base64," not in body
    assert re.search(rb"data:image/png;sha256,[0-9a-f]{64}", body)
    assert b"red.png" in body
