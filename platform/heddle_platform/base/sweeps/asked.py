"""A plan that is sent to a platform, judged by who has no torch: what is surely wrong with it is refused at once.

What only `config.read_recipe` knows (two fields that exclude each other) is refused where the sweep runs.
"""

from typing import Any

from heddle_platform.base.outline import outlined
from heddle_platform.base.rendering import PARTS
from heddle_platform.base.sweeps.plan import SweepPlan, plan_of, try_settings
from heddle_platform.errors import InvalidInput


def judge_plan(document: dict[str, Any], *, most_trainings: int) -> SweepPlan:
    """Read a plan, with its recipe in place, that shall run on a cluster.

    Args:
        document: the plan.
        most_trainings: settings times seeds, at most.
    Raises:
        InvalidInput: codes `invalid_sweep`, `invalid_recipe`, `too_many_trainings`, `unknown_corpus`; `param` is the
            dotted name of the field in the plan.
    """
    plan = plan_of(document, "the plan")
    wanted = plan.settings_wanted * len(plan.seeds)
    if wanted > most_trainings:
        raise InvalidInput(
            f"{plan.settings_wanted:,} settings with {len(plan.seeds)} seeds are {wanted:,} trainings, at most "
            f"{most_trainings:,} are taken; give trials, shorter lists or fewer seeds",
            code="too_many_trainings",
            param="space" if plan.trials is None else "trials",
        )

    def read(recipe: dict[str, Any], name: str) -> dict[str, Any]:
        read = outlined(recipe, name)
        _check_corpus(read["corpus"])
        return read

    try_settings(plan, read)
    return plan


def _check_corpus(corpus: dict[str, Any]) -> None:
    if not corpus["images"] and not corpus["sources"]:
        raise InvalidInput(
            "recipe.corpus names no images and no sources; name at least one part of a corpus",
            code="invalid_recipe",
            param="recipe.corpus",
        )
    for name in corpus["images"]:
        if name not in PARTS:
            raise InvalidInput(
                f"recipe.corpus.images.{name}: there is no such part; there are {', '.join(PARTS)}",
                code="unknown_corpus",
                param=f"recipe.corpus.images.{name}",
            )
    for name, source in corpus["sources"].items():
        if source["stored"] is not None:
            raise InvalidInput(
                f"recipe.corpus.sources.{name}.stored: what trains on the cluster holds no key to the object store; "
                "give the path of a folder that its machines have",
                code="unknown_corpus",
                param=f"recipe.corpus.sources.{name}.stored",
            )
