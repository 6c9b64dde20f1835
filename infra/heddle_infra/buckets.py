"""Buckets in Redis: `heddle_platform.rate.take` once more, as a script that the server runs in one step.

The server's clock is the only one, so processes whose clocks differ share a bucket. A bucket that is full again is
forgotten: that is what one never seen looks like.
"""

from collections.abc import Sequence
from typing import Any, Final

from heddle_platform.rate import MICROSECONDS, Taken

TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, requests = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local after = full_at + requests * interval
local opens = after - burst * interval
if now < opens then
  local remaining = math.max(0, math.floor((now + burst * interval - full_at) / interval + 1e-6))
  return {0, remaining, math.ceil(opens - now), math.ceil(full_at - now)}
end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000) + 1)
return {1, math.floor((now - opens) / interval + 1e-6), 0, math.ceil(after - now)}
"""


def taken_of(answer: Sequence[Any]) -> Taken:
    """Read what the script answers: allowed, remaining, and two times in microseconds."""
    allowed, remaining, retry_after, reset = (int(number) for number in answer)
    return Taken(bool(allowed), remaining, retry_after / MICROSECONDS, reset / MICROSECONDS)
