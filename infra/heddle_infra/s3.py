"""The object store over S3: one bucket, any server that honours conditional writes (SeaweedFS, AWS, MinIO).

boto3 speaks with it, except for whole objects and URLs that read them (`s3_wire`), which are asked by the thousand.
"""

import secrets
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from heddle_infra.s3_errors import translated
from heddle_infra.s3_wire import CONNECT_SECONDS, LOOPBACK, S3Wire
from heddle_platform import keys
from heddle_platform.errors import InvalidInput, NotFound, PreconditionFailed, Unavailable
from heddle_platform.ports import ObjectInfo, OpenMultipart, Part
from heddle_platform.settings import ObjectStoreSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3ObjectStore:
    """Implements `heddle_platform.ports.ObjectStore`; thread-safe, picklable by its settings.

    What speaks with the server is made at first use, so that building the ports of a process neither imports boto3
    nor waits for a server.
    """

    def __init__(self, settings: ObjectStoreSettings) -> None:
        self._settings = settings
        self._bucket = settings.s3_bucket
        self._clients: dict[str, S3Client] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self._settings,))  # locks and connections do not cross processes

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_version: str | None = None) -> str:
        """Write an object whole; see `ObjectStore.put`.

        A conditional write whose answer was lost is retried and then fails its own condition: harmless
        for content-addressed keys, where whatever lies there is what was to be written.
        """
        return self._wire.put(key, data, if_absent=if_absent, if_version=if_version)

    def get(self, key: str) -> bytes:
        """Read an object whole; see `ObjectStore.get`."""
        return self._wire.get(key)

    def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object, or None; see `ObjectStore.head`."""
        try:
            with translated(key):
                answer = self._client().head_object(Bucket=self._bucket, Key=key)
        except NotFound:
            return None
        return ObjectInfo(key, answer["ContentLength"], _unquoted(answer["ETag"]), answer["LastModified"])

    def delete(self, key: str) -> None:
        """Remove an object; see `ObjectStore.delete`."""
        with translated(key):
            self._client().delete_object(Bucket=self._bucket, Key=key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """List objects in key order; see `ObjectStore.list`.

        All pages are read before the first object is yielded: SeaweedFS answers in the order of its
        directory tree (`a/b` before `a-b`), not of the keys.
        """
        found: list[ObjectInfo] = []
        with translated(prefix):
            pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                found += [
                    ObjectInfo(entry["Key"], entry["Size"], _unquoted(entry["ETag"]), entry["LastModified"])
                    for entry in page.get("Contents", [])
                ]
        yield from sorted(found, key=lambda info: info.key.encode())

    def folders(self, prefix: str) -> Iterator[str]:
        """List folders directly below a prefix; see `ObjectStore.folders`."""
        found: set[str] = set()
        with translated(prefix):
            paginator = self._client().get_paginator("list_objects_v2")
            for page in paginator.paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/"):
                found |= {entry["Prefix"] for entry in page.get("CommonPrefixes", [])}
        yield from sorted(found, key=str.encode)

    def copy(self, source: str, target: str) -> None:
        """Copy an object inside the store; see `ObjectStore.copy`."""
        with translated(source):
            self._client().copy_object(
                Bucket=self._bucket, Key=target, CopySource={"Bucket": self._bucket, "Key": source}
            )

    def presign_get(self, key: str, *, expires_seconds: int) -> str:
        """Return a URL at the public endpoint that reads one object; see `ObjectStore.presign_get`."""
        return self._wire.presigned(key, expires_seconds=expires_seconds)

    def start_multipart(self, key: str) -> str:
        """Begin a multipart upload; see `ObjectStore.start_multipart`."""
        with translated(key):
            return self._client().create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]

    def presign_part(
        self, key: str, multipart_id: str, number: int, *, expires_seconds: int, size: int | None = None
    ) -> str:
        """Return a URL at the public endpoint that takes one part; see `ObjectStore.presign_part`."""
        params: dict[str, Any] = {"Key": key, "UploadId": multipart_id, "PartNumber": number}
        if size is not None:
            params["ContentLength"] = size  # a signed header: the store refuses a body of another length
        return self._presign("upload_part", params, expires_seconds)

    def complete_multipart(self, key: str, multipart_id: str, parts: Sequence[Part]) -> str:
        """Make the object of its parts visible; see `ObjectStore.complete_multipart`."""
        if not parts:  # servers answer this differently: SeaweedFS says that there is no such upload
            raise InvalidInput("an upload has at least one part", code="invalid_parts", param="parts")
        listed = [{"PartNumber": part.number, "ETag": f'"{_unquoted(part.etag)}"'} for part in parts]
        with translated(key):
            answer = self._client().complete_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                UploadId=multipart_id,
                MultipartUpload={"Parts": listed},  # type: ignore[typeddict-item]
            )
        return _unquoted(answer["ETag"])

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        """Throw the parts away; see `ObjectStore.abort_multipart`."""
        try:
            with translated(key):
                self._client().abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=multipart_id)
        except NotFound:
            return

    def open_multiparts(self, prefix: str) -> Iterator[OpenMultipart]:
        """List open multipart uploads; see `ObjectStore.open_multiparts`."""
        found: list[OpenMultipart] = []
        with translated(prefix):
            paginator = self._client().get_paginator("list_multipart_uploads")
            for page in paginator.paginate(Bucket=self._bucket, Prefix=prefix):
                found += [
                    OpenMultipart(entry["Key"], entry["UploadId"], entry.get("Initiated"))
                    for entry in page.get("Uploads", [])
                ]
        yield from sorted(found, key=lambda upload: upload.key.encode())

    def ensure_bucket(self) -> None:
        """Create the bucket unless it is there.

        Raises:
            Unavailable: the server is away or does not let us.
        """
        client = self._client()
        region = self._settings.s3_region
        place: dict[str, Any] = {}
        if region != "us-east-1":  # the one region that AWS refuses to be told
            place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with translated(self._bucket):
            try:
                client.create_bucket(Bucket=self._bucket, **place)
            except (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
                return

    def probe(self) -> None:
        """Check that the server takes writes and honours If-None-Match.

        Several S3 servers accept the header and ignore it; with those two processes could overwrite each
        other's objects unseen.

        Raises:
            Unavailable: code `object_store_unconditional` if the second conditional write was let through.
        """
        key = keys.probe(secrets.token_hex(8))
        self.put(key, b"first", if_absent=True)
        try:
            self.put(key, b"second", if_absent=True)
        except PreconditionFailed:
            return
        finally:
            self.delete(key)
        raise Unavailable(
            "the object store ignores If-None-Match, so objects could be overwritten unseen; use a server that "
            "answers 412, such as SeaweedFS, AWS S3 or MinIO",
            code="object_store_unconditional",
        )

    @cached_property
    def _wire(self) -> S3Wire:
        return S3Wire(self._settings)

    def _presign(self, operation: str, params: dict[str, Any], expires_seconds: int) -> str:
        client = self._client(self._settings.s3_public_endpoint_url)
        with translated(str(params["Key"])):
            return client.generate_presigned_url(
                operation, Params={"Bucket": self._bucket, **params}, ExpiresIn=expires_seconds
            )

    def _client(self, endpoint_url: str | None = None) -> "S3Client":
        endpoint = endpoint_url or self._settings.s3_endpoint_url
        with self._lock:
            if endpoint not in self._clients:
                self._clients[endpoint] = _connect(self._settings, endpoint)
            return self._clients[endpoint]


def _connect(settings: ObjectStoreSettings, endpoint: str) -> "S3Client":
    import boto3  # half a second and 40 MB: processes that never touch an object do without
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=settings.s3_access_key.get_secret_value(),
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        region_name=settings.s3_region,
        config=Config(
            signature_version="s3v4",  # presigned URLs would be of version 2 otherwise
            s3={"addressing_style": "path"},  # bucket.127.0.0.1 is no host name
            connect_timeout=min(CONNECT_SECONDS, settings.s3_timeout_seconds),
            read_timeout=settings.s3_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=32,
            # everything large is addressed by its SHA-256, which we check ourselves; older servers choke on trailers
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            proxies={} if urlsplit(endpoint).hostname in LOOPBACK else None,
        ),
    )


def _unquoted(etag: str) -> str:
    return etag.removeprefix('"').removesuffix('"')
