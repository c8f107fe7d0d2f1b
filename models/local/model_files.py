"""Where the files of a model named in a string are: an embedded one, a folder, the hub's cache, or the hub.

The hub is asked once and for a few seconds; transformers alone would try every file five times.
"""

from __future__ import annotations

import difflib
import importlib
from pathlib import Path
from typing import Any

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.local import built, smollm2

SECONDS = 10
"""How long the hub may take to say whether it has a model."""
_REFUSED = (401, 403, 404)


def model_source(spec: str) -> Path | str:
    """A folder, or a hub id whose files the cache or the hub has.

    Raises `ModelSetupError`, naming a near name, for a folder without a model and for what is nowhere.
    """
    if spec == smollm2.NAME:
        return smollm2.smollm2_folder()
    if built.is_built(spec):
        return _known(built.built_folder(spec))
    folder = Path(spec)
    if folder.is_dir():
        if (folder / "config.json").is_file():
            _known(folder)
            return spec
        what = (
            "an adapter, not a whole model"
            if (folder / "adapter_config.json").is_file()
            else "no model: no config.json"
        )
        raise ModelSetupError(f"folder {spec} holds {what}")
    reason = "there is no such folder" if spec.startswith(("/", ".", "~")) else _missing_at_hub(spec)
    if reason:
        raise ModelSetupError(f"cannot load model {spec!r}: {reason}; {_near(spec)}")
    return spec


def _known(folder: Path) -> Path:
    """The folder, with the classes that are ours known to transformers where it needs them."""
    if '"anyprefer_lite0"' in (folder / "config.json").read_text(encoding="utf-8"):
        importlib.import_module("anyprefer.models.local.lite0")
    return folder


def _missing_at_hub(spec: str) -> str:
    """Why the hub does not give this model; empty if it does, or may."""
    if _embedded(spec):
        return "there is no such folder or model"
    from huggingface_hub import constants, hf_hub_url, try_to_load_from_cache, utils

    hub: Any = utils  # its names are not declared as exported
    try:
        if isinstance(try_to_load_from_cache(spec, "config.json"), str):
            return ""
        if constants.HF_HUB_OFFLINE:
            return "it is no folder, not in the hub's cache, and HF_HUB_OFFLINE forbids to ask the hub"
        url = hf_hub_url(spec, "config.json")
        answer = hub.get_session().head(url, headers=hub.build_hf_headers(), timeout=SECONDS, follow_redirects=True)
    except ValueError as error:  # a name that no model of the hub can have
        return f"it is no folder and no id of the hub ({str(error).splitlines()[0]})"
    except Exception as error:  # whatever the hub's client raises without a network
        return f"it is no folder, and the hub cannot be asked ({type(error).__name__})"
    if answer.status_code in _REFUSED:
        return f"it is no folder, and the hub does not give it (status {answer.status_code}: unknown, or log in for it)"
    return ""


def _embedded(spec: str) -> list[str]:
    """An embedded model's name, where this is it misspelt."""
    return difflib.get_close_matches(spec.lower(), [smollm2.NAME, built.SCENES], n=1, cutoff=0.7)


def _near(spec: str) -> str:
    """The fix: a near name among the folders beside it and the embedded models, else what a name may be."""
    parent = Path(spec).parent
    beside = [str(one) for one in parent.iterdir() if one.is_dir()] if parent.is_dir() else []
    found = _embedded(spec) or difflib.get_close_matches(spec, beside, n=1)
    return (
        f"did you mean {found[0]!r}?" if found else "name smollm2, scenes, a folder, or a model of the Hugging Face hub"
    )
