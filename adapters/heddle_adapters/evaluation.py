"""What an evaluation says, as a document: a version's scores on a labelled set, each held against its card's."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from heddle_adapters.report import ScoreCard
from heddle_platform.factors import Kind

Outcome = Literal["better", "equal", "worse"]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True)


class Held(_Document):
    """A number held against that of the version's card.

    Attributes:
        before: on the card, out of fold.
        after: on this set.
        noise: half the 95 % interval of the difference of the two, each with its own error.
        outcome: "better" or "worse" where they differ by more than the noise, else "equal".
    """

    before: float
    after: float
    noise: float
    outcome: Outcome


class FactorEvaluation(_Document):
    """What is known of one factor on this set; the fields of `report.FactorCard` mean what they mean there.

    Attributes:
        confusion: true level -> level read -> images (levelled factors), zeros left out.
        compared: held against the card; None where there is nothing to hold it against.
    """

    name: str
    kind: Kind
    labels: int
    counts: dict[str, int]
    measure: Literal["accuracy", "r2"]
    accuracy: float
    accuracy_interval: tuple[float, float]
    chance: float
    calibration_error: float | None
    readable: bool
    mig: float | None
    ceiling: float | None
    confusion: dict[str, dict[str, int]]
    compared: Held | None


class EvaluationWarning(_Document):
    """Something a person should know before trusting a number: a stable code, a sentence, and its numbers."""

    code: str
    detail: str
    numbers: dict[str, float]


class Evaluation(_Document):
    """What a version is worth on a labelled set.

    Attributes:
        labels: labelled images of the set.
        seen: those of them that the version was fitted on; None where its set is not known any more.
        scored: images that the scores are of: those not seen; all where every one was seen.
        factors: those with labels to be scored on.
        not_scored: factor -> why it was not.
        accuracy: mean over `factors`, weighted by importance.
        compared: that mean held against the card's over the same factors.
        better, equal, worse: factors by outcome.
        mig, mig_latents, dci, dci_latents: of the images that have the labels; see `report.Card`.
    """

    format: Literal[1] = 1
    factor_set: str
    base_digest: str
    labels: int
    seen: int | None
    scored: int
    factors: tuple[FactorEvaluation, ...]
    not_scored: dict[str, str]
    accuracy: float
    compared: Held | None
    better: tuple[str, ...]
    equal: tuple[str, ...]
    worse: tuple[str, ...]
    mig: ScoreCard
    mig_latents: ScoreCard
    dci: ScoreCard
    dci_latents: ScoreCard
    warnings: tuple[EvaluationWarning, ...]
    protocol: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return self.model_dump(mode="json")
