"""Where an application's tasks come from: an embedded family, a file, the user's data folder, or a hub data set."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from anyprefer.core.data_folder import PREFIX, has_data
from anyprefer.core.errors import InputError, SettingsError, near
from anyprefer.core.input_rows import BadRow
from anyprefer.core.inputs import read_tasks
from anyprefer.core.own_code import is_own_code, own_object
from anyprefer.core.task import Task
from anyprefer.training.evaluation.control_families import CONTROL
from anyprefer.training.evaluation.families import FAMILIES
from anyprefer.training.evaluation.family import Make

_SLOT = re.compile(r"\{(\w+)\}")
Row = Task | BadRow


class TaskSource(BaseModel):
    """Tasks of one kind, each iteration its own share of them, drawn with the seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str = ""
    """The training split of a family of `training/evaluation/families.py` or `control_families.py`, or own code, `FILE.py:NAME`: a function of
    (n, seed, split) that makes n tasks."""
    name: str = ""
    """Begins the ids of a source's tasks, so that two sources can be mixed."""
    source: str = ""
    """A file, `data:FILE` in the folder ANYPREFER_DATA names, or `hub:ID:SPLIT` or `hub:ID:CONFIG:SPLIT`."""
    local: str = ""
    """`data:FILE` with the same rows, read instead where that folder has it."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Task fields by the source's columns: {prompt = "question"}."""
    template: str = ""
    """The prompt, with `{column}` slots; empty: the prompt column alone. Lettered choices become lines."""
    tasks: int = Field(ge=1)
    """Tasks in each iteration."""

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        for key in given if isinstance(given, Mapping) else ():
            if key not in cls.model_fields:
                raise SettingsError(f"unknown key {key!r} in a source; {near(key, cls.model_fields)}")
        return given

    @model_validator(mode="after")
    def _one(self) -> TaskSource:
        if bool(self.family) == bool(self.source):
            raise SettingsError("a source has either a family (such as sums) or a source (a file, data:FILE, hub:ID)")
        if self.family:
            self._make()
        if self.source and not self.name:
            raise SettingsError(f"source {self.source} needs a name, which its tasks' ids begin with")
        if self.local and not self.local.startswith(PREFIX):
            raise SettingsError(f"local {self.local!r} must be {PREFIX}FILE")
        for field in self.columns:
            if field not in Task.model_fields:
                raise SettingsError(f"columns: {field!r} is no task field; {near(field, Task.model_fields)}")
        return self

    def tasks_of(self, iteration: int, iterations: int, seed: int) -> list[Row]:
        """The iteration's share, which does not depend on how many iterations there are.

        Raises `InputError` when the source holds too few tasks for all iterations.
        """
        wanted, start = self.tasks * iterations, (iteration - 1) * self.tasks
        if self.family:
            return list(self._make()(wanted, seed, "train")[start : start + self.tasks])
        streamed = self._place().startswith("hub:")
        rows = self._rows(wanted if streamed else None)
        if len(rows) < wanted:
            raise InputError(
                f"{self._place()} holds {len(rows)} tasks; {iterations} iterations of {self.tasks} need {wanted}"
            )
        if streamed:  # where it ends is not known, so each iteration has the next rows, in an order of its own
            rows = rows[start : start + self.tasks]
            random.Random(f"{seed} {self.name} {iteration}").shuffle(rows)
            return rows
        random.Random(f"{seed} {self.name}").shuffle(rows)
        return rows[start : start + self.tasks]

    def _make(self) -> Make:
        families: dict[str, Any] = {**FAMILIES, **CONTROL}
        if self.family in families:
            make: Make = families[self.family].make
            return make
        if not is_own_code(self.family):
            raise SettingsError(f"unknown family {self.family!r}; {near(self.family, families)}")
        found: Make = own_object(self.family)
        if not callable(found):
            raise SettingsError(f"{self.family} is no function of (n, seed, split) that makes n tasks")
        return found

    def _place(self) -> str:
        return self.local if self.local and has_data(self.local) else self.source

    def _rows(self, most: int | None) -> list[Row]:
        """The first rows, or all."""
        return [self._named(row) for row in islice(read_tasks(self._place(), self.columns), most)]

    def _named(self, row: Row) -> Row:
        named = f"{self.name}-{row.id}"
        if isinstance(row, BadRow):
            return BadRow(named, row.error)
        if not self.template:
            return row.model_copy(update={"id": named})
        columns = {**row.meta, "prompt": row.text}
        missing = [slot for slot in _SLOT.findall(self.template) if slot not in columns]
        if missing:
            return BadRow(named, f"{self.name}, task {row.id}: no column {missing[0]!r}; {near(missing[0], columns)}")
        prompt = _SLOT.sub(lambda slot: _written(columns[slot[1]]), self.template)
        return row.model_copy(update={"id": named, "prompt": prompt})


def _written(value: Any) -> str:
    """Text as it is; `{label: [A, …], text: [one, …]}` as lines `A. one`."""
    if isinstance(value, Mapping) and {"label", "text"} <= value.keys():
        return "\n".join(f"{label}. {text}" for label, text in zip(value["label"], value["text"], strict=True))
    return str(value)
