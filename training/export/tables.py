"""The Parquet files of a data set.

They carry the description of their columns in the spelling that every version of `datasets` reads: one written by
`datasets` 4 or later says `List`, which earlier ones refuse ("Feature type 'List' not found": datasets #7676).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from anyprefer.training.export.columns import number
from anyprefer.training.export.exported_pair import ExportedPair
from anyprefer.training.export.pictures import Pictures

Description = dict[str, Any]
"""Columns as `datasets.Features.from_dict` takes them."""


def value(dtype: str) -> Description:
    """A column of single values."""
    return {"dtype": dtype, "_type": "Value"}


MESSAGES: Any = [{"role": value("string"), "content": value("string")}]
SCORES: Description = {name: value("float64") for name in ("score_chosen", "score_rejected", "margin")}
IMAGES: Description = {"feature": {"_type": "Image"}, "_type": "Sequence"}
GROUP, IMAGE_GROUP = 10_000, 100
"""Rows that are read at once, without images and with."""


def default_columns(own: Mapping[str, str], images: bool) -> Description:
    """Columns of the configuration `default`; `own` are the types of the user's."""
    return {
        "prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES,
        **({"images": IMAGES} if images else {}),
        **SCORES, **_PROVENANCE, **{name: value(dtype) for name, dtype in own.items()},
    }  # fmt: skip


def default_row(one: ExportedPair, own: Mapping[str, Any], pictures: Pictures) -> dict[str, Any]:
    """One row of `default`: TRL, axolotl, OpenRLHF."""
    images = {"images": [pictures.data(name) for name in one.images]}
    return {"prompt": list(one.prompt), **answers(one), **images, **scores(one), **_provenance(one), **own}


def conversation_columns(margins: bool) -> Description:
    """Columns of `conversations`; no `margin` where a pair has none, which TRL's RewardTrainer cannot read."""
    known = {name: told for name, told in SCORES.items() if margins or name != "margin"}
    return {"chosen": MESSAGES, "rejected": MESSAGES, **known, **_PROVENANCE}


def conversation_row(one: ExportedPair) -> dict[str, Any]:
    """Whole dialogues that differ in their last message: open-instruct, TRL's RewardTrainer, RewardBench."""
    whole = {name: [*one.prompt, *answer] for name, answer in answers(one).items()}
    return {**whole, **scores(one), **_provenance(one)}


def answers(one: ExportedPair) -> dict[str, list[dict[str, str]]]:
    """Both answers as lists of one message."""
    return {
        "chosen": [{"role": "assistant", "content": one.chosen}],
        "rejected": [{"role": "assistant", "content": one.rejected}],
    }


def scores(one: ExportedPair) -> dict[str, float | None]:
    """The judge's scores and their difference."""
    found = {"score_chosen": one.score_chosen, "score_rejected": one.score_rejected, "margin": one.margin}
    return {name: number(score) for name, score in found.items()}


_PROVENANCE: Description = {
    "id": value("string"), "source": value("string"), "iteration": value("int64"), "reward": value("float64"),
    "judge": value("string"), "chosen_model": value("string"), "rejected_model": value("string"),
}  # fmt: skip


def _provenance(one: ExportedPair) -> dict[str, Any]:
    return {
        "id": one.id, "source": one.source, "iteration": one.iteration, "reward": number(one.reward),
        "judge": one.judge, "chosen_model": one.chosen_model, "rejected_model": one.rejected_model,
    }  # fmt: skip


def write_table(file: Path, description: Description, rows: Iterable[Mapping[str, Any]], group: int = GROUP) -> int:
    """Writes rows of these columns, so many at a time; returns how many."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    about = json.dumps({"info": {"features": description}})
    schema = arrow.schema([(name, _arrow(one)) for name, one in description.items()])
    file.parent.mkdir(parents=True, exist_ok=True)
    written, held = 0, list[Mapping[str, Any]]()
    with parquet.ParquetWriter(file, schema.with_metadata({"huggingface": about})) as to:
        for row in rows:
            held.append(row)
            if len(held) == group:
                written += _put(to, held, schema)
        return written + _put(to, held, schema)


def _put(to: Any, held: list[Mapping[str, Any]], schema: Any) -> int:
    import pyarrow as arrow

    count = len(held)
    if held:
        to.write_table(arrow.Table.from_pylist(held, schema=schema).replace_schema_metadata(to.schema.metadata))
    held.clear()
    return count


def _arrow(description: Any) -> Any:
    import pyarrow as arrow

    if isinstance(description, list):
        return arrow.list_(_arrow(description[0]))
    kind = description.get("_type")
    if kind == "Sequence":
        return arrow.list_(_arrow(description["feature"]))
    if kind == "Image":
        return arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    if kind == "Value":
        return {"bool": arrow.bool_(), "int64": arrow.int64(), "float64": arrow.float64()}.get(
            description["dtype"], arrow.string()
        )
    return arrow.struct([(name, _arrow(one)) for name, one in description.items()])
