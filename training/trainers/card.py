"""The README.md of an adapter's folder: a model card as the Hugging Face hub reads it, with what it was trained on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyprefer.core.licences import licence_of
from anyprefer.models.local.adapters import adapter_base, public_name
from anyprefer.training.trainers.settings import IMAGE_PRESETS, PRESETS, ImageTrainSettings, TrainSettings

if TYPE_CHECKING:
    from anyprefer.training.trainers.train_report import TrainReport

_CARD = """---
base_model: {quoted}
library_name: peft
pipeline_tag: {task}
tags:
- anyprefer
- dpo
- lora
---
# {name}

A LoRA adapter for {base} (licence: {licence}), trained on {trained} preference pairs by direct preference optimisation (DPO).

## Training data

| file | pairs | SHA-256 |
|---|---|---|
{files}

{counts}

## Training

```
{command}
```

{steps}

| measured at the last update | value |
|---|---|
{metrics}

| setting | value |
|---|---|
{settings}

Made with {versions}. All losses are in `anyprefer.json`.

## Use

```python
{use}
```
"""
_TEXT = """from peft import AutoPeftModelForCausalLM

model = AutoPeftModelForCausalLM.from_pretrained("path/to/this/folder")"""
_SEES = """from peft import PeftModel
from transformers import AutoModelForImageTextToText

model = AutoModelForImageTextToText.from_pretrained({base})
model = PeftModel.from_pretrained(model, "path/to/this/folder")"""


def model_card(report: TrainReport) -> str:
    """Markdown under a YAML header; files are named by their last two parts, not by where they lie on a disk."""
    base = public_name(adapter_base(report.base) or report.base)
    files = [f"| {_short(file.path)} | {file.rows} | `{file.sha256}` |" for file in report.pairs]
    loss = (
        f"The loss went from {report.losses[0]:.3f} to {report.losses[-1]:.3f}"
        if report.losses
        else "No update was made"
    )
    return _CARD.format_map(
        {
            "quoted": json.dumps(base, ensure_ascii=False),
            "task": "image-text-to-text" if _sees(report) else "text-generation",
            "use": _SEES.format(base=json.dumps(base, ensure_ascii=False)) if _sees(report) else _TEXT,
            "name": Path(report.adapter).name,
            "base": base,
            "trained": report.trained,
            "licence": licence_of(base),
            "files": "\n".join(files),
            "counts": _counts(report),
            "metrics": _rows({name: f"{value:.4g}" for name, value in report.metrics.items()}),
            "settings": _rows({name: _value(value) for name, value in report.settings.model_dump().items()}),
            "command": _command(report),
            "steps": f"{loss} in {len(report.losses)} updates and {report.seconds:g} seconds.",
            "versions": ", ".join(f"{name} {number}" for name, number in report.versions.items()),
        }
    )


def _counts(report: TrainReport) -> str:
    """What became of the pairs of the files, and which update was kept."""
    said = [f"{report.trained} pairs were trained on"]
    said += [f"{report.left_out} left out (the same tokens, too long, or without their image)"] * bool(report.left_out)
    said += [f"{report.kept_out} kept out, and the adapter of update {report.step} did best on them"] * bool(
        report.kept_out
    )
    return "; ".join(said) + "."


def _rows(values: Mapping[str, str]) -> str:
    return "\n".join(f"| {name} | {value} |" for name, value in values.items())


def _sees(report: TrainReport) -> bool:
    return isinstance(report.settings, ImageTrainSettings)


def _command(report: TrainReport) -> str:
    """What trains the same."""
    presets = IMAGE_PRESETS if _sees(report) else PRESETS
    preset = min(presets, key=lambda name: len(_changed(report.settings, presets[name])))
    changed = {name: value for name, value in _changed(report.settings, presets[preset]).items() if name != "report_to"}
    flags = [_flag(name, _value(value)) for name, value in changed.items()]
    trainer = ["--trainer", "image_dpo"] if _sees(report) else []
    base = f"hf:{report.base}" if "/" in report.base else report.base
    files = [_short(file.path) for file in report.pairs]
    words = ["anyprefer", "train", *files, "--base", base, *trainer, "--preset", preset]
    return shlex.join([*words, *flags, "--out", Path(report.adapter).name])


def _flag(name: str, value: str) -> str:
    known = name in TrainSettings.model_fields
    return f"--{name.replace('_', '-')}={value}" if known else f"--trainer-option={name}={value}"


def _changed(settings: TrainSettings, preset: Mapping[str, Any]) -> dict[str, Any]:
    usual = type(settings)(**preset)
    return {name: value for name, value in settings if value != getattr(usual, name)}


def _value(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _short(path: str) -> str:
    return "/".join(Path(path).parts[-2:])
