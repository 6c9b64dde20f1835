"""Quotas: what a tenant may have and do at once, and how a refusal says so."""

from typing import Final, Literal, get_args

from heddle_platform.errors import HeddleError, QuotaExceeded, RateLimited
from heddle_platform.rate import Rate
from heddle_platform.records import Record
from heddle_platform.settings import QuotaSettings

Counted = Literal["images", "bytes", "labelled_rows", "adapters", "queued_jobs"]
COUNTED: Final[tuple[Counted, ...]] = get_args(Counted)

_FREED_SECONDS: Final = 5.0  # how soon a place in the queue may be free again: most jobs take less
_ADVICE: Final[dict[Counted, str]] = {
    "images": "delete labelled sets you no longer need, or ask your operator for more",
    "bytes": "delete labelled sets you no longer need, or ask your operator for more",
    "labelled_rows": "delete labelled sets you no longer need, or ask your operator for more",
    "adapters": "fit further versions of the adapters you have, or ask your operator for more",
    "queued_jobs": "wait until some of them have started, or cancel some",
}


class Quota(Record):
    """All limits of one tenant, its own and the platform's where it has none of its own.

    `requests_per_second` and `burst` hold for each plane by itself; `weight` is the tenant's share of the queue;
    `running_jobs` None: as many as there is room for.
    """

    requests_per_second: float
    burst: int
    images: int
    bytes: int
    labelled_rows: int
    adapters: int
    running_jobs: int | None = None
    queued_jobs: int
    weight: float = 1.0

    @property
    def rate(self) -> Rate:
        """The bucket that the tenant's requests are taken out of."""
        return Rate(self.requests_per_second, self.burst)


LIMITS: Final[tuple[str, ...]] = tuple(Quota.model_fields)


def default_quota(settings: QuotaSettings) -> Quota:
    """Return what holds for a tenant that nobody set anything for."""
    return Quota.model_validate({name.removeprefix("quota_"): value for name, value in settings})


def refusal(limit: Counted, used: int, wanted: int, most: int) -> HeddleError | None:
    """Return the error for who wants `wanted` more and has `used` of at most `most`; None where it fits.

    Whoever has too much queued need only wait, so that is a `RateLimited`; all else is a `QuotaExceeded`.
    """
    if used + wanted <= most:
        return None
    what = limit.replace("_", " ")
    sentence = f"your tenant has {used} {what}, this asks for {wanted} more, at most {most} are allowed; "
    sentence += _ADVICE[limit]
    if limit == "queued_jobs":
        error = RateLimited(sentence, code="quota_exceeded", param=limit)
        error.retry_after_seconds = _FREED_SECONDS
        return error
    return QuotaExceeded(sentence, param=limit)
