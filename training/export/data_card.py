"""The README.md of a data set: what the hub reads, and what its reader should know before training on it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anyprefer.core.licences import licence_of
from anyprefer.training.export.card_header import header
from anyprefer.training.export.commands import command_of
from anyprefer.training.export.distributions import distribution, longer
from anyprefer.training.export.exported import DataSet
from anyprefer.training.export.judge_figures import likings, measured
from anyprefer.training.export.provenance import short_paths

_HERE = Path(__file__).parent
_REASONS, _PROMPTS = 12, 3
_MOST_SHOWN = 600
"""Characters of an example's text."""
_MEDICAL = re.compile(r"medic|radiolog|clinic|patholog", re.IGNORECASE)


def data_card(data: DataSet) -> str:
    """Markdown under a YAML header. What models and tools said stands in it as text: in fences, or escaped."""
    from jinja2 import Environment, StrictUndefined

    world = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, keep_trailing_newline=True)
    world.filters.update(fenced=fenced, cell=cell, dollars=_dollars)
    template = world.from_string((_HERE / "data_card.txt").read_text(encoding="utf-8"))
    return f"---\n{header(data).strip()}\n---\n{template.render(told(data))}"


def told(data: DataSet) -> dict[str, Any]:
    """All that the template names."""
    pairs, tally = data.pairs, data.tally
    texts = [(len(one.chosen), len(one.rejected)) for one in pairs]
    return {
        "data": data, "tally": tally, "table1": table1(data), "gone": data.gone, "with_images": _has_images(data),
        "name": data.options.repo or data.name, "repo": data.options.repo or f"path/to/{data.name}",
        "reasons": tally.reasons.most(_REASONS), "example": _example(data),
        "other_reasons": tally.reasons.counts.total() - sum(n for n, *_ in tally.reasons.most(_REASONS)),
        "distributions": list(filter(None, [
            distribution("score_chosen", (one.score_chosen for one in pairs)),
            distribution("score_rejected", (one.score_rejected for one in pairs)),
            distribution("margin", (one.margin for one in pairs)),
            distribution("reward", (one.reward for one in [*pairs, *data.trajectories])),
            distribution("characters of the prompt", (len(one.asked) for one in pairs)),
            distribution("characters of chosen", (a for a, _ in texts)),
            distribution("characters of rejected", (b for _, b in texts)),
        ])),
        "longer": longer(texts), "likings": likings(tally), "measured": measured(data.options.judge_eval),
        "models": _models(data), "commands": list(dict.fromkeys(command_of(part) for part in data.parts)),
        "export_command": short_paths(data.options.command), "prompts": tally.judge_prompts.most_common(_PROMPTS),
        "more_prompts": max(0, len(tally.judge_prompts) - _PROMPTS), "thresholds": _thresholds(data),
        "unscored": sum(one.margin is None for one in pairs),
    }  # fmt: skip


def table1(data: DataSet) -> dict[str, str]:
    """The columns of the paper's Table 1."""
    texts = [one for one in data.pairs if not one.images]
    medical = any(_MEDICAL.search(str(part.settings.get("task_field", ""))) for part in data.parts)
    tasks = {
        "NL": texts and not medical, "IMG": len(texts) < len(data.pairs) and not medical, "MED": medical,
        "CTRL": data.trajectories,
    }  # fmt: skip
    types = {
        "Text": texts, "Img-Txt": len(texts) < len(data.pairs), "Img-Ctrl-Seq": data.trajectories,
    }  # fmt: skip
    makers = {name for one in [*data.pairs, *data.trajectories] for name in (one.chosen_model, one.rejected_model)}
    iterations = {one.iteration for one in [*data.pairs, *data.trajectories]}
    return {
        "Scale": f"{data.scale:,}",
        "Human effort": "No",
        "Response generator": ", ".join(sorted(makers)),
        "Tasks": " ".join(name for name, there in tasks.items() if there),
        "Data type": "; ".join(name for name, there in types.items() if there),
        "Multi-iter.": f"Yes ({len(iterations)})" if len(iterations) > 1 else "No",
    }


def fenced(text: str, kind: str = "") -> str:
    """A block that nothing in the text can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{kind}\n{text}\n{fence}"


def cell(text: object) -> str:
    """A table's cell that shows a text as it is."""
    flat = " ".join(str(text).split())
    return re.sub(r"([\\|`*_\[\]#])", r"\\\1", flat).replace("<", "&lt;").replace(">", "&gt;")


def _dollars(cost: float | None) -> str:
    return "not known" if cost is None else f"${cost:,.4f}" if cost < 1 else f"${cost:,.2f}"


def _models(data: DataSet) -> list[tuple[str, str, int, str]]:
    return [
        (role, short_paths(name), count, licence_of(name))
        for role, names in data.tally.models.items()
        for name, count in names.most_common()
    ]


def _thresholds(data: DataSet) -> str:
    return ", ".join(_unique(str(part.settings["threshold"]) for part in data.parts if "threshold" in part.settings))


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _has_images(data: DataSet) -> bool:
    return any(one.images for one in data.pairs)


def _example(data: DataSet) -> dict[str, str] | None:
    if not data.pairs:
        return None
    one = data.pairs[0]
    texts = {"prompt": one.asked, "chosen": one.chosen, "rejected": one.rejected}
    return {name: text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…" for name, text in texts.items()}
