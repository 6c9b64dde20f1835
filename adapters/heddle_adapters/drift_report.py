"""What is told of a version's drift: the verdict, its measures with their chance, and what to do; JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from heddle_adapters import drift as judging
from heddle_adapters.drift import Drift, FactorReference, LevelShift, Verdict
from heddle_platform.drift import Watched, WatchedSums
from heddle_platform.factors import LevelledFactor, parse_factor_set


class OutsideView(BaseModel):
    """Images outside the version's trusted range, which holds 99 % of those it was fitted on."""

    share: float = Field(description="Of all images counted, 0 to 1.", examples=[0.012])
    interval: tuple[float, float] = Field(description="95 % interval (Wilson).", examples=[[0.007, 0.021]])
    expected: float = Field(description="The share where nothing has changed.", examples=[0.01])
    p: float = Field(description="Chance of so many where nothing has changed.", examples=[0.31])


class ShiftView(BaseModel):
    """How far the mean of the latents has moved."""

    value: float = Field(description="In standard deviations, 0 and up.", examples=[0.21])
    interval: tuple[float, float] = Field(description="95 % interval.", examples=[[0.0, 0.4]])
    p: float = Field(description="Chance of a mean so far off where nothing has moved.", examples=[0.24])


class LevelsView(BaseModel):
    """One factor with levels: how often each is read at the edge, and was labelled."""

    factor: str = Field(description="Name of the factor.", examples=["glasses"])
    index: float = Field(description="Population stability index; from 0.25 on much has moved.", examples=[0.03])
    p: float = Field(description="Chance of such a difference, corrected over the factors (Holm).", examples=[0.4])
    read: dict[str, int] = Field(description="Level to images.", examples=[{"none": 310, "round": 102}])
    labelled: dict[str, int] = Field(description="Level to labelled images.", examples=[{"none": 370, "round": 130}])


class DriftView(BaseModel):
    """Whether what a version edits still looks like what it was fitted on."""

    adapter: str = Field(description="Name of the adapter.", examples=["avatars"])
    adapter_id: str
    version: int = Field(examples=[3])
    window_hours: int = Field(description="How many hours were looked back.", examples=[168])
    images: int = Field(description="Images counted; one counts once an hour.", examples=[412])
    reference_images: int = Field(description="Images the version was fitted on, unlabelled too.", examples=[500])
    verdict: Verdict = Field(description="`too_few`: fewer than 50 images were counted.")
    reasons: list[str] = Field(
        description="Why, with the numbers.", examples=[["412 images look like the 500 that the version was fitted on"]]
    )
    advice: str = Field(description="What to do.", examples=["Nothing to do."])
    outside: OutsideView | None = Field(description="Null where no image was counted.")
    shift: ShiftView | None = Field(description="Null where no image was counted.")
    levels: list[LevelsView] = Field(
        description="Of each readable factor with levels; none where labelled images had weights."
    )
    first_hour: datetime | None = Field(description="The first hour with an image in it.")
    last_hour: datetime | None = Field(description="The last one.")


def drift_report(watched: Watched, found: WatchedSums | None, window_hours: int) -> DriftView:
    """Judge a version.

    Args:
        watched: the version, and what it was fitted on.
        found: sums of the images that it edited; None: there were none.
        window_hours: the time that they are of.
    """
    drifted = judging.measure(found.sums if found else None, watched.images, _references(watched))
    return DriftView(
        adapter=watched.adapter_name,
        adapter_id=watched.adapter_id,
        version=watched.version,
        window_hours=window_hours,
        images=drifted.images,
        reference_images=watched.images,
        verdict=drifted.verdict,
        reasons=list(drifted.reasons),
        advice=drifted.advice,
        **_measures(drifted),
        first_hour=found.first_hour.astimezone(UTC) if found else None,
        last_hour=found.last_hour.astimezone(UTC) if found else None,
    )


def _measures(drifted: Drift) -> dict[str, Any]:
    outside, shift = drifted.outside, drifted.shift
    return {
        "outside": outside
        and OutsideView(
            share=round(outside.value, 5),
            interval=(round(outside.low, 5), round(outside.high, 5)),
            expected=judging.EXPECTED_OUTSIDE,
            p=outside.p,
        ),
        "shift": shift
        and ShiftView(value=round(shift.value, 4), interval=(round(shift.low, 4), round(shift.high, 4)), p=shift.p),
        "levels": [_levels(one) for one in drifted.levels],
    }


def _levels(one: LevelShift) -> LevelsView:
    return LevelsView(
        factor=one.factor, index=round(one.index, 4), p=one.p_holm, read=dict(one.read), labelled=dict(one.labelled)
    )


def _references(watched: Watched) -> list[FactorReference]:
    """Return the levelled factors in the factor set's order, which is that of the sums."""
    cards: Mapping[str, Mapping[str, Any]] = {card["name"]: card for card in watched.factors}
    references = []
    for factor in parse_factor_set(watched.factor_set).factors:
        if isinstance(factor, LevelledFactor):
            card = cards.get(factor.name, {})
            counts = card.get("counts", {})
            labelled = tuple(int(counts.get(level, 0)) for level in factor.level_names)
            comparable = bool(card.get("readable")) and not watched.is_weighted
            references.append(FactorReference(factor.name, factor.level_names, labelled, comparable))
    return references
