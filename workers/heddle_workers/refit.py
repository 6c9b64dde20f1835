"""Refitting: an adapter without some rows, made of the rows that stay, and what proves that they are those.

Sums alone could take the rows out as well (`heddle_adapters.unlearn`), but would give up the discriminative read and
the interactions and keep gains that the rows had a say in; and the card, whose figures and pictures the rows are part
of, has to be made anew in any case. So the rows that stay are fitted, and the sums are the proof.
"""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter
from heddle_adapters.artifact import unpack
from heddle_adapters.certificate import unlearning_certificate
from heddle_adapters.statistics import Statistics, gather, unpack_statistics
from heddle_adapters.unlearn import REFITTED, Unlearned, unlearn
from heddle_adapters.unlearn_check import refit_difference
from heddle_platform.errors import DataCorrupt, InvalidInput
from heddle_platform.factors import FactorSet
from heddle_platform.labels import LabelTable
from heddle_platform.manifest import Manifest
from heddle_workers.fit import fit_set
from heddle_workers.fitted import ADAPTER_FILE, STATISTICS_FILE, Refitted
from heddle_workers.progress import Report
from heddle_workers.trips import RoundTrips

# What stays cannot be fitted: no fault of the erasure, which withdraws the version instead of replacing it.
_UNFITTABLE: Final = frozenset({"last_of_level", "constant_factor", "too_few_labels", "no_live_latent"})


@dataclass(frozen=True)
class Before:
    """A version with the rows: the bytes of its adapter and of its statistics, the set's manifest, and its latents."""

    adapter: bytes
    statistics: bytes
    manifest: Manifest
    latents_NL: NDArray[np.float32]


def refit_without(
    before: Before, gone: Set[str], factor_set: FactorSet, trips: RoundTrips, at: datetime, report: Report
) -> Refitted:
    """Fit the rows that stay, and hold the sums of all rows less those that go against them.

    Args:
        before: the version with the rows.
        gone: SHA-256 of the images that go.
        factor_set: the factors.
        trips: the images that stay, their latents and the base.
        at: now, for the certificate.
        report: told of each stage of the fit.

    Raises:
        DataCorrupt: the graph of the new version does not compute what it shall; see `fit_set`.
    """
    stays_N = np.array([image.sha256 not in gone for image in before.manifest.all], dtype=bool)
    rows = len(before.manifest.rows)
    latents_NL = before.latents_NL.astype(np.float64)
    table = before.manifest.table(factor_set)
    values_NF, weight_N = table.values_NF, table.weight_N
    kept_N, pool_kept_N = stays_N[:rows], stays_N[rows:]
    adapter = unpack(before.adapter)
    statistics = _statistics(before, adapter, table)
    try:
        sums = unlearn(
            adapter,
            statistics,
            latents_NL[:rows][~kept_N],
            values_NF[~kept_N],
            latents_NL[rows:][~pool_kept_N],
            None if weight_N is None else weight_N[~kept_N],
        )
        kept = before.manifest.without(gone, before.manifest.images)
        fitted = fit_set(kept.table(factor_set), factor_set, trips, report)
    except InvalidInput as error:
        if error.code not in _UNFITTABLE:
            raise
        return Refitted(None, None, {"code": error.code, "message": error.message})
    difference = refit_difference(
        sums.statistics,
        latents_NL[:rows][kept_N],
        values_NF[kept_N],
        latents_NL[rows:][pool_kept_N],
        adapter.residual_share,
        weight_N=None if weight_N is None else weight_N[kept_N],
    )
    done = Unlearned(
        unpack(fitted.files[ADAPTER_FILE]), unpack_statistics(fitted.files[STATISTICS_FILE]), dict(REFITTED)
    )
    digests = [image.sha256 for image in before.manifest.all if image.sha256 in gone]
    document = unlearning_certificate(before.adapter, statistics, done, digests, at, difference=difference)
    return Refitted(fitted, document)


def _statistics(before: Before, adapter: Adapter, table: LabelTable) -> Statistics:
    """Read the statistics; summed up anew where they were stored in a form that is read no more."""
    try:
        return unpack_statistics(before.statistics)
    except DataCorrupt:
        rows = len(before.manifest.rows)
        latents_NL = before.latents_NL.astype(np.float64)
        return gather(
            latents_NL[:rows],
            table.values_NF,
            adapter.factor_set,
            adapter.codings,
            base_digest=adapter.base_digest,
            pool_ML=latents_NL[rows:],
            weight_N=table.weight_N,
            ridge=adapter.ridge,
        )
