"""The task of an export: addresses of versions and their bases in, an archive sent to a scratch key, its list out."""

import hashlib
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from heddle_platform.archive import zip_entry
from heddle_platform.base.bundle import BaseBundle
from heddle_platform.digest import canonical_json, sha256_hex
from heddle_platform.errors import DataCorrupt
from heddle_platform.ports import Part
from heddle_platform.records import ExportFormat
from heddle_workers.base_source import BaseSource, fetch_bundle
from heddle_workers.fetch import fetch_bytes
from heddle_workers.progress import Failed, Progress, Report, streamed
from heddle_workers.prune import send_parts
from heddle_workers.tasks import ARTIFACT_MAX_BYTES

LIST_FILE: Final = "export.json"


@dataclass(frozen=True)
class VersionSource:
    """A version to be exported.

    Attributes:
        adapter, version: its names; they are in the names of its files.
        digest: SHA-256 of its matrices.
        adapter_url: where these are.
        base: what it was fitted on.
    """

    adapter: str
    version: int
    digest: str
    adapter_url: str
    base: BaseSource


@dataclass(frozen=True)
class ExportRequest:
    """Versions to be put into one archive.

    Attributes:
        part_urls: presigned PUTs for the archive; all parts but the last take `part_bytes`.
    """

    versions: tuple[VersionSource, ...]
    formats: tuple[ExportFormat, ...]
    part_urls: tuple[str, ...]
    part_bytes: int


@dataclass(frozen=True)
class Archived:
    """What was sent: SHA-256, length and parts of the archive; of each version its files and their parity, as JSON."""

    sha256: str
    size: int
    parts: tuple[Part, ...]
    versions: tuple[dict[str, Any], ...]


def heddle_export(request: ExportRequest) -> Iterator[Progress | Failed | Archived]:
    """Make the files of versions, check them, and send them to the store as one zip."""

    def work(report: Report) -> Archived:
        report("fetching", 0.0)
        # by the base, so that each is fetched once and one is held at a time
        ordered = sorted(request.versions, key=lambda one: one.base.digest)
        listed: dict[tuple[str, int], dict[str, Any]] = {}
        held: tuple[str, BaseBundle] | None = None
        with tempfile.TemporaryFile(prefix="heddle-") as target:
            with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
                for index, one in enumerate(ordered):
                    if held is None or held[0] != one.base.digest:
                        held = one.base.digest, fetch_bundle(one.base)
                    report("exporting", index / len(ordered))
                    listed[one.adapter, one.version] = _add(archive, one, held[1], request.formats)
                versions = tuple(listed[one.adapter, one.version] for one in request.versions)
                archive.writestr(zip_entry(LIST_FILE, zipfile.ZIP_STORED), canonical_json({"versions": versions}))
            size = target.tell()
            target.seek(0)
            sha256 = hashlib.file_digest(target, "sha256").hexdigest()
            target.seek(0)
            report("sending", 1.0)
            return Archived(sha256, size, send_parts(target, size, request.part_urls, request.part_bytes), versions)

    yield from streamed(work)


def _add(
    archive: zipfile.ZipFile, one: VersionSource, bundle: BaseBundle, formats: Sequence[ExportFormat]
) -> dict[str, Any]:
    from heddle_workers.export import export_version, file_name

    packed = fetch_bytes(one.adapter_url, max_bytes=ARTIFACT_MAX_BYTES)
    if sha256_hex(packed) != one.digest:
        raise DataCorrupt(f"the stored matrices of {one.adapter}@{one.version} do not match their digest")
    made = export_version(packed, bundle, formats)
    files = []
    for file_format, data in made.files.items():
        name = file_name(one.adapter, one.version, file_format)
        archive.writestr(zip_entry(name, zipfile.ZIP_STORED), data)
        files.append({"name": name, "format": file_format, "bytes": len(data), "sha256": sha256_hex(data)})
    return {
        "adapter": one.adapter,
        "version": one.version,
        "digest": one.digest,
        "base_digest": one.base.digest,
        "files": files,
        "parity": made.parity,
    }
