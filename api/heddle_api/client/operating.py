"""What operators do: tenants and bases; and what every key may ask about itself."""

from collections.abc import Sequence
from pathlib import Path

from heddle_api.client.planes import Planes, segment
from heddle_api.client.results import BaseInfo, Document, NewTenantInfo
from heddle_api.client.upload import Progress, upload


class OperatingCalls(Planes):
    """Calls of operators."""

    def me(self) -> Document:
        """Tell whose key is in use, and what it may do."""
        found: Document = self._control.json("GET", "/v1/me")
        return found

    def create_tenant(self, name: str) -> NewTenantInfo:
        """Make a tenant and its first key (needs an operator's key)."""
        return NewTenantInfo.model_validate(self._control.json("POST", "/v1/admin/tenants", {"name": name}))

    def tenants(self) -> list[Document]:
        """List all tenants (needs an operator's key)."""
        return self._all("/v1/admin/tenants")

    def change_tenant(self, tenant_id: str, *, name: str | None = None, status: str | None = None) -> Document:
        """Rename, suspend or reactivate a tenant (needs an operator's key)."""
        changes = {key: value for key, value in (("name", name), ("status", status)) if value is not None}
        changed: Document = self._control.json("PATCH", f"/v1/admin/tenants/{segment(tenant_id)}", changes)
        return changed

    def create_key(self, name: str, scopes: Sequence[str], expires_at: str | None = None) -> Document:
        """Make a further key of the same owner; the reply's `api_key` is shown this once."""
        body = {"name": name, "scopes": list(scopes), "expires_at": expires_at}
        made: Document = self._control.json("POST", "/v1/api_keys", body)
        return made

    def keys(self) -> list[Document]:
        """List the owner's keys, without their secrets."""
        return self._all("/v1/api_keys")

    def revoke_key(self, key_id: str) -> Document:
        """Make a key invalid from now on."""
        revoked: Document = self._control.json("DELETE", f"/v1/api_keys/{segment(key_id)}")
        return revoked

    def upload(self, source: bytes | Path, filename: str | None = None, *, on_progress: Progress | None = None) -> str:
        """Send bytes or a file to the object store in presigned parts and return the upload's id.

        Args:
            source: what to send; a file is read part by part.
            filename: shown to people; the file's own name where none is given.
            on_progress: told bytes sent and bytes in all, after each part.
        """
        name = filename or (source.name if isinstance(source, Path) else "upload.zip")
        return upload(self._control, self._sender, source, name, on_progress)

    def bases(self) -> list[BaseInfo]:
        """List published bases, newest first."""
        return [BaseInfo.model_validate(base) for base in self._all("/v1/bases")]

    def base(self, reference: str = "default") -> BaseInfo:
        """Read a base by id, alias, digest or name; `document()` holds its manifest."""
        return BaseInfo.model_validate(self._control.json("GET", f"/v1/bases/{segment(reference)}"))

    def publish_base(
        self,
        archive: bytes | Path,
        *,
        name: str,
        alias: str | None = None,
        on_progress: Progress | None = None,
    ) -> BaseInfo:
        """Upload a zipped base bundle and publish it (needs an operator's key).

        Args:
            archive: a zip of manifest.json, weights.safetensors, encoder.onnx, decoder.onnx.
            name: the base's name.
            alias: an alias to point at it, such as "default".
            on_progress: told bytes sent and bytes in all.
        """
        upload_id = self.upload(archive, f"{name}.zip", on_progress=on_progress)
        body = {"name": name, "upload": upload_id, **({"alias": alias} if alias else {})}
        return BaseInfo.model_validate(self._control.json("POST", "/v1/bases", body))
