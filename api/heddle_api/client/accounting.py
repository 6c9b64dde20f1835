"""Keys that change over, limits, usage and the audit trail."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from heddle_api.client.operating import OperatingCalls
from heddle_api.client.planes import segment
from heddle_api.client.results import Document, QuotaInfo
from heddle_platform.audit import AuditEvent, ChainFault, ChainHead, first_fault


class AccountingCalls(OperatingCalls):
    """Calls about what is allowed, what was used, and who did what."""

    def rotate_key(self, key_id: str, *, overlap_seconds: int | None = None) -> Document:
        """Give a key a new secret; the reply's `api_key` is shown this once.

        Args:
            key_id: the key.
            overlap_seconds: how long the old secret goes on working; None: 24 hours.
        """
        body = {} if overlap_seconds is None else {"overlap_seconds": overlap_seconds}
        rotated: Document = self._control.json("POST", f"/v1/api_keys/{segment(key_id)}/rotate", body)
        return rotated

    def quota(self, tenant_id: str | None = None) -> QuotaInfo:
        """Read the limits of the key's tenant, or of a tenant (needs an operator's key); `etag` is for `set_quota`."""
        path = "/v1/quota" if tenant_id is None else f"/v1/admin/tenants/{segment(tenant_id)}/quota"
        answer = self._control.send("GET", path)
        return QuotaInfo.model_validate({**answer.json(), "etag": answer.headers["ETag"]})

    def set_quota(self, tenant_id: str, limits: Mapping[str, float | None], etag: str) -> QuotaInfo:
        """Set a tenant's limits, all of them (needs an operator's key).

        Args:
            tenant_id: the tenant.
            limits: by name; one that is left out is the platform's default again.
            etag: as `quota` returned it.
        """
        path = f"/v1/admin/tenants/{segment(tenant_id)}/quota"
        answer = self._control.send("PUT", path, json=dict(limits), headers={"If-Match": etag})
        return QuotaInfo.model_validate({**answer.json(), "etag": answer.headers["ETag"]})

    def usage(
        self, tenant_id: str | None = None, *, since: str | None = None, until: str | None = None
    ) -> list[Document]:
        """List what was counted, hour by hour, newest first.

        Args:
            tenant_id: a tenant (needs an operator's key); None: the key's own.
            since: first moment wanted, RFC 3339 with an offset.
            until: moment before which to stop.
        """
        path = "/v1/usage" if tenant_id is None else f"/v1/admin/tenants/{segment(tenant_id)}/usage"
        return self._all(path, **_given({"from": since, "to": until}))

    def audit_events(
        self, *, tenant_id: str | None = None, action: str | None = None, limit: int | None = None
    ) -> list[Document]:
        """List who did what, newest first: the tenant's own events; for an operator all, or one tenant's.

        Args:
            tenant_id: for operators.
            action: only this kind, such as "rotate_key".
            limit: at most so many; None: all.
        """
        query = _given({"tenant_id": tenant_id, "action": action})
        if limit is None or limit > 100:
            return self._all("/v1/audit_events", **query)[:limit]
        page: Document = self._control.json("GET", "/v1/audit_events", params={"limit": limit, **query})
        return list(page["data"])

    def audit_chains(self, *, tenant_id: str | None = None) -> list[ChainHead]:
        """List where chains end; keep it elsewhere to show later that nothing before was changed."""
        found = self._all("/v1/audit_chains", **_given({"tenant_id": tenant_id}))
        return [ChainHead(head["chain"], head["sequence"], head["hash"]) for head in found]

    def verify_audit(
        self, *, tenant_id: str | None = None, remembered: ChainHead | None = None
    ) -> tuple[dict[str, int], list[ChainFault]]:
        """Read whole chains and recompute every hash here, trusting no one's word.

        Args:
            tenant_id: for operators: one tenant's chain; None: all there are.
            remembered: an end written down earlier.

        Returns:
            Chain -> how many events it has, and the first fault of each broken chain.
        """
        # ends first: what is added meanwhile is read too, and is no fault
        heads = {head.chain: head for head in self.audit_chains(tenant_id=tenant_id)}
        chains: dict[str, list[AuditEvent]] = defaultdict(list)
        for document in self.audit_events(tenant_id=tenant_id):
            event = AuditEvent.model_validate(document)
            chains[event.chain].append(event)
        wanted = [(name, heads.get(name)) for name in sorted({*heads, *chains})]
        if remembered is not None:
            wanted.append((remembered.chain, remembered))
        faults: dict[str, ChainFault] = {}
        for name, head in wanted:
            fault = first_fault(name, chains.get(name, []), head)
            if fault is not None:
                faults.setdefault(name, fault)
        return {name: len(chains.get(name, [])) for name, _ in wanted}, list(faults.values())


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}
