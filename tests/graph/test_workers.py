"""Many processes play as one does: on this machine, and on a cluster of two nodes whose workers are killed."""

import asyncio
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
import ray

from anyprefer.core.errors import RunStopped, SettingsError
from anyprefer.graph import Task, asynth, load_settings
from anyprefer.graph.players import assemble
from anyprefer.graph.runs.runner import Synthesis
from anyprefer.graph.runs.workers.driver import Cluster
from anyprefer.models.prices import Prices
from tests.server import OpenAIServer

TASKS = [Task(id=f"{n:03}", prompt=f"Ann has {n} apples and buys {n * 7 % 13} more. How many?") for n in range(40)]
KEY = "a-key-that-only-the-settings-have"


@pytest.fixture(scope="module")
def cluster():
    """The address of a cluster of two nodes with a core each."""
    from ray.cluster_utils import Cluster as Nodes

    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.add_node(num_cpus=1)
    yield nodes.address
    nodes.shutdown()


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


@pytest.fixture(autouse=True)
def objects_of_this_file():
    """Workers need not find this file."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def game(server, **values):
    spec = f"openai:any@{server.url}"
    return {"target": spec, "judge": spec, "tools": ["calculator"], "candidates": 3, "concurrency": 8, **values}


async def rows_of(server, tasks=TASKS, **values):
    return [row async for row in asynth(tasks, **game(server, **values))]


def timeless(value):
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key != "seconds"}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def told(rows):
    return sorted((timeless(row.model_dump(mode="json")) for row in rows), key=lambda row: row["id"])


def worker_processes():
    """Process ids of the workers below this process: their parent is a node's raylet, which is our child."""
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{process}/cmdline").read_text()
            if command.startswith("ray::Worker") and parent(parent(process)) == os.getpid():
                found.append(int(process))
        except OSError:
            continue
    return found


def parent(process):
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()[1])


@pytest.mark.slow
async def test_two_workers_make_the_rows_of_one_and_know_the_key(server, tmp_path):
    alone = await rows_of(server)
    asked = Counter(server.calls)
    server.requests.clear()
    server.calls.clear()
    together = await rows_of(server, workers=2, api_key=KEY, folder=tmp_path / "run")
    assert told(together) == told(alone)
    assert server.calls == asked
    assert {request["key"] for request in server.requests} == {KEY}
    assert all(KEY not in file.read_text(errors="replace") for file in (tmp_path / "run").iterdir())
    assert not ray.is_initialized()
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["requests"] == asked.total() == sum(used["calls"] for used in run["usage"].values())


@pytest.mark.slow
async def test_a_killed_workers_tasks_are_played_again_from_their_answers(cluster, server, tmp_path, caplog):
    tasks = [Task(id=f"{n:03}", prompt=f"What is {n} + {3 * n}?") for n in range(120)]
    rows = []
    settings = game(server, leave_out="n", workers=2, ray=cluster, folder=tmp_path / "run")
    async for row in asynth(tasks, **settings):
        rows.append(row)
        if len(rows) == 30:
            os.kill(worker_processes()[0], signal.SIGKILL)
    assert sorted(row.id for row in rows) == [task.id for task in tasks]
    assert {row.outcome for row in rows} <= {"accepted", "rejected"}
    lines = (tmp_path / "run" / "rows.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["id"] for line in lines) == [task.id for task in tasks]
    asked = Counter((one["role"], one["system"], one["user"], one.get("seed")) for one in server.requests)
    assert len(server.requests) - len(asked) <= 4 * 3, "no more than its four tasks' calls in flight"
    assert [record.message.partition(":")[0] for record in caplog.records if "died" in record.message] != []


@pytest.mark.slow
async def test_budget_and_pairs_are_exact_over_all_workers(cluster, server, tmp_path):
    players = game(server, workers=2, ray=cluster, tools=())
    settings = load_settings(**players, max_calls=77)[0]
    run = Synthesis(settings, tmp_path / "run")
    rows = [row async for row in run.stream(TASKS)]
    assert "max_calls" in run.stopped
    assert sum(server.calls.values()) == 77
    gone_on = Synthesis(settings.model_copy(update={"max_calls": 0, "accept": 9}), tmp_path / "run")
    rows += [row async for row in gone_on.stream(TASKS)]
    assert sum(row.outcome == "accepted" for row in rows) == 9
    assert gone_on.calls.requests == sum(server.calls.values())


@pytest.mark.slow
async def test_requests_of_all_workers_together_keep_to_rpm(cluster, server):
    times = []
    server.requests = _Noting(times)
    await rows_of(server, TASKS[:20], workers=2, ray=cluster, tools=(), max_rounds=1, rpm=900, leave_out="n")
    burst, rate = 9, 900 / 60
    wanted = (len(times) - burst) / rate
    assert wanted <= (times[-1] - times[0]) * 1.02
    assert times[-1] - times[0] <= wanted * 1.1


@pytest.mark.slow
async def test_a_local_model_is_loaded_in_every_worker(tiny):
    """Random weights: what they say is nothing, but it is said in two processes."""
    settings = {"target": f"hf:{tiny}", "judge": "evidence", "candidates": 2, "max_new_tokens": 4, "max_rounds": 1}
    rows = [row async for row in asynth(TASKS[:8], workers=2, concurrency=4, tools=["answer_form"], **settings)]
    assert sorted(row.id for row in rows) == [task.id for task in TASKS[:8]]
    assert all(len(row.rounds[0].candidates) == 2 for row in rows)


class _Noting(list):
    def __init__(self, times):
        self.times = times

    def append(self, request):
        self.times.append(asyncio.get_running_loop().time())


class Teller:
    """A target that answers with its process."""

    name = "teller"

    async def sample(self, task, prompt, seeds):
        await asyncio.sleep(0.05)
        return [f"{os.getpid()} {seed}" for seed in seeds]


class Killer(Teller):
    """A target nothing survives."""

    async def sample(self, task, prompt, seeds):
        os._exit(1)


@pytest.mark.slow
async def test_players_given_as_objects_play_in_the_workers(cluster, server):
    rows = await rows_of(server, TASKS[:24], workers=2, ray=cluster, target=Teller())
    played = {candidate.text.split()[0] for row in rows for candidate in row.rounds[0].candidates}
    assert len(played) == 2
    assert str(os.getpid()) not in played


@pytest.mark.slow
async def test_workers_that_go_on_dying_end_the_run(cluster, server, monkeypatch):
    monkeypatch.setattr("anyprefer.graph.runs.workers.driver.DEATHS", 2)
    with pytest.raises(RunStopped, match="2 workers died one after another"):
        await rows_of(server, TASKS[:4], workers=1, ray=cluster, target=Killer())


@pytest.mark.slow
async def test_what_a_worker_cannot_load_ends_the_run(cluster, server):
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    try:
        with pytest.raises(SettingsError, match="cannot be loaded in a worker: ModuleNotFoundError"):
            await rows_of(server, TASKS[:4], workers=2, ray=cluster, target=_Elsewhere())
    finally:
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


class _Elsewhere(Teller):
    def __reduce__(self):
        return importlib.import_module, ("a_module_that_no_worker_has",)


class Locked(Teller):
    def __init__(self):
        self.lock = threading.Lock()


def test_players_that_cannot_be_sent_are_refused():
    settings = load_settings(workers=2)[0]
    with pytest.raises(SettingsError, match="target cannot be sent to other processes"):
        Cluster(settings, assemble(settings, target=Locked()), Prices())


@pytest.mark.parametrize("values", [{"trace": "mlflow"}, {"record": "tape.jsonl"}])
def test_what_needs_one_process_is_refused(values, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load_settings(workers=2, **values)[0]
    with pytest.raises(SettingsError, match=f"{next(iter(values))} needs a run in one process"):
        Synthesis(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    settings = load_settings(workers=2)[0]
    with pytest.raises(SettingsError, match=r"pip install 'anyprefer\[ray\]'"):
        Synthesis(settings)


async def test_a_cluster_that_is_not_there_is_named(server):
    with pytest.raises(SettingsError, match="Ray does not start on cluster"):
        await rows_of(server, TASKS[:1], workers=2, ray="not an address")


@pytest.mark.slow
async def test_a_frozen_workers_tasks_are_played_again(server, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("anyprefer.graph.runs.workers.remote.SILENCE", 10.0)
    tasks = [Task(id=f"{n:03}", prompt=f"What is {n} + {3 * n}?") for n in range(120)]
    rows = []
    async for row in asynth(tasks, **game(server, leave_out="n", workers=2, folder=tmp_path / "run")):
        rows.append(row)
        if len(rows) == 10:
            os.kill(worker_processes()[0], signal.SIGSTOP)
    assert sorted(row.id for row in rows) == [task.id for task in tasks]
    assert any("gave no sign of life for 10 s" in record.message for record in caplog.records)


LISTENS = """
import contextlib
import os
from pathlib import Path
from anyprefer.graph.runs.workers.driver import _load_ray

def processes(parent):
    # threads start children too
    threads = Path(f"/proc/{parent}/task").iterdir()
    children = " ".join((thread / "children").read_text() for thread in threads).split()
    return [parent, *(one for child in children for one in processes(child))]

def listening():
    sockets = {}
    for line in [line.split() for kind in ("tcp", "tcp6") for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]]:
        if line[3] == "0A":
            sockets[f"socket:[{line[9]}]"] = line[1].rpartition(":")[0]
    for process in processes(str(os.getpid())):
        with contextlib.suppress(OSError):  # it has ended
            for link in Path(f"/proc/{process}/fd").iterdir():
                with contextlib.suppress(OSError, KeyError):
                    yield sockets[os.readlink(link)]

ray = _load_ray(alone=True)
ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
mode = ray.remote(lambda: os.environ["RAY_AUTH_MODE"])
print(ray.get(mode.remote()), *sorted(set(listening())))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's list of sockets")
def test_ray_started_here_listens_on_this_machine_only_and_asks_for_a_token():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run([sys.executable, "-c", LISTENS], capture_output=True, text=True, env=environment, timeout=300)
    mode, *addresses = done.stdout.split()
    assert mode == "token", done.stderr
    assert addresses
    assert {address[-8:] for address in addresses} == {"0100007F"}
