"""Sufficient statistics of a labelled set: what the closed form is a function of, kept beside the artifact.

Labels are summed in *ground* columns, which depend on the factor set alone: one column per level, a number as its
place in the declared range, an angle as (cos, sin). The codings of the design matrix (centres, spreads) are affine
in them and may change when rows leave. A row with a missing label is kept as it is: its labels are filled by
reading it, again after every change, and that is not a sum.

Nothing else of a row is kept: from the statistics of complete rows no picture can be told apart.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np

from heddle_adapters.arrays import Floats, Mask
from heddle_adapters.design import Coding
from heddle_adapters.ground import ground_columns, ground_slices
from heddle_adapters.intake import labels_of
from heddle_adapters.sealed_zip import npy_bytes, zipped
from heddle_adapters.sums import LatentSums, latent_sums
from heddle_adapters.weighing import Weighing
from heddle_adapters.weights import unequal_weights, weighed
from heddle_platform.digest import canonical_json
from heddle_platform.errors import DataCorrupt
from heddle_platform.factors import Continuous, FactorSet, Kind, parse_factor_set

FORMAT_VERSION = 2  # sums over no rows are left out; format 1 wrote them as zeros, 98 KB of them for 64 latents
WEIGHTED_VERSION = 3  # the same with weights; without any, statistics are written as format 2
FORMATS = (1, 2, 3)
_HEADER = "header.json"
_SUMS = ("total_L", "square_LL", "cubic_LL", "quartic_LL")
_WEIGHT_SUMS = ("total", "squares", "complete")


@dataclass(frozen=True, eq=False)
class Statistics:
    """What is kept of N labelled rows and M pool rows.

    Attributes:
        factor_set, base_digest: as in the adapter.
        kinds: how each factor was coded; an ordinal factor may stand as "categorical".
        ridge: pseudo-counts per level of the fit.
        labelled, pool: sums over the latents of all labelled, and of all unlabelled, images; rows are counted once
            each, whatever their weights.
        complete: complete rows, those with a label for every factor.
        ground_G, ground_GG, cross_GL: over complete rows, sums of ground columns, of their products with each
            other, and with latents.
        sparse_latents_KL, sparse_values_KF: the rows with a missing label.
        numbers: per factor its known values in ascending order; empty for levels and angles.
        weights: what labelled rows were summed with; None: each counts once.
    """

    factor_set: FactorSet
    base_digest: str
    kinds: tuple[Kind, ...]
    ridge: float
    labelled: LatentSums
    pool: LatentSums
    complete: int
    ground_G: Floats
    ground_GG: Floats
    cross_GL: Floats
    sparse_latents_KL: Floats
    sparse_values_KF: Floats
    numbers: tuple[Floats, ...]
    weights: Weighing | None = None

    @property
    def rows(self) -> int:
        """N, labelled rows."""
        return int(self.labelled.count)

    @property
    def complete_weight(self) -> float:
        """What complete rows count as."""
        return self.complete if self.weights is None else self.weights.complete

    @property
    def sparse_weight_K(self) -> Floats | None:  # noqa: N802  shape suffix
        """Weights of the rows with a missing label."""
        return None if self.weights is None else self.weights.sparse_K

    def relative(self) -> "Statistics":
        """Return the same with weights as a fit of these rows has them, see `weights`, and the sum of them as count."""
        if self.weights is None:
            return self
        scale = self.weights.scale
        return replace(
            self,
            labelled=self.labelled.scaled(scale, scale * self.weights.total),
            ground_G=scale * self.ground_G,
            ground_GG=scale * self.ground_GG,
            cross_GL=scale * self.cross_GL,
            weights=self.weights.relative(),
        )

    def counts(self) -> tuple[Floats, ...]:
        """Return per factor the labels of each level, or the sum of their weights, [K]; empty for numbers."""
        return self._counts(self.ground_G, self.sparse_weight_K)

    def row_counts(self) -> tuple[Floats, ...]:
        """Return per factor the labels of each level, whatever their weights, [K]; empty for numbers."""
        return self._counts(self.ground_G if self.weights is None else self.weights.count_G, None)

    def _counts(self, ground_G: Floats, weight_K: Floats | None) -> tuple[Floats, ...]:
        found = []
        for index, (factor, block) in enumerate(
            zip(self.factor_set.factors, ground_slices(self.factor_set), strict=True)
        ):
            levels = len(getattr(factor, "level_names", ()))
            value_K = self.sparse_values_KF[:, index]
            known_K = ~np.isnan(value_K) if levels else np.zeros(len(value_K), dtype=np.bool_)
            complete_K = ground_G[block] if levels else np.empty(0)
            weights = None if weight_K is None else weight_K[known_K]
            sparse_K = np.bincount(value_K[known_K].astype(np.intp), weights, levels)
            found.append(np.asarray(complete_K + sparse_K, dtype=np.float64))
        return tuple(found)


def gather(
    latents_NL: Floats,
    values_NF: Floats,
    factor_set: FactorSet,
    codings: Sequence[Coding],
    *,
    base_digest: str,
    pool_ML: Floats | None = None,
    weight_N: Floats | None = None,
    ridge: float,
) -> Statistics:
    """Sum up the rows that a fit was given; arguments as `fit_adapter` takes them, codings from the adapter."""
    given_N = unequal_weights(weight_N, len(latents_NL))
    kinds = tuple(coding.kind for coding in codings)
    return sums_of(latents_NL, labels_of(values_NF), given_N, pool_ML, about=(factor_set, base_digest, kinds, ridge))


def sums_of(
    latents_NL: Floats,
    values_NF: Floats,
    weight_N: Floats | None,
    pool_ML: Floats | None,
    *,
    about: tuple[FactorSet, str, tuple[Kind, ...], float],
) -> Statistics:
    """Sum up rows with their weights as given, equal or not; `about` begins the `Statistics`."""
    factor_set = about[0]
    whole_N = np.asarray(~np.isnan(values_NF).any(axis=1))
    ground_NG = ground_columns(values_NF[whole_N], factor_set)
    told_NG = weighed(ground_NG, None if weight_N is None else weight_N[whole_N])
    number_F = [isinstance(factor, Continuous) for factor in factor_set.factors]
    known_NF = ~np.isnan(values_NF) & number_F
    return Statistics(
        *about,
        latent_sums(latents_NL, weight_N),
        latent_sums(np.empty((0, latents_NL.shape[1])) if pool_ML is None else pool_ML),
        int(whole_N.sum()),
        told_NG.sum(axis=0),
        told_NG.T @ ground_NG,
        told_NG.T @ latents_NL[whole_N],
        latents_NL[~whole_N],
        values_NF[~whole_N],
        tuple(np.sort(values_N[known_N]) for values_N, known_N in zip(values_NF.T, known_NF.T, strict=True)),
        None if weight_N is None else Weighing.of(weight_N, whole_N, ground_NG, np.where(known_NF, values_NF, np.nan)),
    )


def pack_statistics(statistics: Statistics) -> bytes:
    """Return the statistics as bytes, the same for equal ones."""
    header = {
        "format": FORMAT_VERSION if statistics.weights is None else WEIGHTED_VERSION,
        "factor_set": statistics.factor_set.document(),
        "base_digest": statistics.base_digest,
        "kinds": statistics.kinds,
        "ridge": statistics.ridge,
        "labelled": statistics.labelled.count,
        "pool": statistics.pool.count,
        "complete": statistics.complete,
    }
    arrays: dict[str, Any] = {
        name: getattr(statistics, name)
        for name in ("ground_G", "ground_GG", "cross_GL", "sparse_latents_KL", "sparse_values_KF")
    }
    for part in ("labelled", "pool") if statistics.pool.count else ("labelled",):
        arrays |= {f"{part}.{name}": getattr(getattr(statistics, part), name) for name in _SUMS}
    arrays |= {f"numbers.{index}": values for index, values in enumerate(statistics.numbers)}
    if statistics.weights is not None:
        told = asdict(statistics.weights)
        header["weights"] = {name: told[name] for name in _WEIGHT_SUMS}
        arrays |= {f"weights.{name}": told[name] for name in ("count_G", "sparse_K")}
        arrays |= {f"weights.numbers.{index}": values for index, values in enumerate(statistics.weights.numbers)}
    return zipped({_HEADER: canonical_json(header), **{f"{name}.npy": npy_bytes(arrays[name]) for name in arrays}})


def unpack_statistics(data: bytes) -> Statistics:
    """Read what `pack_statistics` wrote.

    Raises:
        DataCorrupt: code `statistics_corrupt`: the bytes are damaged, or of another format version.
    """
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            header: dict[str, Any] = json.loads(archive.read(_HEADER))
            if header.pop("format") not in FORMATS:
                raise ValueError("another format")
            arrays = {
                name.removesuffix(".npy"): np.load(BytesIO(archive.read(name)), allow_pickle=False)
                for name in archive.namelist()
                if name != _HEADER
            }
        header["factor_set"] = parse_factor_set(header["factor_set"])
        header["kinds"] = tuple(header["kinds"])
        for part in ("labelled", "pool"):
            if f"{part}.{_SUMS[0]}" in arrays:
                header[part] = LatentSums(header[part], *(arrays.pop(f"{part}.{name}") for name in _SUMS))
        if header["pool"] == 0:
            header["pool"] = latent_sums(np.empty((0, len(header["labelled"].total_L))))
        factors = len(header["factor_set"].factors)
        numbers = tuple(arrays.pop(f"numbers.{index}") for index in range(factors))
        if "weights" in header:
            weights = [arrays.pop(f"weights.{name}") for name in ("count_G", "sparse_K")]
            by_factor = tuple(arrays.pop(f"weights.numbers.{index}") for index in range(factors))
            header["weights"] = Weighing(
                **header["weights"], count_G=weights[0], sparse_K=weights[1], numbers=by_factor
            )
        return Statistics(**header, **arrays, numbers=numbers)
    except Exception as error:  # a damaged zip, header or array fails in too many ways to list
        raise DataCorrupt(
            f"the {len(data)} bytes are no statistics of format {FORMAT_VERSION} ({type(error).__name__}); refit",
            code="statistics_corrupt",
        ) from error


def less(statistics: Statistics, gone: Statistics, stays_K: Mask, numbers: Sequence[Mask]) -> Statistics:
    """Return statistics less those of the rows that go; what is no sum is given: kept sparse rows, and numbers.

    Args:
        statistics: of all rows.
        gone: of the rows that go.
        stays_K: the sparse rows that stay.
        numbers: per factor which numbers stay.
    """
    return replace(
        statistics,
        labelled=statistics.labelled - gone.labelled,
        pool=statistics.pool - gone.pool,
        complete=statistics.complete - gone.complete,
        ground_G=statistics.ground_G - gone.ground_G,
        ground_GG=statistics.ground_GG - gone.ground_GG,
        cross_GL=statistics.cross_GL - gone.cross_GL,
        sparse_latents_KL=statistics.sparse_latents_KL[stays_K],
        sparse_values_KF=statistics.sparse_values_KF[stays_K],
        numbers=tuple(values_N[stays_N] for values_N, stays_N in zip(statistics.numbers, numbers, strict=True)),
        weights=None if statistics.weights is None else statistics.weights.less(gone.weights, stays_K, numbers),
    )
