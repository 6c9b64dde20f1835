"""Storing: how the dispatcher writes immutable objects, and hands out addresses to read them."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

import structlog

from heddle_platform import keys
from heddle_platform.base.bundle import FILES, MANIFEST
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import HeddleError, PreconditionFailed
from heddle_platform.ports import ObjectStore
from heddle_workers.base_source import BaseSource
from heddle_workers.fitted import ADAPTER_FILE, Fitted
from heddle_workers.tasks import SetSource
from heddle_workers.together import together
from heddle_workers.work import PRESIGNED_SECONDS

log = structlog.get_logger()


async def put_addressed(objects: ObjectStore, key: str, data: bytes) -> str:
    """Write an object whose key holds its digest; a damaged one of that key is healed. Return its SHA-256."""
    return await asyncio.to_thread(_put_addressed, objects, key, data)


async def put_first(objects: ObjectStore, key: str, data: bytes) -> str:
    """Write an object unless there is one; return the SHA-256 of what lies there, which stays for ever."""
    return await asyncio.to_thread(_put_first, objects, key, data)


async def put_fitted(objects: ObjectStore, tenant_id: str, fitted: Fitted) -> dict[str, str]:
    """Write all files of a version; return file -> SHA-256 of what lies there."""

    async def store(file: str, data: bytes) -> tuple[str, str]:
        return file, await asyncio.to_thread(_put_file, objects, tenant_id, fitted, file, data)

    return dict(await together(store(file, data) for file, data in fitted.files.items()))


async def put_all_fitted(objects: ObjectStore, fits: Sequence[tuple[str, Fitted]]) -> list[dict[str, str] | Exception]:
    """Write the files of many small versions, each given with its tenant; return for each what `put_fitted` would.

    The files of one version go one after the other: a call to a thread for each would cost more than it saves. What
    one version's files are refused with is its own.
    """

    def put(tenant_id: str, fitted: Fitted) -> dict[str, str]:
        return {file: _put_file(objects, tenant_id, fitted, file, data) for file, data in fitted.files.items()}

    async def store(tenant_id: str, fitted: Fitted) -> dict[str, str] | Exception:
        try:
            return await asyncio.to_thread(put, tenant_id, fitted)
        except Exception as error:  # its own, and told to the one who waits for it
            return error

    return await together(store(tenant_id, fitted) for tenant_id, fitted in fits)


def _put_file(objects: ObjectStore, tenant_id: str, fitted: Fitted, file: str, data: bytes) -> str:
    # the adapter is what its key says; cards and pages of equal adapters were drawn by the first of them
    put = _put_addressed if file == ADAPTER_FILE else _put_first
    return put(objects, keys.adapter_file(tenant_id, fitted.digest, file), data)


def _put_addressed(objects: ObjectStore, key: str, data: bytes) -> str:
    try:
        objects.put(key, data, if_absent=True)
    except PreconditionFailed:
        if objects.get(key) != data:
            objects.put(key, data)
    return sha256_hex(data)


def _put_first(objects: ObjectStore, key: str, data: bytes) -> str:
    try:
        objects.put(key, data, if_absent=True)
    except PreconditionFailed:
        return sha256_hex(objects.get(key))
    return sha256_hex(data)


async def presign(objects: ObjectStore, names: Iterable[str]) -> list[str]:
    """Return addresses that read these keys and nothing else."""

    def sign() -> list[str]:
        return [objects.presign_get(key, expires_seconds=PRESIGNED_SECONDS) for key in names]

    return await asyncio.to_thread(sign)


async def set_source(objects: ObjectStore, tenant_id: str, digest: str) -> SetSource:
    """Return addresses of a validated set."""
    manifest, images = await presign(
        objects, [keys.dataset_manifest(tenant_id, digest), keys.dataset_images(tenant_id, digest)]
    )
    return SetSource(manifest, images, digest)


async def base_source(objects: ObjectStore, name: str, digest: str) -> BaseSource:
    """Return addresses of a base."""
    files = (*FILES, MANIFEST)
    urls = await presign(objects, [keys.base_file(name, digest, file) for file in files])
    return BaseSource(digest, dict(zip(files, urls, strict=True)))


async def unbroken(writing: Coroutine[Any, Any, None]) -> None:
    """Write something; who is cancelled meanwhile waits for its end.

    A thread that writes goes on: what it wrote after a cancelled job was tidied up, nobody would delete.
    """
    task = asyncio.ensure_future(writing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def forget_below(objects: ObjectStore, prefix: str) -> None:
    """Delete what a job that is over went on from; while the store is away it stays, and the reconciler finds it."""

    def delete() -> None:
        for info in list(objects.list(prefix)):
            objects.delete(info.key)

    try:
        await asyncio.to_thread(delete)
    except HeddleError as error:
        log.warning("files_not_deleted", prefix=prefix, code=error.code)
