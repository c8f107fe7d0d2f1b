"""Who scores candidates: one file each, its prompts beside it.

A judge is a `Judge` of core/roles.py whose class takes `settings`, `model`, both or nothing. One that takes a `model` is a
form in which any chat model judges, `judge_form = "NAME"` (derive it from `ModelJudge` in model.py and write `score`);
one that takes none is named itself, `judge = "NAME"`. A package offers one by the entry point
`NAME = "package.module:Class"` in the group `anyprefer.judges`; a prompt NAME.txt in the package is
`prompt_texts.text("NAME", "package")`.
"""

from anyprefer.core.registry import Registry

JUDGES = Registry("judge", __name__)
