"""A policy behind a URL: what it is asked, and answers that are refused."""

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from PIL import Image

from anyprefer.core.errors import ModelError, ModelSetupError
from anyprefer.models.policies.by_name import policy, trainable
from tests.policies import CARROT, seen


@pytest.fixture
def server():
    """A server that answers with `server.answer`, and keeps what it was asked in `server.asked`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            made.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(made.status)
            self.send_header("Location", "http://127.0.0.1:9/other")
            self.end_headers()
            self.wfile.write(made.answer if isinstance(made.answer, bytes) else json.dumps(made.answer).encode())

        def log_message(self, *given):
            pass

    made = HTTPServer(("127.0.0.1", 0), Handler)
    made.asked, made.status = [], 200
    made.url = f"http://127.0.0.1:{made.server_port}/act"
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def acted(server, n=2):
    return policy(f"server:{server.url}").act(seen(n), [CARROT] * n, range(n), 0.5)


def test_a_server_is_asked_for_a_step_of_all_episodes(server):
    server.answer = {
        "actions": [[0.01] * 7, [0.02] * 7],
        "tokens": [[1] * 7, [2] * 7],
        "log_probabilities": [[-1] * 7] * 2,
    }
    found = acted(server)
    assert found.actions[:, 0].tolist() == [0.01, 0.02]
    assert found.tokens[1].tolist() == [2] * 7
    [asked] = server.asked
    assert (asked["instructions"], asked["seeds"], asked["temperature"]) == ([CARROT] * 2, [0, 1], 0.5)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(asked["observations"][1]["pixels"]))))
    assert np.array_equal(pixels, seen(2)[1]["pixels"])
    server.answer = {"actions": [[0] * 7] * 2}
    assert np.isnan(acted(server).log_probabilities).all()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "actions that are not 2 times 7 finite numbers"),
        ({"actions": [[0] * 7]}, "actions that are not 2 times 7"),
        ({"actions": [[0] * 6] * 2}, "actions that are not 2 times 7"),
        ({"actions": [["x"] * 7] * 2}, "actions that are not 2 times 7"),
        (b'{"actions": [[NaN,0,0,0,0,0,0],[0,0,0,0,0,0,0]]}', "actions that are not 2 times 7"),
        ({"actions": [[10**400] * 7] * 2}, "actions that are not 2 times 7"),
        ({"actions": [[0] * 7] * 2, "tokens": [[256] * 7] * 2}, "tokens that are no bins 0 to 255"),
        ({"actions": [[0] * 7] * 2, "tokens": [[0.5] * 7] * 2}, "tokens that are no bins"),
        ({"actions": [[0] * 7] * 2, "log_probabilities": [[1] * 7] * 2}, "log_probabilities over 0"),
        ([], "no JSON object"),
        (b"x" * (2**20 + 1), "no JSON object"),
        (b"not json", "did not answer"),
        (b"[" * 100_000, "did not answer"),
    ],
)
def test_what_is_no_answer_is_refused(server, answer, said):
    server.answer = answer
    with pytest.raises(ModelError, match=said):
        acted(server)


def test_redirects_and_failures_are_errors_and_urls_are_checked(server):
    server.answer = {}
    for status in (302, 500):
        server.status = status
        with pytest.raises(ModelError, match="did not answer"):
            acted(server)
    with pytest.raises(ModelSetupError, match="needs a URL such as"):
        policy("server:localhost")
    with pytest.raises(ModelSetupError, match="is behind a URL"):
        trainable(f"server:{server.url}")
