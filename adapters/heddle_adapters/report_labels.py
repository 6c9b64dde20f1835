"""The card's page on labels: what goes together, what that forbids, and which images to label. Documents only."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class AssociationCard(BaseModel):
    """How strongly the labels of two factors go together.

    Attributes:
        factors: the pair.
        value: bias-corrected Cramer's V, correlation ratio, |Spearman|, or canonical correlation, 0..1, by kind.
        measure: which of them.
        labels: rows on which both are labelled.
        smallest_cell: least count over level pairs; None where one of them is a number.
        empty_cells, thin_cells, cells: level pairs that never occur, occur fewer than five times, and all.
        p, p_holm: of no dependence, by permutation; corrected over all pairs.
        detectable: smallest correlation that this many rows find with 80 % power at the 5 % level.
        claim: "refused": a level pair never occurs, independence cannot be claimed; "associated": p_holm < .05;
            "none_found": neither, which below `detectable` proves nothing.
    """

    model_config = ConfigDict(frozen=True)
    factors: tuple[str, str]
    value: float
    measure: str
    labels: int
    smallest_cell: int | None
    empty_cells: int = 0
    thin_cells: int = 0
    cells: int = 0
    p: float | None = None
    p_holm: float | None = None
    detectable: float | None = None
    claim: Literal["refused", "associated", "none_found"] | None = None


class LabelRequestCard(BaseModel):
    """Images to label: those that show these levels, whatever else they show.

    Attributes:
        levels: factor -> level.
        have, wanted: images that show the rarest pair of these levels now, and how many are still needed.
        pairs: rare pairs of levels that such images fill.
        pool: files of the unlabelled images that read so, or their numbers where no names are known.
        detail: the request as a sentence.
    """

    model_config = ConfigDict(frozen=True)
    levels: dict[str, str]
    have: int
    wanted: int
    pairs: int
    pool: tuple[str, ...] = ()
    detail: str


class LabellingCard(BaseModel):
    """What the labels as a whole can support.

    Attributes:
        smallest_detectable: smallest correlation that all the labelled images find with 80 % power.
        permutations: behind every p value.
        condition: condition number of Phi'Phi as coded, columns centred and scaled to 1.
        condition_between: the same with each factor's own columns made orthonormal: 1 for independent factors.
        mig_ceiling: highest mean gap these labels allow (mean of the factors' ceilings), 0..1.
        mig_share: the sliders' MIG over that ceiling.
        short_pairs: level pairs with fewer than five images.
        requests: which images to label, most rewarding first.
    """

    model_config = ConfigDict(frozen=True)
    smallest_detectable: float
    permutations: int
    condition: float
    condition_between: float
    mig_ceiling: float | None
    mig_share: float | None
    short_pairs: int
    requests: tuple[LabelRequestCard, ...] = Field(default_factory=tuple)
