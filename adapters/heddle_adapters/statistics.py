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
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np

from heddle_adapters.arrays import Floats, Mask
from heddle_adapters.design import Coding
from heddle_adapters.intake import labels_of
from heddle_adapters.sealed_zip import npy_bytes, zipped
from heddle_adapters.sums import LatentSums, latent_sums
from heddle_platform.digest import canonical_json
from heddle_platform.errors import DataCorrupt
from heddle_platform.factors import Continuous, FactorSet, FactorSpec, Kind, Periodic, parse_factor_set

FORMAT_VERSION = 2  # sums over no rows are left out; format 1 wrote them as zeros, 98 KB of them for 64 latents
FORMATS = (1, 2)
_HEADER = "header.json"
_SUMS = ("total_L", "square_LL", "cubic_LL", "quartic_LL")


@dataclass(frozen=True, eq=False)
class Statistics:
    """What is kept of N labelled rows and M pool rows.

    Attributes:
        factor_set, base_digest: as in the adapter.
        kinds: how each factor was coded; an ordinal factor may stand as "categorical".
        ridge: pseudo-counts per level of the fit.
        labelled, pool: sums over the latents of all labelled, and of all unlabelled, images.
        complete: complete rows, those with a label for every factor.
        ground_G, ground_GG, cross_GL: over complete rows, sums of ground columns, of their products with each
            other, and with latents.
        sparse_latents_KL, sparse_values_KF: the rows with a missing label.
        numbers: per factor its known values in ascending order; empty for levels and angles.
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

    @property
    def rows(self) -> int:
        """N, labelled rows."""
        return self.labelled.count

    def counts(self) -> tuple[Floats, ...]:
        """Return per factor the labels of each level, [K]; empty for numbers."""
        found = []
        for index, (factor, block) in enumerate(
            zip(self.factor_set.factors, ground_slices(self.factor_set), strict=True)
        ):
            levels = len(getattr(factor, "level_names", ()))
            value_K = self.sparse_values_KF[:, index]
            known_K = value_K[~np.isnan(value_K)].astype(np.intp) if levels else np.empty(0, np.intp)
            complete_K = self.ground_G[block] if levels else np.empty(0)
            found.append(np.asarray(complete_K + np.bincount(known_K, minlength=levels), dtype=np.float64))
        return tuple(found)


def gather(
    latents_NL: Floats,
    values_NF: Floats,
    factor_set: FactorSet,
    codings: Sequence[Coding],
    *,
    base_digest: str,
    pool_ML: Floats | None = None,
    ridge: float,
) -> Statistics:
    """Sum up the rows that a fit was given; arguments as `fit_adapter` takes them, codings from the adapter."""
    values_NF = labels_of(values_NF)
    whole_N = ~np.isnan(values_NF).any(axis=1)
    ground_NG = ground_columns(values_NF[whole_N], factor_set)
    known = [np.sort(values_N[~np.isnan(values_N)]) for values_N in values_NF.T]
    return Statistics(
        factor_set,
        base_digest,
        tuple(coding.kind for coding in codings),
        ridge,
        latent_sums(latents_NL),
        latent_sums(np.empty((0, latents_NL.shape[1])) if pool_ML is None else pool_ML),
        int(whole_N.sum()),
        ground_NG.sum(axis=0),
        ground_NG.T @ ground_NG,
        ground_NG.T @ latents_NL[whole_N],
        latents_NL[~whole_N],
        values_NF[~whole_N],
        tuple(
            values_N if isinstance(factor, Continuous) else np.empty(0)
            for factor, values_N in zip(factor_set.factors, known, strict=True)
        ),
    )


def ground_columns(values_NF: Floats, factor_set: FactorSet) -> Floats:
    """Return the ground columns [N, G] of labels without gaps."""
    columns = []
    for index, factor in enumerate(factor_set.factors):
        value_N = values_NF[:, index]
        if isinstance(factor, Periodic):
            angle_N = value_N * (2 * np.pi / factor.period)
            columns.append(np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1))
        elif isinstance(factor, Continuous):
            low, high = factor.range
            columns.append(((value_N - low) / (high - low))[:, None])
        else:
            columns.append((value_N[:, None] == np.arange(len(factor.level_names))).astype(np.float64))
    return np.hstack(columns)


def ground_slices(factor_set: FactorSet) -> tuple[slice, ...]:
    """Return each factor's slice of the G ground columns."""
    ends = np.cumsum([_width(factor) for factor in factor_set.factors]).tolist()
    return tuple(slice(end - _width(factor), end) for factor, end in zip(factor_set.factors, ends, strict=True))


def design_of_ground(factor_set: FactorSet, codings: Sequence[Coding]) -> tuple[Floats, Floats]:
    """Return (map [G, P], offset [P]) with design rows = ground rows @ map + offset."""
    blocks = ground_slices(factor_set)
    map_GP = np.zeros((blocks[-1].stop, sum(coding.columns for coding in codings)))
    offset_P = np.zeros(map_GP.shape[1])
    start = 0
    for factor, coding, block in zip(factor_set.factors, codings, blocks, strict=True):
        columns = slice(start, start + coding.columns)
        start = columns.stop
        if isinstance(factor, Continuous):
            low, high = factor.range
            map_GP[block, columns] = (high - low) / coding.spread
            offset_P[columns] = (low - coding.center) / coding.spread
        else:
            map_GP[block, columns] = coding.table_KP if coding.levels else np.eye(2)
    return map_GP, offset_P


def pack_statistics(statistics: Statistics) -> bytes:
    """Return the statistics as bytes, the same for equal ones."""
    header = {
        "format": FORMAT_VERSION,
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
        return Statistics(**header, **arrays, numbers=numbers)
    except Exception as error:  # a damaged zip, header or array fails in too many ways to list
        raise DataCorrupt(
            f"the {len(data)} bytes are no statistics of format {FORMAT_VERSION} ({type(error).__name__}); refit",
            code="statistics_corrupt",
        ) from error


def less(statistics: Statistics, gone: Statistics, stays_K: Mask, numbers: Sequence[Floats]) -> Statistics:
    """Return statistics less those of the rows that go; what is no sum is given: kept sparse rows, and numbers.

    Args:
        statistics: of all rows.
        gone: of the rows that go.
        stays_K: the sparse rows that stay.
        numbers: the numbers that stay.
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
        numbers=tuple(numbers),
    )


def _width(factor: FactorSpec) -> int:
    if isinstance(factor, Periodic):
        return 2
    return 1 if isinstance(factor, Continuous) else len(factor.level_names)
