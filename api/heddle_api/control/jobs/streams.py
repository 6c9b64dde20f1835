"""Open streams of job events: each asks the database four times a second, so a tenant has so many at most."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from heddle_platform.errors import RateLimited

_MOST: Final = 64
_RETRY_SECONDS: Final = 5.0


class Streams:
    """The open streams of one process, by whose they are; operators' count together."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._open: Counter[str | None] = Counter()

    def check(self, tenant_id: str | None) -> None:
        """Make sure that one more may be opened.

        Raises:
            RateLimited: code `too_many_streams`.
        """
        if self._open[tenant_id] < self._most:
            return
        error = RateLimited(
            f"{self._most} streams of yours are open, at most {self._most} may be; close one, or ask for a job's "
            "history as JSON",
            code="too_many_streams",
        )
        error.retry_after_seconds = _RETRY_SECONDS
        raise error

    async def counted(self, tenant_id: str | None, stream: AsyncIterator[str]) -> AsyncGenerator[str]:
        """Yield a stream's lines; from the first until it ends or its reader goes away it counts."""
        self._open[tenant_id] += 1
        try:
            async for line in stream:
                yield line
        finally:
            self._open[tenant_id] -= 1
            if not self._open[tenant_id]:
                del self._open[tenant_id]
