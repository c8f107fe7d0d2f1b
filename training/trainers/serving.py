"""Freshly trained LoRA adapters served by name: vLLM and SGLang load them while they run.

    serve_adapter("http://localhost:8000/v1", "round-1", Path("models/round-1"))

vLLM must have been started with `--enable-lora` and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, SGLang with
`--enable-lora`. The server reads the folder from its own disk: same machine, or a shared file system.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

from anyprefer.core.errors import TrainingError

SECONDS = 300
"""Longest wait for a server to load an adapter."""
_MEND = (
    "start vLLM with --enable-lora --max-lora-rank R and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, "
    "or SGLang with --enable-lora --max-lora-rank R"
)


def serve_adapter(url: str, name: str, folder: Path, key: str = "") -> None:
    """Have the server at `url` (…/v1) answer under the model name `name` with the adapter in `folder`.

    `key` is that server's. An adapter it already serves under that name is left as it is. Raises `TrainingError` naming the fix:
    no server, no LoRA in it, an adapter it refuses.
    """
    if not (folder / "adapter_config.json").is_file():
        raise TrainingError(f"{folder} holds no adapter to serve; adapter_config.json is missing")
    root = url.rstrip("/").removesuffix("/v1")
    asked = {"lora_name": name, "lora_path": str(folder.resolve())}
    for path in ("/v1/load_lora_adapter", "/load_lora_adapter"):  # vLLM's, SGLang's
        status, said = _post(root + path, asked, key)
        if status == 200 or "already" in said.lower():
            return
        if status not in (404, 405):
            raise TrainingError(f"{root} could not load adapter {name!r} ({status}: {said[:300]}); {_MEND}")
    raise TrainingError(f"{root} cannot load adapters while it runs; {_MEND}")


def _post(url: str, body: dict[str, str], key: str) -> tuple[int, str]:
    """Status and text of the answer, whatever the status."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except (OSError, ValueError) as error:
        raise TrainingError(f"no server answers at {url} ({error}); start it, or correct the URL") from error
