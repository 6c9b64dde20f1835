"""Pretrainings asked for: a recipe that is read whole where it runs, queued for the operators."""

from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.control.context import Control
from heddle_api.control.jobs.service import queued
from heddle_api.control.jobs.views import NewPretraining
from heddle_api.control.once import Reply
from heddle_infra.database import jobs
from heddle_infra.database.fair_share import USUAL_COST
from heddle_platform.digest import canonical_json
from heddle_platform.errors import InvalidInput

_RECIPE_MAX_BYTES: Final = 64 * 1024


async def create(session: AsyncSession, control: Control, wanted: NewPretraining) -> Reply:
    """Queue the training of a base.

    Raises:
        InvalidInput: code `invalid_recipe`: it names no base, or is far too long for one.
    """
    check_size(wanted.recipe, "recipe", "invalid_recipe")
    name = wanted.recipe.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidInput(
            "the recipe has no name; the base is published under it", code="invalid_recipe", param="recipe"
        )
    spec = {"recipe": wanted.recipe, "workers": wanted.workers}
    job = await jobs.create(session, None, job_type="pretrain", spec=spec, dataset_id=None)
    return await queued(session, control, job, USUAL_COST, calls="pretraining_queued")


def check_size(document: dict[str, Any], field: str, code: str) -> None:
    """Refuse a recipe, or what holds one, that is far too long.

    Raises:
        InvalidInput: with this code.
    """
    size = len(canonical_json(document))
    if size > _RECIPE_MAX_BYTES:
        raise InvalidInput(
            f"the {field} has {size} bytes, at most {_RECIPE_MAX_BYTES} are taken; a recipe names its corpus and does "
            "not hold it",
            code=code,
            param=field,
        )
