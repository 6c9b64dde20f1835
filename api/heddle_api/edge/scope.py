"""Scope: whose request this is, what serves it, until when somebody waits for it, and where its time goes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from heddle_api.auth import Principal
from heddle_api.edge.batcher import Coming
from heddle_api.edge.serving import Serving
from heddle_api.edge.stopwatch import Stopwatch
from heddle_platform.errors import Unavailable


@dataclass(frozen=True, eq=False)
class EditScope:
    """See the module. `background`: nobody waits for the answer now. `coming`: what the batcher knows of it."""

    serving: Serving
    tenant_id: str
    epoch: int
    deadline: float
    watch: Stopwatch
    background: bool = False
    coming: Coming = field(default_factory=Coming)

    @property
    def owner(self) -> str:
        """Who takes turns in the queue: what runs in the background does not use up its tenant's own turns."""
        return f"{self.tenant_id}/background" if self.background else self.tenant_id

    def timed_anew(self) -> "EditScope":
        """Return the same scope with a stopwatch of its own, for work that several requests share."""
        return replace(self, watch=Stopwatch())


def open_scope(
    serving: Serving | None,
    principal: Principal,
    deadline_seconds: float,
    *,
    background: bool = False,
    coming: Callable[[], Coming] = Coming,
) -> EditScope:
    """Begin a request.

    Args:
        serving: what serves it; None before the first state.
        principal: who asks.
        deadline_seconds: how long somebody waits.
        background: nobody waits for it now.
        coming: lets the batcher know, where an edit is on its way.

    Raises:
        Unavailable: code `not_ready`.
        Forbidden: an operator's key.
    """
    if serving is None:
        raise Unavailable("this replica is still starting; try again in a moment", code="not_ready")
    tenant_id = principal.tenant
    epoch = serving.epochs.get(tenant_id, principal.tenant_epoch)
    return EditScope(serving, tenant_id, epoch, time.monotonic() + deadline_seconds, Stopwatch(), background, coming())
