"""What a tenant does with adapters: read their cards, decide, move aliases, take them home."""

from pathlib import Path
from typing import Literal

import httpx

from heddle_api.client.exporting import ExportingCalls
from heddle_api.client.planes import segment
from heddle_api.client.results import AdapterInfo, AliasInfo, AliasMoveInfo, Document, VersionInfo

FileFormat = Literal["npz", "onnx", "editor"]


class ServingCalls(ExportingCalls):
    """Calls of tenants on adapters, each named by its id or its name."""

    def adapters(self) -> list[AdapterInfo]:
        """List adapters with their aliases."""
        return [AdapterInfo.model_validate(found) for found in self._all("/v1/adapters")]

    def adapter(self, adapter: str) -> AdapterInfo:
        """Read an adapter with its aliases."""
        return AdapterInfo.model_validate(self._control.json("GET", _path(adapter)))

    def versions(self, adapter: str) -> list[VersionInfo]:
        """List an adapter's versions, newest first."""
        return [VersionInfo.model_validate(found) for found in self._all(f"{_path(adapter)}/versions")]

    def version(self, adapter: str, version: int) -> VersionInfo:
        """Read one version."""
        return VersionInfo.model_validate(self._control.json("GET", _path(adapter, version)))

    def card(self, adapter: str, version: int | None = None) -> Document:
        """Read the scorecard; without a version that of the one in production, else of the newest."""
        found: Document = self._control.json("GET", f"{_path(adapter, version)}/card")
        return found

    def card_page(self, adapter: str, version: int | None = None) -> str:
        """Read the scorecard as a page."""
        answer = self._control.send("GET", f"{_path(adapter, version)}/card", headers={"Accept": "text/html"})
        return answer.text

    def playbook_page(self, adapter: str, version: int | None = None) -> str:
        """Read the page that tells why a version is what it is."""
        return self._control.send("GET", f"{_path(adapter, version)}/playbook").text

    def download(self, adapter: str, version: int | None = None, *, file_format: FileFormat = "npz") -> bytes:
        """Read a version's matrices, its ONNX graph, or the editor: graph and base in one ONNX file."""
        answer = self._control.send("GET", f"{_path(adapter, version)}/download", params={"format": file_format})
        return answer.content

    def download_to(
        self, path: Path, adapter: str, version: int | None = None, *, file_format: FileFormat = "npz"
    ) -> None:
        """Write what `download` reads to a file."""
        path.write_bytes(self.download(adapter, version, file_format=file_format))

    def approve(self, adapter: str, version: int, comment: str = "") -> Document:
        """Approve a version, which moves `production` to it."""
        return self._decide(adapter, version, "approve", comment)

    def reject(self, adapter: str, version: int, comment: str = "") -> Document:
        """Reject a version; it can never be served."""
        return self._decide(adapter, version, "reject", comment)

    def _decide(self, adapter: str, version: int, decision: str, comment: str) -> Document:
        body = {"decision": decision, "comment": comment}
        decided: Document = self._control.json("POST", f"{_path(adapter, version)}/approvals", body)
        return decided

    def alias(self, adapter: str, alias: str = "production") -> AliasInfo:
        """Read where an alias points, with the ETag that moving it needs."""
        return _alias(self._control.send("GET", f"{_path(adapter)}/aliases/{segment(alias)}"))

    def move_alias(
        self,
        adapter: str,
        alias: str,
        version: int,
        *,
        etag: str | None = None,
        canary: tuple[int, float] | None = None,
        shadow: int | None = None,
        comment: str = "",
    ) -> AliasInfo:
        """Point an alias at a version.

        Args:
            adapter: id or name.
            alias: name of the alias.
            version: where it shall point.
            etag: the ETag of the state this decision was made on, from `alias`; None makes a new alias.
            canary: a version on trial, and the share of images (0 to 1) it edits; None ends a canary that runs.
            shadow: a version that draws every edit too, after the answer; None ends a shadow that runs.
            comment: why; kept with the alias's moves.

        Raises:
            ApiError: 428 `precondition_required`, the alias exists; 412 `precondition_failed`, it was moved since.
        """
        headers = {"If-Match": etag} if etag is not None else {}
        path = f"{_path(adapter)}/aliases/{segment(alias)}"
        body: Document = {"version": version, **({"comment": comment} if comment else {})}
        if canary is not None:
            body["canary"] = {"version": canary[0], "weight": canary[1]}
        if shadow is not None:
            body["shadow"] = shadow
        return _alias(self._control.send("PUT", path, json=body, headers=headers))

    def rollback(self, adapter: str, alias: str = "production", comment: str = "") -> AliasInfo:
        """Point an alias at the version it pointed at before; the comment is kept with the alias's moves."""
        body = {"alias": alias, **({"comment": comment} if comment else {})}
        return _alias(self._control.send("POST", f"{_path(adapter)}/rollback", json=body))

    def alias_moves(self, adapter: str, alias: str | None = None) -> list[AliasMoveInfo]:
        """List every move of an adapter's aliases, or of one: to which version, by whom, when and why; newest first."""
        params = {"alias": alias} if alias else {}
        return [AliasMoveInfo.model_validate(found) for found in self._all(f"{_path(adapter)}/alias_moves", **params)]


def _path(adapter: str, version: int | None = None) -> str:
    return f"/v1/adapters/{segment(adapter)}" + (f"/versions/{version}" if version is not None else "")


def _alias(answer: httpx.Response) -> AliasInfo:
    return AliasInfo.model_validate({**answer.json(), "etag": answer.headers["ETag"]})
