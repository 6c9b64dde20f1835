"""The card's page on edits: effect curves, leakage with its sign, preservation, faithfulness. Documents only."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

STRENGTHS = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True)


class JudgeCard(_Document):
    """Who judged the effect curves and the signed leakage.

    Attributes:
        kind: "independent": a closed-form read fitted on held-out rows that neither made the direction nor were
            edited; "fold": the read of the fold's own fit, where labels are too few for a second one.
        rows: labelled rows that taught it, mean over folds.
        accuracy: mean accuracy of it on the edited pictures' originals, over levelled factors; None without any.
        detail: the same as a sentence.
    """

    kind: Literal["independent", "fold"]
    rows: int
    accuracy: float | None
    detail: str


class CurvePoint(_Document):
    """What edits at one strength did.

    Attributes:
        strength: a; 1 sets the factor as served (levels) or moves it by one standard deviation (numbers), a sixth of
            a turn (angles); negative strengths go the other way.
        effect: e(a), mean change of the reading along the edit, as a share of the change between real pictures of the
            two levels (levels) or in standard deviations (numbers); what the round trip does anyway is subtracted.
        interval: 95 %, by the standard error of the mean.
        flips: share that reads as the target; None for numbers.
        outside: share of edited latents outside the 99 % range of the tenant's images.
    """

    strength: float
    effect: float
    interval: tuple[float, float]
    flips: float | None
    outside: float


class CurveCard(_Document):
    """The effect curve of one factor, in the drawing mode that is served.

    Attributes:
        factor: its name.
        unit: what an effect of 1 is: "level" or "sd".
        points: by strength.
        unit_effect: e(1); wanted in .8 to 1.2.
        monotone: share of steps from one strength to the next in which a picture's reading rises.
        usable: strengths between which the effect still rises, at least a quarter as steeply as about 0.
        pictures: edited at each strength.
    """

    factor: str
    unit: Literal["level", "sd"]
    points: tuple[CurvePoint, ...]
    unit_effect: float
    monotone: float
    usable: tuple[float, float]
    pictures: int


class LeakCard(_Document):
    """What edits of one factor do to another, at matched effect.

    Attributes:
        edited, other: the factors.
        signed: change of `other` in its own sd per sd of effect, along the way in which their labels go together:
            positive if the edit does to `other` what the labels' correlation would, negative if it does the opposite.
        unsigned: size of the change of `other` per sd of effect, whatever its direction; the size of what the round
            trip changes anyway is subtracted.
        association: of their labels, 0..1.
    """

    edited: str
    other: str
    signed: float
    unsigned: float
    association: float


class FidelityCard(_Document):
    """How much else edits of one factor change, and whether they stay within what the base can draw.

    Attributes:
        factor: its name.
        preserved: 1 - change outside the labelled span / distance of random pairs there; wanted at least .85. None if
            the labels tell all of the latents.
        faithful: relative error between the latents asked for and those of the picture drawn; wanted at most .25.
        restored: 1 - distance from the unedited picture after going back / distance of random pairs.
        restored_reading: share of edits after which, gone back, the factor reads as before; None for numbers.
        outside: share of edited latents beyond the 99 % range of the tenant's images (Mahalanobis).
        distance: median Mahalanobis distance of edited latents over that range's.
    """

    factor: str
    preserved: float | None
    faithful: float
    restored: float
    restored_reading: float | None
    outside: float
    distance: float


class EditsCard(_Document):
    """The four measurements of edits, on held-out images.

    Attributes:
        judge: who judged.
        curves, fidelity: per factor.
        leaks: per ordered pair of factors.
        preserved: mean of the factors' `preserved`.
        round_trip_error: the same relative error of pictures drawn without an edit: the best any edit can do.
        nuisance_latents: dimensions outside the labelled span.
        pictures: drawn for this.
    """

    judge: JudgeCard
    curves: tuple[CurveCard, ...]
    leaks: tuple[LeakCard, ...]
    fidelity: tuple[FidelityCard, ...]
    preserved: float | None
    round_trip_error: float
    nuisance_latents: int
    pictures: int
