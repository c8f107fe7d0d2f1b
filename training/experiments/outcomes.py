"""What tables and figures are made from: the outcomes of a lab's arms, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from anyprefer.training.analysis.paper_results import PaperTable
from anyprefer.training.analysis.report import Cell, Figure, Note, Table
from anyprefer.training.experiments.accuracy_tables import Line
from anyprefer.training.experiments.lab import Lab, Outcome
from anyprefer.training.pair_data.any_data_set import Sample, read_samples

Parts = Sequence[Table | Figure | Note]
"""Of a report, in order."""


@dataclass(frozen=True)
class Results:
    """What studies are made from."""

    lab: Lab
    outcomes: Mapping[str, Sequence[Outcome]]
    """By arm, one a seed."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """By arm, why it has no outcome."""
    against: Mapping[str, Sequence[Sample]] = field(default_factory=dict)
    """Other pairs by name, for Table 16 and Figure 6."""

    @property
    def benchmarks(self) -> Sequence[str]:
        """What every arm was measured on."""
        return self.lab.app.measured(self.lab.scale)

    def line(self, name: str, title: str, iteration: int = 1) -> Line:
        """An arm after an iteration, as a table's line."""
        return Line(title, self.outcomes.get(name, ()), iteration, self.failures.get(name, ""))

    def before(self, title: str = "Before") -> Line:
        """The target before training, with the seeds of all arms."""
        every = {outcome.seed: outcome for some in self.outcomes.values() for outcome in some}
        return Line(title, [every[seed] for seed in sorted(every)], 0)

    def samples(self, name: str, iteration: int | None = None) -> list[Sample]:
        """The arm's pairs, of one iteration or all."""
        return [
            sample
            for outcome in self.outcomes.get(name, ())
            for number in ([iteration] if iteration else range(1, len(outcome.iterations)))
            for sample in read_samples(outcome.pairs(number))
        ]

    def over_iterations(self, name: str) -> list[Line]:
        """A line an iteration, 0 being before training, all of the same seeds: those that got as far as any."""
        outcomes = self.outcomes.get(name, ())
        played = max((len(outcome.iterations) for outcome in outcomes), default=1)
        furthest = [outcome for outcome in outcomes if len(outcome.iterations) == played]
        return [
            Line(f"iteration {number}" if number else "before", furthest, number, self.failures.get(name, ""))
            for number in range(played)
        ]


def stated(table: PaperTable) -> Table:
    """The paper's own table, to be read beside ours: other models, other benchmarks."""
    columns = list(dict.fromkeys(column for cells in table.rows.values() for column in cells))
    rows: list[list[str | Cell]] = [
        [row, *(Cell(cells.get(column), text="" if column in cells else "not stated") for column in columns)]
        for row, cells in table.rows.items()
    ]
    name = "paper-" + table.source.split(",")[0].lower().replace(" ", "")
    return Table(name, f"The paper's {table.source}", ("row", *columns), rows, table.title)
