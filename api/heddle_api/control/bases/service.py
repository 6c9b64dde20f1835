"""Bases: published once under their digest, pointed at by aliases."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_api.control.bases.archive import check_size, read_bundle
from heddle_api.control.context import Control
from heddle_api.control.once import Reply
from heddle_api.control.page import Page, Turn, page_of
from heddle_api.control.precondition import IfMatch, etag
from heddle_api.control.wire import Asked, Handle, Reference
from heddle_infra.database import bases, uploads
from heddle_platform import keys
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import InvalidInput, PreconditionFailed, PreconditionRequired
from heddle_platform.ports import ObjectStore
from heddle_platform.records import Base


class NewBase(Asked):
    """A base to be published."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "default", "upload": "up_01jd0000000000000000000000", "alias": "default"}]
        },
    )
    name: Handle
    upload: Reference = Field(
        description="Id of an operator's completed upload: a zip of manifest.json, weights.safetensors, encoder.onnx "
        "and decoder.onnx, and perhaps its model card, card.json and card.html."
    )
    alias: Handle | None = Field(None, description="Alias to point at it, such as `default`.")


class BaseTarget(Asked):
    """Where an alias shall point."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"base": "bas_01jd..."}]})
    base: Reference = Field(description="Id or digest of a base of the name in the path.")


class BaseView(BaseModel):
    """A published base."""

    id: str
    name: str
    digest: str = Field(description="SHA-256 of its canonical manifest.")
    aliases: list[str]
    image_size: int | None
    latents: int | None
    created_at: datetime


class BaseDetail(BaseView):
    """A published base with its whole manifest."""

    manifest: dict[str, Any]


class BaseAliasView(BaseModel):
    """An alias and the base it points at."""

    alias: str
    base: str = Field(description="Id of the base.")
    name: str
    digest: str


def view(base: Base, aliases: dict[str, str]) -> BaseView:
    """Return what is shown of a base in a list."""
    return BaseView(
        image_size=base.manifest.get("image_size"),
        latents=base.manifest.get("latents"),
        aliases=sorted(alias for alias, base_id in aliases.items() if base_id == base.id),
        **base.model_dump(include={"id", "name", "digest", "created_at"}),
    )


async def read(session: AsyncSession, reference: str) -> BaseDetail:
    """Return a base by id, alias, digest or name."""
    base = await bases.resolve(session, reference)
    return BaseDetail(**view(base, await bases.aliases(session)).model_dump(), manifest=base.manifest)


async def list_all(session: AsyncSession, turn: Turn) -> Page[BaseView]:
    """Return one page of bases."""
    found, more = await bases.list_bases(session, limit=turn.limit, after=turn.after_id("bas"))
    aliases = await bases.aliases(session)
    return page_of([view(base, aliases) for base in found], more, lambda base: base.id)


async def publish(session: AsyncSession, control: Control, wanted: NewBase) -> Reply:
    """Verify an uploaded bundle, store its files under their digest, then make it known.

    The files are written before the row: a base that can be seen is whole. Writing them twice is harmless.

    Raises:
        NotFound: code `unknown_upload`.
        Conflict: code `upload_not_complete`.
        InvalidInput: the bytes are not the announced ones (`digest_mismatch`), or no bundle.
    """
    upload = await uploads.advance(session, None, wanted.upload, expected="complete", to="consumed")
    check_size(upload.bytes)
    data = await control.read(keys.operator_upload(upload.id))
    found = sha256_hex(data)
    if found != upload.sha256:
        raise InvalidInput(
            f"the upload has SHA-256 {found}, it was announced with {upload.sha256}; upload it again",
            code="digest_mismatch",
            param="upload",
        )
    bundle, card = await asyncio.to_thread(read_bundle, data)
    files = {**card, **bundle.all_files()}  # the manifest last
    await asyncio.to_thread(_store, control.objects, wanted.name, bundle.digest, files)
    base, is_new = await bases.publish(
        session, name=wanted.name, digest=bundle.digest, manifest=bundle.manifest.model_dump(mode="json")
    )
    if wanted.alias is not None:
        await bases.set_alias(session, wanted.alias, base.id)
    shown = await read(session, base.id)
    return Reply(shown, 201 if is_new else 200, {"Location": f"/v1/bases/{base.id}"}, announce="base_published")


def _store(objects: ObjectStore, name: str, digest: str, files: Mapping[str, bytes]) -> None:
    for file, data in files.items():
        try:
            objects.put(keys.base_file(name, digest, file), data, if_absent=True)
        except PreconditionFailed:
            continue  # there already: content-addressed, so the same, or a card, and the first one stays


async def forget_upload(control: Control, upload_id: str) -> None:
    """Delete the uploaded zip, after the commit that published it."""
    await asyncio.to_thread(control.objects.delete, keys.operator_upload(upload_id))


def alias_view(alias: str, base: Base) -> BaseAliasView:
    """Return what is shown of an alias."""
    return BaseAliasView(alias=alias, base=base.id, name=base.name, digest=base.digest)


async def move_alias(session: AsyncSession, name: str, alias: str, reference: str, match: IfMatch) -> Reply:
    """Point an alias at a base of that name; making a new one needs no If-Match, moving one does.

    Raises:
        NotFound: code `unknown_base`.
        InvalidInput: code `base_name_mismatch`.
        PreconditionRequired: the alias exists and no If-Match was sent.
        PreconditionFailed: the alias is not what If-Match says.
    """
    base = await bases.resolve(session, reference)
    if base.name != name:
        raise InvalidInput(
            f"base {base.id} is named {base.name!r}, the path says {name!r}; name a base of that name",
            code="base_name_mismatch",
            param="base",
        )
    revision = await bases.alias_revision(session, alias)
    if revision is None and not match.absent:
        raise PreconditionFailed(f"there is no alias {alias!r} yet; leave If-Match out to make it")
    if revision is not None and match.absent:
        raise PreconditionRequired(f'alias {alias!r} exists; send If-Match: "{revision}", the ETag you read it with')
    if revision is not None and match.revision not in (None, revision):
        raise PreconditionFailed(f"alias {alias!r} is at revision {revision}, If-Match says {match.revision}")
    await bases.set_alias(session, alias, base.id)
    _, moved = await bases.get_alias(session, name, alias)
    return Reply(alias_view(alias, base), 200 if revision else 201, {"ETag": etag(moved)}, announce="base_alias_moved")
