"""How a ranking becomes a pair: one file each.

A builder is a function that is given the round as it was judged and returns a `PreferencePair`, or the reason why there
is none, which becomes feedback:

    def build(state: GameState) -> PreferencePair | str | None:
        task, candidates, judgments = state["task"], state["candidates"], state["judgments"]
        ...  # also state["context"], state["task_knowledge"], state["candidate_knowledge"]

It is named `pair = "NAME"`. `pair = "NAME(1,5)"` calls what is offered with these whole numbers, and `candidates`, C, where
it names that; what comes back builds. Packages offer theirs in the group `anyprefer.pair_builders`.
"""

from anyprefer.core.registry import Registry

PAIR_BUILDERS = Registry("pair builder", __name__)
