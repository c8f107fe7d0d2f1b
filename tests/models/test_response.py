"""What the body of a 200 says, as servers really write it."""

import json

import pytest

from anyprefer.models.servers.failures import BadAnswer, HTTPStatusError
from anyprefer.models.servers.response import MOST_TOKENS, read, tokens, told
from tests.loopback import completion

GOOD = completion("Hi.")
TEXT = json.dumps(GOOD)


def said(content):
    answer = read(content if isinstance(content, bytes) else content.encode())
    return [choice["message"]["content"] for choice in answer["choices"]]


WRITTEN = {
    "as it should be": TEXT,
    "NaN": TEXT.replace('"created": 1', '"created": NaN'),
    "beyond floats": TEXT.replace('"created": 1', '"created": 1e999'),
    "byte order mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "UTF-16": TEXT.encode("utf-16"),
    "UTF-32": TEXT.encode("utf-32-le"),
    "[DONE] behind it": TEXT + "\n\n[DONE]\n",
    "a log line behind it": TEXT + "\nINFO served in 3 s",
    "in a list": f"[{TEXT}]",
    "one event": f"data: {TEXT}\n\ndata: [DONE]\n\n",
    "an event without [DONE]": f"event: message\ndata: {TEXT}\n\n",
    "a comment before it": f": OPENROUTER PROCESSING\n\ndata: {TEXT}\r\n\r\n",
    "a null choice beside it": json.dumps({**GOOD, "choices": [*GOOD["choices"], None]}),
}


@pytest.mark.parametrize("written", WRITTEN)
def test_an_answer_is_read_as_it_is_written(written):
    assert said(WRITTEN[written])[0] == "Hi."


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (rb"\ud800 half a pair", "? half a pair"),
        (rb"\ud83d\ude00 a pair", "\U0001f600 a pair"),
        (b"\xff\xfe no UTF-8", "\ufffd\ufffd no UTF-8"),
        ("a line separator \u2028 in it".encode(), "a line separator \u2028 in it"),
    ],
)
def test_text_that_nothing_can_write_is_replaced(written, read_as):
    assert said(TEXT.encode().replace(b"Hi.", written)) == [read_as]


def chunk(index=0, finish=None, **delta):
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def events(*chunks, done=True):
    lines = [f"data: {json.dumps(one)}\n\n" for one in chunks]
    return "".join([*lines, "data: [DONE]\n\n"] if done else lines)


def test_a_stream_nobody_asked_for_is_put_together():
    call = {"index": 0, "id": "c", "function": {"name": "look", "arguments": '{"at"'}}
    answer = read(
        events(
            chunk(content="A", reasoning_content="Hm"),
            chunk(1, content="B"),
            chunk(content="a", tool_calls=[call]),
            chunk(tool_calls=[{"index": 0, "function": {"arguments": ': "it"}'}}]),
            chunk(finish="length"),
            chunk(1, finish="stop"),
            {"choices": [], "usage": GOOD["usage"]},
            done=False,
        ).encode()
    )
    first, second = answer["choices"]
    assert (first["message"]["content"], first["finish_reason"]) == ("Aa", "length")
    assert first["message"]["reasoning_content"] == "Hm"
    assert first["message"]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"at": "it"}'}
    assert (second["message"]["content"], second["finish_reason"]) == ("B", "stop")
    assert answer["usage"] == GOOD["usage"]


def choice(**given):
    return json.dumps({**GOOD, "choices": [{"index": 0, "finish_reason": "stop", **given}]})


NONE = {
    "nothing": "",
    "white space": " \n",
    "null": "null",
    "text": '"ok"',
    "a page": "<html><body>Captive portal: log in</body></html>",
    "cut off": TEXT[:-20],
    "deep": "[" * 100_000,
    "no choices": "{}",
    "choices null": json.dumps({**GOOD, "choices": None}),
    "choices empty": json.dumps({**GOOD, "choices": []}),
    "choices text": json.dumps({**GOOD, "choices": "abc"}),
    "choices object": json.dumps({**GOOD, "choices": {"0": GOOD["choices"][0]}}),
    "choices true": json.dumps({**GOOD, "choices": True}),
    "a choice null": json.dumps({**GOOD, "choices": [None]}),
    "a choice text": json.dumps({**GOOD, "choices": ["Hi."]}),
    "no message": choice(text="Hi."),
    "message null": choice(message=None),
    "message text": choice(message="Hi."),
    "message list": choice(message=["Hi."]),
    "content number": choice(message={"content": 5}),
    "content true": choice(message={"content": True}),
    "content object": choice(message={"content": {"text": "Hi."}}),
    "content of odd parts": choice(message={"content": [{"type": "text", "text": "Hi."}, 5, None]}),
    "a stream cut off": events(chunk(content="A"), done=False),
    "a stream cut off in a value": 'data: {"choices": [{"del',
}


@pytest.mark.parametrize("written", NONE)
def test_what_is_no_answer_is_said_to_be_none(written):
    with pytest.raises(BadAnswer, match=r"^Answer error: "):
        said(NONE[written])


def test_a_choice_that_a_filter_left_out_is_an_empty_answer():
    left_out = choice().replace('"finish_reason": "stop"', '"finish_reason": "content_filter"')
    assert said(left_out) == [None]
    beside = {**GOOD, "choices": [*GOOD["choices"], {"index": 1, "finish_reason": "stop", "message": None}]}
    assert said(json.dumps(beside)) == ["Hi.", None]


def test_odd_things_beside_the_message_are_left_out():
    answer = read(choice(finish_reason=5, logprobs="x", message={"content": "Hi."}).encode())
    assert (answer["choices"][0]["finish_reason"], answer["choices"][0]["logprobs"]) == (None, None)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"error": {"message": "busy", "code": 503}}, 503),
        ({"error": {"message": "slow down", "code": "429"}}, 429),
        ({"error": {"message": "no", "code": "invalid_api_key"}}, 401),
        ({"error": {"message": "no", "type": "authentication_error"}}, 401),
        ({"error": {"message": "no", "code": "model_not_found", "type": "invalid_request_error"}}, 404),
        ({"error": {"message": "no", "type": "rate_limit_error"}}, 429),
        ({"error": {"message": "no", "type": "overloaded_error"}}, 503),
        ({"error": "Unexpected endpoint or method. (POST /chat/completions)"}, 404),
        ({"error": "something"}, 502),
        ([{"error": {"message": "no", "code": 400, "status": "INVALID_ARGUMENT"}}], 400),
        ({"object": "error", "message": "no", "code": 40301}, 502),
        ({"object": "error", "message": "The model `m` does not exist (not found)", "code": 404}, 404),
        ({"detail": "Not Found"}, 404),
        ({"error": {"message": "no", "code": True}, "choices": None}, 502),
    ],
)
def test_an_error_in_a_200_is_the_error_it_is(error, status):
    with pytest.raises(HTTPStatusError) as raised:
        read(json.dumps(error).encode())
    assert raised.value.status == status


def usage(read=5, written=3, total=8, **more):
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": total, **more}


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        (usage(), (5, 3)),
        (usage("5", "3", "8"), (5, 3)),
        (usage(5.0, 2.5, 7.5), (5, 3)),
        (usage(5, None, 8), (5, 3)),
        ({"prompt_tokens": 5, "total_tokens": 5}, (5, 0)),
        (usage(MOST_TOKENS, 1, MOST_TOKENS + 1), (MOST_TOKENS, 1)),
        *((odd, None) for odd in (None, {}, [1, 2], True, "12", 7, {"tokens": 3}, usage(0, 0, 0))),
        *((usage(odd, 3, 8), None) for odd in (-5, 2**63, 10**20, True, "many", "-5", "٣", {"a": 1}, [1], None)),
        *((usage(odd, 3, 8), None) for odd in (float("nan"), float("inf"), 1e308)),
        *((usage(5, odd, None), None) for odd in (-1000, 2**62, "few", None)),
    ],
)
def test_numbers_of_tokens_are_sound_or_not_told(given, numbers):
    kept = told(given)
    assert (kept and (kept["prompt_tokens"], kept["completion_tokens"])) == numbers


def test_details_of_usage_are_kept_where_they_are_sound():
    details = {"cached_tokens": 2, "audio_tokens": None}
    assert told(usage(prompt_tokens_details=details)) == usage(prompt_tokens_details=details)
    assert told(usage(prompt_tokens_details={"cached_tokens": "x"})) == usage()
    three = {"prompt_tokens": 5, "completion_tokens": 3, "completion_tokens_details": [1]}
    assert told(three) == usage()


def test_tokens_that_are_not_told_are_estimated_from_sizes():
    assert tokens(read(TEXT.encode()), 400) == (5, 3)
    quiet = read(json.dumps({**GOOD, "usage": None}).encode())
    assert tokens(quiet, 400)[0] == 100
    assert tokens(quiet, 400)[1] > 0


@pytest.mark.parametrize("piece", ["data: {", "\n", "{", '{"a":', "data:\n\n", "data: [DONE]\n\n", "[1] "])
def test_a_million_bytes_of_nonsense_are_no_answer(piece):
    with pytest.raises(BadAnswer):
        said(piece * (10**6 // len(piece)))
