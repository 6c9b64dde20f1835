"""Materials: what fits run on, looked up for many of a tenant at once."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

_READY: Final = text(
    """
    select datasets.id, versions.id, versions.version, datasets.digest, datasets.images, versions.document
    from unnest(cast(:datasets as text[]), cast(:factor_sets as text[]), cast(:versions as integer[]))
        as wanted (dataset_id, factor_set_id, version)
    join datasets on datasets.id = wanted.dataset_id and datasets.tenant_id = :tenant
    join factor_set_versions as versions on versions.id = wanted.factor_set_id
        and versions.version = wanted.version and versions.tenant_id = :tenant
    where datasets.digest is not null
    """
).columns(document=JSONB)


class Wanted(NamedTuple):
    """What a fit names: ids of its labelled set and its factor set, and the version of that."""

    dataset_id: str
    factor_set_id: str
    version: int


@dataclass(frozen=True)
class Ready:
    """A validated set and the factors it is fitted with: SHA-256 of its zip, how many images, and the document."""

    digest: str
    images: int
    factor_set: dict[str, Any]


async def ready(session: AsyncSession, tenant_id: str, wanted: Collection[Wanted]) -> dict[Wanted, Ready]:
    """Return what is ready of what a tenant's fits name; what is missing, or not validated, is left out."""
    some = list(set(wanted))
    asked = {
        "tenant": tenant_id,
        "datasets": [one.dataset_id for one in some],
        "factor_sets": [one.factor_set_id for one in some],
        "versions": [one.version for one in some],
    }
    found = (await session.execute(_READY, asked)).all()
    return {
        Wanted(dataset_id, factor_set_id, version): Ready(digest, images or 0, document)
        for dataset_id, factor_set_id, version, digest, images, document in found
    }
