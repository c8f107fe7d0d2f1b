"""A data set's folder on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from anyprefer.core.errors import InputError, SettingsError
from anyprefer.core.secrets import keep_secret, redact


def check_name(name: str) -> None:
    """Raises `SettingsError` for what is no ORG/NAME, and where there is no token."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise SettingsError(f"--push {name}: {error}") from None
    if name.count("/") != 1:
        raise SettingsError(f"--push {name!r} must be ORG/NAME")
    if not get_token():
        raise SettingsError("--push needs a token of the hub: set HF_TOKEN, or log in with `hf auth login`")


def push(folder: Path, name: str, public: bool = False) -> str:
    """Uploads the folder in one commit and returns the data set's address; a new one is private unless `public`.

    Raises `InputError` with the hub's words, without the token.
    """
    from huggingface_hub import HfApi, get_token

    keep_secret(get_token() or "", "HF_TOKEN")
    api = HfApi()
    try:
        address = api.create_repo(name, repo_type="dataset", private=not public, exist_ok=True)
        api.upload_folder(
            folder_path=folder, repo_id=name, repo_type="dataset", commit_message="anyprefer export",
            delete_patterns=["*.parquet", "files/*"],
        )  # fmt: skip
    except Exception as error:  # the hub's client raises those of its HTTP library, OSError and ValueError too
        raise InputError(
            f"the hub did not take {name}: {redact(str(error))}; {folder} is whole, push it again"
        ) from None
    return redact(str(address))
