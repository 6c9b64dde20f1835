"""Webhooks: where events are sent, and what was sent there."""

from collections.abc import Sequence

from heddle_api.client.erasing import ErasingCalls
from heddle_api.client.planes import segment
from heddle_api.client.results import Document

_PATH = "/v1/webhook_endpoints"


class HookingCalls(ErasingCalls):
    """Calls about webhook endpoints."""

    def add_webhook(self, url: str, events: Sequence[str] | None = None, description: str = "") -> Document:
        """Register an endpoint for these events, or all; the reply's `secret` is shown this once."""
        body: Document = {"url": url, "description": description, **({"events": list(events)} if events else {})}
        made: Document = self._control.json("POST", _PATH, body)
        return made

    def webhooks(self) -> list[Document]:
        """List endpoints, newest first, without their secrets."""
        return self._all(_PATH)

    def webhook(self, endpoint_id: str) -> Document:
        """Read an endpoint."""
        found: Document = self._control.json("GET", f"{_PATH}/{segment(endpoint_id)}")
        return found

    def change_webhook(
        self,
        endpoint_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
        status: str | None = None,
    ) -> Document:
        """Change what is given, unless somebody else changed the endpoint since it was read for this."""
        given = {"url": url, "events": events and list(events), "description": description, "status": status}
        changes = {name: value for name, value in given.items() if value is not None}
        path = f"{_PATH}/{segment(endpoint_id)}"
        changed: Document = self._control.json("PATCH", path, changes, headers=self._unchanged(path))
        return changed

    def remove_webhook(self, endpoint_id: str) -> None:
        """Delete an endpoint with its deliveries."""
        path = f"{_PATH}/{segment(endpoint_id)}"
        self._control.send("DELETE", path, headers=self._unchanged(path))

    def rotate_webhook(self, endpoint_id: str) -> Document:
        """Give an endpoint another secret; for a day deliveries are signed with both."""
        rotated: Document = self._control.json("POST", f"{_PATH}/{segment(endpoint_id)}/rotate")
        return rotated

    def deliveries(self, endpoint_id: str) -> list[Document]:
        """List what was or will be sent to an endpoint, newest first."""
        return self._all(f"{_PATH}/{segment(endpoint_id)}/deliveries")

    def redeliver(self, endpoint_id: str, delivery_id: str) -> Document:
        """Send an event once more."""
        path = f"{_PATH}/{segment(endpoint_id)}/deliveries/{segment(delivery_id)}/redeliver"
        queued: Document = self._control.json("POST", path)
        return queued

    def _unchanged(self, path: str) -> dict[str, str]:
        return {"If-Match": self._control.send("GET", path).headers["ETag"]}
