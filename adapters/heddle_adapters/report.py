"""The report card as a document: frozen, JSON in and out, every score with its protocol.

Nothing in `Card.document()` depends on a clock or a thread count: equal inputs give equal documents.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from heddle_adapters.report_edits import EditsCard
from heddle_adapters.report_labels import AssociationCard, LabellingCard
from heddle_platform.factors import Kind

__all__ = ["AssociationCard", "Card", "CardWarning", "FactorCard", "ModeEffect", "ScoreCard"]

Share = float


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True)


class ScoreCard(_Document):
    """One whole-set score.

    Attributes:
        value: the score; None where it is not defined (its `protocol` then says why).
        interval: 95 % interval by delete-a-tenth jackknife, or None.
        parts: named parts, such as disentanglement, completeness, informativeness, or one value per factor.
        protocol: metric, version, n, bins or k, model family.
    """

    value: float | None
    interval: tuple[float, float] | None = None
    parts: dict[str, float | None] = Field(default_factory=dict)
    protocol: dict[str, Any] = Field(default_factory=dict)


class ModeEffect(_Document):
    """What edits of one factor did, drawn in one mode.

    Attributes:
        effect: share of edits after which the factor reads as set (levels), or nearer the target than where
            it started (numbers).
        effect_interval: 95 % Wilson interval.
        leakage: share of edits in which another readable factor left its reading, the share in which it does so
            without an edit (noise of the round trip) subtracted; the largest over the other factors.
        leakage_interval: 95 %, low of the largest, high of any; None on cards before format 2.
        leakage_mean: mean over the other readable factors.
        damage: the same mean, noise not subtracted.
        edits: number of edits judged.
    """

    effect: Share
    effect_interval: tuple[Share, Share]
    leakage: Share
    leakage_mean: Share
    damage: Share
    edits: int
    leakage_interval: tuple[Share, Share] | None = None


class FactorCard(_Document):
    """What is known of one factor.

    Attributes:
        name, kind: as declared.
        coded_as: kind it is coded as; an ordinal factor without monotone latents is "categorical".
        labels: labelled images.
        counts: images per level (levelled factors).
        measure: what `accuracy` measures: "accuracy" for levels, "r2" for numbers.
        accuracy: out-of-fold accuracy or R squared.
        accuracy_interval: 95 % interval (Wilson, or jackknife for R squared).
        chance: share of the largest level; 0 for R squared.
        calibration_error: mean gap between confidence and accuracy over ten bins (levels), or None.
        readable: whether the reading clearly beats chance; leakage into other factors is not counted.
        survives: share of unedited pictures whose reading is the same after decoding and encoding again: what
            the base cannot draw, no edit can reach.
        effect, leakage, leakage_mean: of the mode in `detail`; None where no edit could be judged.
        leakage_into: the other factor that changes most, or None.
        effect_by_detail: both modes, where both were judged; the one not served from every third edit.
        detail: mode measured as better.
        gain: factor the change is multiplied by.
        mig: gap of this factor's slider over the next best slider, over the factor's entropy.
        ceiling: highest gap these labels allow, 1 - max I(f_j; f_k) / H(f_k).
        mig_share: `mig` over `ceiling`: what was reached of what can be.
        read: which read won out of fold.
    """

    name: str
    kind: Kind
    coded_as: Kind
    labels: int
    counts: dict[str, int]
    measure: Literal["accuracy", "r2"]
    accuracy: float
    accuracy_interval: tuple[float, float]
    chance: float
    calibration_error: float | None
    readable: bool
    survives: Share | None
    effect: Share | None
    leakage: Share | None
    leakage_mean: Share | None
    leakage_into: str | None
    effect_by_detail: dict[str, ModeEffect]
    detail: Literal["decode", "preserve"]
    gain: float
    mig: float | None
    ceiling: float | None
    mig_share: float | None = None
    read: str

    @property
    def _served(self) -> ModeEffect | None:
        return self.effect_by_detail.get(self.detail)

    @property
    def effect_low(self) -> float:
        """Lower end of the effect's interval; the effect itself where none was measured."""
        return self._served.effect_interval[0] if self._served else self.effect or 0.0

    @property
    def effect_reach(self) -> float:
        """Half the effect's interval."""
        return (self._served.effect_interval[1] - self._served.effect_interval[0]) / 2 if self._served else 0.0

    @property
    def leakage_high(self) -> float:
        """Upper end of the leakage's interval; the leakage itself where none was measured."""
        found = self._served.leakage_interval if self._served else None
        return found[1] if found else self.leakage or 0.0

    @property
    def leakage_reach(self) -> float:
        """Half the leakage's interval."""
        found = self._served.leakage_interval if self._served else None
        return (found[1] - found[0]) / 2 if found else 0.0


class CardWarning(_Document):
    """Something a person should know before trusting a number.

    Attributes:
        code: stable snake_case name.
        factors: the factors it is about.
        detail: a sentence with the numbers and what would help.
        numbers: those numbers, by name.
        action: what to do, as a sentence of its own; empty if nothing would help.
    """

    code: str
    factors: tuple[str, ...]
    detail: str
    numbers: dict[str, float] = Field(default_factory=dict)
    action: str = ""


class InteractionCard(_Document):
    """One pair of factors that was tried for an interaction.

    Attributes:
        factor: the factor whose look depends more on the other.
        on: the other.
        gain: share of what the additive model leaves unexplained, out of fold, that the pair's columns explain on
            top of the pairs kept before it.
        error: its standard error.
        columns: product columns of the pair.
        kept: whether edits of one factor follow the level read of the other.
        reason: why, or why not.
        thin_cells: pairs of levels (of `factor`, of `on`) with fewer than five images: moves from or to them are
            additive.
        cells: pairs of levels there are; 0 where one of the factors is a number.
    """

    factor: str
    on: str
    gain: float
    error: float
    columns: int
    kept: bool
    reason: str
    thin_cells: tuple[tuple[str, str], ...]
    cells: int


class Card(_Document):
    """The report card of one fit.

    Attributes:
        labels: labelled images; `folds` of them out of fold in every number.
        accuracy: mean over factors, weighted by importance.
        effect: mean over judged factors, weighted by importance.
        leakage_max: largest entry of `leakage` among readable factors.
        leakage: edited factor -> other factor -> share of edits in which its reading left that of the picture
            that came in, round-trip noise subtracted, in the mode chosen for the edited factor.
        changed: the same, but the share in which its reading differs from the unedited round trip's: includes
            the noise of factors that the base hardly draws.
        interactions: pairs tried, kept or not; empty where none explained more than chance would.
        mig, dci: of the sliders (out-of-fold readings, one code per factor).
        mig_latents, dci_latents: of the raw latents.
        labelling: what the labels can support, and which images to label.
        measured: effect curves, signed leakage, preservation and faithfulness; None on cards before format 2.
        fit_seconds: time of the final fit; not part of the document.
    """

    format: int = 2
    factor_set: str
    base_digest: str
    labels: int
    pool: int
    folds: int
    seed: int
    factors: tuple[FactorCard, ...]
    accuracy: float
    effect: float | None
    leakage_max: float | None
    leakage: dict[str, dict[str, float]]
    changed: dict[str, dict[str, float]]
    mig: ScoreCard
    mig_latents: ScoreCard
    dci: ScoreCard
    dci_latents: ScoreCard
    associations: tuple[AssociationCard, ...]
    warnings: tuple[CardWarning, ...]
    interactions: tuple[InteractionCard, ...] = ()
    latents: int
    active_latents: int
    write_kind: str
    write_condition: float
    round_trips: int
    protocol: dict[str, Any]
    labelling: LabellingCard | None = None
    measured: EditsCard | None = None
    fit_seconds: float = Field(0.0, exclude=True)

    def factor(self, name: str) -> FactorCard:
        """Return the card of one factor; KeyError if there is none."""
        return {factor.name: factor for factor in self.factors}[name]

    def document(self) -> dict[str, Any]:
        """Return the card as JSON."""
        return self.model_dump(mode="json")
