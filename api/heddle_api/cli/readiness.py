"""Whether a plane does its work yet: what `heddle up`, `heddle status` and `heddle demo` ask."""

import time
from typing import TYPE_CHECKING, Final

import httpx

from heddle_platform.errors import Unavailable

if TYPE_CHECKING:  # the embedded stack is part of the extra "local"
    from heddle_infra.local import StackInfo

_EDGE_READY_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05


def is_ready(url: str) -> bool:
    """Tell whether the plane at `url` says of itself that it is ready."""
    try:
        # no proxies: this is a loopback address
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def wait_for_edge(info: "StackInfo") -> None:
    """Wait until a stack's edge has loaded the default base and can serve edits.

    Raises:
        Unavailable: it cannot within a minute; the sentence names its log.
    """
    end = time.monotonic() + _EDGE_READY_SECONDS
    while not is_ready(info.edge_url):
        if time.monotonic() > end:
            raise Unavailable(
                f"the edge at {info.edge_url} is not ready after {_EDGE_READY_SECONDS:.0f} s; "
                f"see {info.data_dir}/logs/edge.log"
            )
        time.sleep(_POLL_SECONDS)
