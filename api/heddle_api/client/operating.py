"""What operators do: tenants and bases; and what every key may ask about itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from heddle_api.client.planes import Planes, segment
from heddle_api.client.results import BaseAliasInfo, BaseInfo, Document, JobInfo, NewTenantInfo
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

    def delete_tenant(self, tenant_id: str) -> None:
        """Delete a suspended tenant with all that is its own, for good (needs an operator's key)."""
        self._control.send("DELETE", f"/v1/admin/tenants/{segment(tenant_id)}")

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
            on_progress: told bytes sent and bytes in all, as they go out.
        """
        name = filename or (source.name if isinstance(source, Path) else "upload.zip")
        return upload(self._control, self._sender, source, name, on_progress)

    def bases(self) -> list[BaseInfo]:
        """List published bases, newest first."""
        return [BaseInfo.model_validate(base) for base in self._all("/v1/bases")]

    def base(self, reference: str = "default") -> BaseInfo:
        """Read a base by id, alias, digest or name; `document()` holds its manifest."""
        return BaseInfo.model_validate(self._control.json("GET", f"/v1/bases/{segment(reference)}"))

    def base_card(self, reference: str = "default") -> Document:
        """Read a base's model card: what it is, what it scored, where it fails."""
        found: Document = self._control.json("GET", f"/v1/bases/{segment(reference)}/card")
        return found

    def base_card_page(self, reference: str = "default") -> str:
        """Read the model card as a page."""
        path = f"/v1/bases/{segment(reference)}/card"
        return self._control.send("GET", path, headers={"Accept": "text/html"}).text

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

    def base_alias(self, name: str, alias: str = "default") -> BaseAliasInfo:
        """Read where an alias of the bases of a name points, with the ETag that moving it needs."""
        return _alias(self._control.send("GET", _alias_path(name, alias)))

    def move_base_alias(self, name: str, alias: str, base: str, *, etag: str | None = None) -> BaseAliasInfo:
        """Point an alias at a base (needs an operator's key): new fits use it, adapters stay where they were fitted.

        Args:
            name: the base's name.
            alias: such as "default".
            base: id, digest, alias or name of the base.
            etag: the ETag of the state this decision was made on, from `base_alias`; None makes a new alias.

        Raises:
            ApiError: 428 `precondition_required`, the alias exists; 412 `precondition_failed`, it was moved since.
        """
        headers = {"If-Match": etag} if etag is not None else {}
        return _alias(self._control.send("PUT", _alias_path(name, alias), json={"base": base}, headers=headers))

    def pretrain(self, recipe: Mapping[str, Any], *, workers: int = 1) -> JobInfo:
        """Queue the training of a base on the cluster; it is published at its end (needs an operator's key).

        Args:
            recipe: corpus, network, objectives, length.
            workers: processes that share every batch.
        """
        body: Document = {"type": "pretrain", "recipe": dict(recipe), "workers": workers}
        return JobInfo.model_validate(self._control.json("POST", "/v1/jobs", body))

    def sweep(self, plan: Mapping[str, Any]) -> JobInfo:
        """Queue the training of a recipe in many settings, of which one is chosen (needs an operator's key).

        Args:
            plan: recipe, space, seeds, steps, criterion, as `heddle base sweep` takes it, its recipe in place.

        Raises:
            ApiError: 422 `invalid_sweep`, `invalid_recipe`, `too_many_trainings`, `unknown_corpus`; `param` names the
                field.
        """
        body: Document = {"type": "sweep", "plan": dict(plan)}
        return JobInfo.model_validate(self._control.json("POST", "/v1/jobs", body))

    def sweep_report(self, job_id: str) -> Document:
        """Read all that a sweep found: `sweep.json`."""
        path = f"/v1/jobs/{segment(job_id)}/report"
        found: Document = self._control.send("GET", path, headers={"Accept": "application/json"}).json()
        return found

    def sweep_report_page(self, job_id: str) -> str:
        """Read what a sweep found as a page."""
        path = f"/v1/jobs/{segment(job_id)}/report"
        return self._control.send("GET", path, headers={"Accept": "text/html"}).text


def _alias_path(name: str, alias: str) -> str:
    return f"/v1/bases/{segment(name)}/aliases/{segment(alias)}"


def _alias(answer: httpx.Response) -> BaseAliasInfo:
    return BaseAliasInfo.model_validate({**answer.json(), "etag": answer.headers["ETag"]})
