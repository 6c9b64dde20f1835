"""What operators watch: the cluster and its queue, and whether rows and objects agree."""

from heddle_api.client.accounting import AccountingCalls
from heddle_api.client.results import Document


class OverseeingCalls(AccountingCalls):
    """Calls about the cluster and the reconciler; they need an operator's key."""

    def cluster(self) -> Document:
        """Read nodes, queue, throughput and dispatchers."""
        found: Document = self._control.json("GET", "/v1/admin/cluster")
        return found

    def reconcile(self, *, repair: bool = False) -> str:
        """Have a dispatcher reconcile now; the returned id is that of the `last` run once it is done."""
        return str(self._control.json("POST", "/v1/admin/reconciliations", {"repair": repair})["id"])

    def reconciliations(self) -> Document:
        """Read what the last reconciliation found, and the wish that waits."""
        found: Document = self._control.json("GET", "/v1/admin/reconciliations")
        return found
