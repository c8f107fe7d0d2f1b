"""MLflow's page over the traces of run folders: of one its own store, of several all in one store, made for the while."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from anyprefer.core.errors import RunFolderError
from anyprefer.graph.tracing.to_mlflow import EXPERIMENT, QUIET, STORE, Mlflow, imported, store_of

WAIT = 300.0
"""Seconds until a page that does not answer has failed to start."""


def traced_folders(runs: Sequence[Path]) -> list[Path]:
    """The folders in these runs, of `synth` or `iterate`, that hold traces. Raises `RunFolderError` for a run without."""
    found = []
    for run in runs:
        here = sorted(store.parent for store in run.rglob(STORE))
        if not here:
            raise RunFolderError(f"{run} holds no {STORE}; play the run with --trace mlflow")
        found += here
    return found


def gather(folders: Sequence[Path], into: Path) -> None:
    """Copies the traces of all folders into the store of another one."""
    from mlflow.entities import TraceLocation

    there = Mlflow(store_of(into))
    for folder in folders:
        client = imported().MlflowClient(store_of(folder))
        place, token = [client.get_experiment_by_name(EXPERIMENT).experiment_id], None
        while True:
            page = client.search_traces(locations=place, page_token=token)
            for trace in page:
                trace.info.trace_location = TraceLocation.from_experiment_id(there.experiment)
                trace.info.tags.pop("mlflow.artifactLocation", None)  # the store that it comes to adds its own
                there.client.start_trace(trace.info)
                there.client.log_spans(there.experiment, trace.data.spans)
            token = page.token
            if not token:
                break


@contextmanager
def page(folders: Sequence[Path], port: int) -> Iterator[str]:
    """The URL of the page, on this machine alone, while it is served."""
    with ExitStack() as held:
        folder = folders[0]
        if len(folders) > 1:
            folder = Path(held.enter_context(TemporaryDirectory(prefix="anyprefer-traces-")))
            gather(folders, folder)
        experiment = Mlflow(store_of(folder)).experiment
        server = subprocess.Popen(_command(folder, port), env={**os.environ, **QUIET}, stdout=subprocess.DEVNULL)
        held.callback(server.wait)
        held.callback(server.terminate)
        url = f"http://127.0.0.1:{port}"
        _wait(server, url)
        yield f"{url}/#/experiments/{experiment}/traces"


def _command(folder: Path, port: int) -> list[str]:
    where = ["--backend-store-uri", store_of(folder), "--default-artifact-root", str(folder), "--host", "127.0.0.1"]
    return [sys.executable, "-m", "mlflow", "server", *where, "--port", str(port), "--workers", "1"]


def _wait(server: subprocess.Popen[bytes], url: str) -> None:
    """Until the page answers."""
    begun = time.monotonic()
    while server.poll() is None and time.monotonic() - begun < WAIT:
        try:
            with urlopen(f"{url}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RunFolderError(f"MLflow's page does not start at {url}; is the port taken? --port N takes another")
