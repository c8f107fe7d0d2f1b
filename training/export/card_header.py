"""The YAML header of a data set's card: the keys that the hub reads (huggingface/hub-docs, datasetcard.md)."""

from __future__ import annotations

from typing import Any

from anyprefer.training.export.exported import DataSet

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
TAGS = ("anyprefer", "dpo", "preference", "rlhf", "synthetic", "trl")
_HUB = "hub:"


def header(data: DataSet) -> str:
    """YAML between the card's two lines of dashes."""
    from huggingface_hub import DatasetCardData

    told = DatasetCardData(
        language=list(data.options.language) or None,
        license=data.options.license or "unknown",
        pretty_name=data.name,
        annotations_creators=["machine-generated"],
        language_creators=["machine-generated"],
        source_datasets=sources(data) or ["original"],
        size_categories=[size(data.scale)],
        task_categories=task_categories(data),
        tags=[*TAGS, *(["vision"] if any(one.images for one in data.pairs) else [])],
        configs=_configs(data),
    )
    _describe(data, told)
    return told.to_yaml()


def size(pairs: int) -> str:
    """The hub's category."""
    return next((name for most, name in _SIZES if pairs < most), "1M<n<10M")


def sources(data: DataSet) -> list[str]:
    """The hub's data sets that questions came from."""
    named = [str(part.note.get("source") or "") for part in data.parts]
    return list(dict.fromkeys(one.removeprefix(_HUB).split(":")[0] for one in named if one.startswith(_HUB)))


def task_categories(data: DataSet) -> list[str]:
    """The hub's names of what the data set is for."""
    kinds = {
        "text-generation": any(not one.images for one in data.pairs),
        "image-text-to-text": any(one.images for one in data.pairs),
        "robotics": bool(data.trajectories),
    }
    return [name for name, there in kinds.items() if there]


def _configs(data: DataSet) -> list[dict[str, Any]]:
    first = next(iter(data.configurations), "")
    return [
        {
            "config_name": name,
            **({"default": True} if name == first else {}),
            "data_files": [{"split": split, "path": path} for split, path in files.items()],
        }
        for name, files in data.configurations.items()
    ]


def _describe(data: DataSet, told: Any) -> None:
    """`dataset_info`: columns, rows and bytes."""
    from datasets import DatasetInfo, Features, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict
    from pyarrow import parquet

    infos = {}
    for name, files in data.configurations.items():
        splits = SplitDict()
        for split, path in files.items():
            file = data.folder / path
            about = parquet.read_metadata(file)
            splits[split] = SplitInfo(split, num_bytes=file.stat().st_size, num_examples=about.num_rows)
        infos[name] = DatasetInfo(features=Features.from_dict(data.features[name]), splits=splits)
    DatasetInfosDict(infos).to_dataset_card_data(told)
