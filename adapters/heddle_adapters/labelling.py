"""What the labels can support, summed up for the card: associations, conditions, ceiling, and the images to label."""

from collections.abc import Sequence

import numpy as np

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats, rounded
from heddle_adapters.associations import Association
from heddle_adapters.dependence import condition, condition_between, smallest_detectable
from heddle_adapters.design import code_all
from heddle_adapters.label_requests import LabelRequest, label_requests
from heddle_adapters.read import read_values
from heddle_adapters.report_labels import AssociationCard, LabellingCard, LabelRequestCard
from heddle_adapters.whole import SetScores
from heddle_platform.factors import FactorSet


def labelling_card(
    adapter: Adapter,
    values_NF: Floats,
    whole: SetScores,
    pairs: Sequence[Association],
    pool_ML: Floats | None,
    pool_names: Sequence[str] | None,
) -> LabellingCard:
    """Sum up the labels.

    Args:
        adapter: fitted on all labels; reads the pool, so that requests can name images.
        values_NF: labels, NaN where missing.
        whole: the set's scores, for the ceiling.
        pairs: associations of the labels.
        pool_ML: latents of the unlabelled images.
        pool_names: what those images are called.
    """
    pool_read_MF = None if pool_ML is None or not len(pool_ML) else read_values(adapter, pool_ML)
    requests, short = label_requests(values_NF, adapter.factor_set, pool_read_MF=pool_read_MF)
    ceilings = [ceiling for ceiling in whole.ceilings if ceiling is not None]
    ceiling = float(np.mean(ceilings)) if ceilings else None
    return LabellingCard(
        smallest_detectable=rounded(smallest_detectable(len(values_NF))),
        permutations=pairs[0].permutations if pairs else 0,
        condition=rounded(_condition(adapter, values_NF)),
        condition_between=rounded(condition_between(values_NF, adapter.factor_set)),
        mig_ceiling=None if ceiling is None else rounded(ceiling),
        mig_share=None if not ceiling or whole.mig.value is None else rounded(whole.mig.value / ceiling),
        short_pairs=short,
        requests=tuple(_request_card(one, pool_names) for one in requests),
    )


def association_card(pair: Association, factor_set: FactorSet) -> AssociationCard:
    """Return one pair as a document."""
    names = factor_set.names
    return AssociationCard(
        factors=(names[pair.first], names[pair.second]),
        value=rounded(pair.value),
        measure=pair.measure,
        labels=pair.rows,
        smallest_cell=pair.smallest_cell,
        empty_cells=pair.empty_cells,
        thin_cells=pair.thin_cells,
        cells=pair.cells,
        p=float(f"{pair.p:.3g}"),
        p_holm=float(f"{pair.p_holm:.3g}"),
        detectable=rounded(pair.detectable),
        claim=pair.claim,
    )


def _condition(adapter: Adapter, values_NF: Floats) -> float:
    design_NP = code_all(values_NF, adapter.codings)
    missing_NP = np.isnan(design_NP)
    design_NP = np.where(missing_NP, 0.0, design_NP - np.nanmean(design_NP, axis=0))
    size_P = np.sqrt(np.square(design_NP).sum(axis=0))
    return condition(design_NP[:, size_P > 0] / size_P[size_P > 0])


def _request_card(request: LabelRequest, pool_names: Sequence[str] | None) -> LabelRequestCard:
    named = tuple(pool_names[row] if pool_names else str(row) for row in request.pool)
    return LabelRequestCard(
        levels=request.levels,
        have=request.have,
        wanted=request.wanted,
        pairs=request.pairs,
        pool=named,
        detail=request.sentence,
    )
