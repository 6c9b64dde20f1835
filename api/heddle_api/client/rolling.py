"""What operators do with rollouts: bring a base to every tenant, watch, go on, go back."""

from collections.abc import Callable, Sequence

from heddle_api.client.hooking import HookingCalls
from heddle_api.client.planes import segment
from heddle_api.client.results import Document, RolloutInfo


class RollingCalls(HookingCalls):
    """Calls of operators on rollouts; all need an operator's key."""

    def start_rollout(
        self,
        base: str,
        *,
        canary_share: float = 0.1,
        max_wait_seconds: int | None = None,
        dry_run: bool = False,
        promote: bool = False,
        tenants: Sequence[str] | None = None,
    ) -> RolloutInfo:
        """Bring tenants' served adapters to a base.

        Args:
            base: id, alias, digest or name.
            canary_share: share of the tenants that pass which is moved first; 1 moves all.
            max_wait_seconds: after so long without a decision the canary is rolled back; None: it waits.
            dry_run: fit, judge and report only.
            promote: at the end point the base alias `default` at the base, so that new fits use it.
            tenants: ids; None: all.
        """
        body: Document = {"canary_share": canary_share, "max_wait_seconds": max_wait_seconds, "dry_run": dry_run}
        if promote:
            body["promote"] = True
        if tenants is not None:
            body["tenants"] = list(tenants)
        return RolloutInfo.model_validate(self._control.json("POST", f"/v1/bases/{segment(base)}/rollout", body))

    def rollouts(self) -> list[RolloutInfo]:
        """List rollouts, newest first."""
        return [RolloutInfo.model_validate(found) for found in self._all("/v1/rollouts")]

    def rollout(self, rollout: str) -> RolloutInfo:
        """Read a rollout: how far it is, and what became of the adapters in numbers."""
        return RolloutInfo.model_validate(self._control.json("GET", f"/v1/rollouts/{segment(rollout)}"))

    def wait_for_rollout(
        self,
        rollout: str,
        *,
        on_progress: Callable[[RolloutInfo], None] | None = None,
        timeout_seconds: float = 24 * 3600.0,
    ) -> RolloutInfo:
        """Wait until a rollout has fitted and judged everything (its canary is moved then), or is over.

        Args:
            rollout: id of the rollout.
            on_progress: told the rollout whenever it was read.
            timeout_seconds: how long to wait.

        Raises:
            ApiError: code `wait_timed_out`.
        """
        judged = lambda found: found.status != "fitting"  # noqa: E731
        return self._wait(lambda: self.rollout(rollout), judged, timeout_seconds, on_progress)

    def rollout_report(self, rollout: str) -> Document:
        """Read what became of every adapter, with numbers and reasons."""
        found: Document = self._control.json("GET", f"/v1/rollouts/{segment(rollout)}/report")
        return found

    def rollout_page(self, rollout: str) -> bytes:
        """Read the report as a self-contained HTML page."""
        path = f"/v1/rollouts/{segment(rollout)}/report"
        return self._control.send("GET", path, headers={"Accept": "text/html"}).content

    def continue_rollout(self, rollout: str) -> RolloutInfo:
        """Move the rest after the canary."""
        return self._end(rollout, "continue")

    def roll_back_rollout(self, rollout: str) -> RolloutInfo:
        """Move every alias of a rollout back to where it was, unless its tenant moved it since."""
        return self._end(rollout, "rollback")

    def cancel_rollout(self, rollout: str) -> RolloutInfo:
        """Stop a rollout that is still fitting."""
        return self._end(rollout, "cancel")

    def _end(self, rollout: str, decision: str) -> RolloutInfo:
        return RolloutInfo.model_validate(self._control.json("POST", f"/v1/rollouts/{segment(rollout)}/{decision}"))
