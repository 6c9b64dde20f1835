"""Rewriting: all that knows some images, made anew without them beside what is there; no row changes yet."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from heddle_infra.database import adapters, bases, erasures, factor_sets
from heddle_infra.database.engine import Database
from heddle_infra.database.erasures import Replacement
from heddle_infra.database.versions import NewVersion
from heddle_platform import keys
from heddle_platform.packs import PACK_FILE
from heddle_platform.ports import ObjectStore
from heddle_platform.records import AdapterVersion, Base, Job
from heddle_platform.settings import LimitSettings
from heddle_workers.cluster import Cluster
from heddle_workers.fitted import ADAPTER_FILE, STATISTICS_FILE
from heddle_workers.material import encode_missing, material_of
from heddle_workers.progress import Report, silent
from heddle_workers.shorter import Shortened, Touched, read_manifest, write_shortened
from heddle_workers.store import base_source, presign, put_fitted, set_source
from heddle_workers.tasks import RefitRequest, heddle_refit

# Share of the rewriting that is behind once archives and latents are written; refitting takes the rest.
_SHORTENED = 0.2


@dataclass(frozen=True)
class Replaced:
    """Versions of one adapter that were fitted alike, and what takes their place.

    Attributes:
        adapter: name of the adapter.
        before: digest of their artifact.
        replacement: for their rows.
        certificate: unsigned document of the unlearning; None where nothing takes their place.
        refused: {code, message} of why nothing can.
    """

    adapter: str
    before: str
    replacement: Replacement
    certificate: dict[str, Any] | None
    refused: dict[str, str] | None


@dataclass(frozen=True)
class Rewritten:
    """One image set made anew, and the versions fitted on it."""

    touched: Touched
    shortened: Shortened
    replaced: tuple[Replaced, ...]


class Rewriter:
    """Finds what knows some images and makes it anew."""

    def __init__(self, database: Database, objects: ObjectStore, cluster: Cluster, limits: LimitSettings) -> None:
        self._database = database
        self._objects = objects
        self._cluster = cluster
        self._limits = limits

    async def touched(self, job: Job) -> list[Touched]:
        """Return the tenant's image sets that hold an image of the erasure."""
        gone = frozenset(job.spec["images"])
        async with self._database.transaction(job.tenant) as session:
            sets = [
                (
                    dataset,
                    await factor_sets.resolve(session, job.tenant, dataset.factor_set_id, dataset.factor_set_version),
                )
                for dataset in await erasures.ready_sets(session, job.tenant)
            ]
        touched = []
        for digest in sorted({str(dataset.digest) for dataset, _ in sets}):
            manifest = await read_manifest(self._objects, job.tenant, digest)
            if here := gone & {image.sha256 for image in manifest.all}:
                made_of_it = tuple(one for one in sets if one[0].digest == digest)
                touched.append(Touched(digest, manifest, made_of_it, here))
        return touched

    async def rewrite(self, job: Job, touched: Touched, report: Report) -> Rewritten:
        """Write a set without the images, then its versions; only addressed objects that no row names are written."""
        async with self._database.transaction(job.tenant) as session:
            ids = [dataset.id for dataset, _ in touched.sets]
            versions = sorted(await erasures.versions_of(session, job.tenant, ids), key=_made_of)
            used = {version.base_id: await bases.resolve(session, version.base_id) for version in versions}
        for base in used.values():  # so that the shortened set gets latents of every base its versions need
            await self._encode_missing(job.tenant, touched, base)
        shortened = await write_shortened(
            self._objects,
            self._cluster,
            self._limits,
            job.tenant,
            touched,
            lambda stage, share: report(stage, _SHORTENED * share),
            scratch=f"{job.id}-{touched.digest}",
        )
        replaced: list[Replaced] = []
        alike = [list(group) for _, group in groupby(versions, key=_made_of)]
        for index, group in enumerate(alike):

            def told(stage: str, share: float, index: int = index) -> None:
                report(stage, _SHORTENED + (1 - _SHORTENED) * (index + share) / len(alike))

            replaced += await self._refit(touched, shortened, group, used[group[0].base_id], told)
        return Rewritten(touched, shortened, tuple(replaced))

    async def _encode_missing(self, tenant_id: str, touched: Touched, base: Base) -> None:
        material = await material_of(
            self._objects,
            tenant_id,
            touched.digest,
            len(touched.manifest.all),
            {},
            base_name=base.name,
            base_digest=base.digest,
        )
        await encode_missing(self._objects, self._cluster, self._limits, material, silent)

    async def _refit(
        self, touched: Touched, shortened: Shortened, versions: list[AdapterVersion], base: Base, report: Report
    ) -> list[Replaced]:
        """Fit versions that were fitted alike once, whatever adapters they are of."""
        one = versions[0]
        request = await self._request(touched, shortened, one, base)
        found = await self._cluster.run(heddle_refit, request, report)
        files = await put_fitted(self._objects, one.tenant_id, found.fitted) if found.fitted else {}
        async with self._database.transaction(one.tenant_id) as session:
            names = {
                version.adapter_id: (await adapters.resolve(session, one.tenant_id, version.adapter_id)).name
                for version in versions
            }
        replaced = []
        for adapter_id, name in names.items():
            mine = [version for version in versions if version.adapter_id == adapter_id]
            new = None
            if found.fitted is not None:
                new = NewVersion(
                    adapter_name=name,
                    digest=found.fitted.digest,
                    base_id=one.base_id,
                    base_digest=one.base_digest,
                    factor_set_id=one.factor_set_id,
                    factor_set_version=one.factor_set_version,
                    dataset_id=mine[-1].dataset_id,
                    verdict=found.fitted.verdict,
                    gate=found.fitted.gate,
                    card=found.fitted.card,
                    files=files,
                )
            replacement = Replacement(adapter_id, tuple(version.version for version in mine), new)
            replaced.append(Replaced(name, one.digest, replacement, found.certificate, found.refused))
        return replaced

    async def _request(
        self, touched: Touched, shortened: Shortened, version: AdapterVersion, base: Base
    ) -> RefitRequest:
        tenant_id, after = version.tenant_id, shortened.manifest.images
        names = [
            keys.latents(tenant_id, touched.digest, base.digest),
            keys.latents(tenant_id, after, base.digest),
            keys.adapter_file(tenant_id, version.digest, ADAPTER_FILE),
        ]
        kept_in = next((file for file in (STATISTICS_FILE, PACK_FILE) if file in version.files), None)
        if kept_in:
            names.append(keys.adapter_file(tenant_id, version.digest, kept_in))
        latents, after_latents, adapter, *statistics = await presign(self._objects, names)
        [factors] = {
            factors.id: factors.document
            for dataset, factors in touched.sets
            if (factors.id, factors.version) == (version.factor_set_id, version.factor_set_version)
        }.values()
        return RefitRequest(
            await set_source(self._objects, tenant_id, touched.digest),
            await set_source(self._objects, tenant_id, after),
            await base_source(self._objects, base.name, base.digest),
            latents,
            after_latents,
            adapter,
            statistics[0] if statistics else None,
            kept_in == PACK_FILE,
            touched.gone,
            factors,
            self._limits,
            self._cluster.threads,
        )


def _made_of(version: AdapterVersion) -> tuple[str, str, str, int]:
    return version.digest, version.base_id, version.factor_set_id, version.factor_set_version
