"""Files of an adapter version: its card, its playbook, its matrices; read whole (they are small) and verified."""

import asyncio
from typing import Final, Literal

from fastapi import Response

from heddle_adapters.playbook import drawn_page
from heddle_api.control.adapters.service import find_version
from heddle_api.control.context import Control
from heddle_api.control.negotiate import choose
from heddle_infra.database import bases
from heddle_infra.database.referred import refuse_erased
from heddle_platform import keys
from heddle_platform.base.bundle import DECODER, ENCODER
from heddle_platform.base.graft import graft
from heddle_platform.digest import canonical_json, sha256_hex
from heddle_platform.errors import DataCorrupt, NotFound
from heddle_platform.packs import PACK_FILE, unpacked
from heddle_platform.records import Adapter, AdapterVersion

JSON, HTML = "application/json", "text/html"
# the pages hold names that tenants chose: even if one slipped through their escaping, nothing would run or load
_PAGE_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"
_ADAPTER, _CARD = "adapter.npz", "card.json"
_DOWNLOADS: Final = {"onnx": "adapter.onnx", "npz": _ADAPTER}
_CORE: Final = "editor.core"
Format = Literal["onnx", "npz", "editor"]


async def card(control: Control, tenant_id: str, reference: str, number: int | None, accept: str | None) -> Response:
    """Return a version's scorecard: the document, or the page people read.

    Raises:
        NotFound: there is no such adapter or version.
        InvalidInput: code `not_acceptable`.
    """
    media_type = choose(accept, (JSON, HTML))
    _, version = await _find(control, tenant_id, reference, number)
    if media_type == HTML:
        return await _page(control, version, "card.html")
    return Response(canonical_json(version.card), media_type=JSON, headers={"Vary": "Accept"})


async def playbook(control: Control, tenant_id: str, reference: str, number: int | None) -> Response:
    """Return the page that tells why a version is what it is."""
    _, version = await _find(control, tenant_id, reference, number)
    return await _page(control, version, "playbook.html")


async def download(
    control: Control, tenant_id: str, reference: str, number: int | None, file_format: Format
) -> Response:
    """Return a version as a file to keep: its matrices, its graph, or the one-file editor.

    Raises:
        NotFound: there is no such adapter or version; code `unknown_file`: it was fitted before editors were.
    """
    adapter, version = await _find(control, tenant_id, reference, number)
    if file_format == "editor":
        data, ending = await _editor(control, version), "editor.onnx"
    else:
        data, ending = await _read(control, version, _DOWNLOADS[file_format]), file_format
    name = f"{adapter.name}-{version.version}.{ending}"  # an adapter's name holds nothing to be quoted
    return Response(
        data,
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "ETag": f'"{sha256_hex(data)}"'},
    )


async def _editor(control: Control, version: AdapterVersion) -> bytes:
    """Put the editor together: megabytes of it are the base's, the same for everybody, and not stored per version."""
    core = await _read(control, version, _CORE)
    async with control.ports.database.transaction(version.tenant_id) as session:
        base = await bases.resolve(session, version.base_id)
    parts = []
    for file in (ENCODER, DECODER):
        data = await control.read(keys.base_file(base.name, base.digest, file))
        if sha256_hex(data) != base.manifest["files"][file]:
            raise DataCorrupt(f"the stored bytes of {file} of base {base.name} do not match their digest")
        parts.append(data)
    return await asyncio.to_thread(graft, core, *parts)


async def _find(control: Control, tenant_id: str, reference: str, number: int | None) -> tuple[Adapter, AdapterVersion]:
    async with control.ports.database.transaction(tenant_id) as session:
        adapter, version = await find_version(session, tenant_id, reference, number)
    refuse_erased(adapter, version)
    return adapter, version


async def _page(control: Control, version: AdapterVersion, file: str) -> Response:
    headers = {"Content-Security-Policy": _PAGE_POLICY, "X-Content-Type-Options": "nosniff", "Vary": "Accept"}
    return Response(await _stored_or_drawn(control, version, file), media_type=HTML, headers=headers)


async def _stored_or_drawn(control: Control, version: AdapterVersion, file: str) -> bytes:
    """Return a page; a fit with a brief card stored none, and it is drawn of what it stored."""
    try:
        return await _read(control, version, file)
    except NotFound as missing:
        try:
            adapter, card = await _read(control, version, _ADAPTER), await _read(control, version, _CARD)
        except NotFound:
            raise missing from None
        return await asyncio.to_thread(drawn_page, file, adapter, card)


async def _read(control: Control, version: AdapterVersion, file: str) -> bytes:
    digest = version.files.get(file)
    if digest is None and PACK_FILE in version.files:
        return unpacked(await _read(control, version, PACK_FILE), file)
    if digest is None:
        raise NotFound(f"version {version.version} has no file {file}", code="unknown_file")
    key = keys.adapter_file(version.tenant_id, version.digest, file)
    data = await control.read(key)
    if sha256_hex(data) != digest:
        raise DataCorrupt(f"the stored bytes of {file} do not match their digest")
    return data
