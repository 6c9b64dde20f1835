"""Whole objects to and from an S3 server, and URLs that read them: signed by botocore, carried by urllib3.

What boto3 puts between the two takes 2 ms of processor for a request, and drains of small fits write and read a handful
of objects for each.
"""

import logging
import os
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import certifi
import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError

from heddle_infra.s3_errors import of_code
from heddle_platform.errors import PreconditionFailed, Unavailable
from heddle_platform.settings import ObjectStoreSettings

if TYPE_CHECKING:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

CONNECT_SECONDS: Final = 3.0
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9]+)</Code>")
_OK: Final = 200
_SERVICE: Final = "s3"


class S3Wire:
    """Puts, gets and presigned URLs; see `ObjectStore`. Safe to share between threads.

    Making one imports botocore, a tenth of a second.
    """

    def __init__(self, settings: ObjectStoreSettings) -> None:
        from botocore.auth import S3SigV4Auth
        from botocore.credentials import Credentials

        self._settings = settings
        self._credentials = Credentials(
            settings.s3_access_key.get_secret_value(), settings.s3_secret_key.get_secret_value()
        )
        self._signer = S3SigV4Auth(self._credentials, _SERVICE, settings.s3_region)
        self._http = _connections(settings)

    def put(self, key: str, data: bytes, *, if_absent: bool, if_version: str | None) -> str:
        """Write an object whole; return its version."""
        condition: dict[str, str] = {}
        if if_absent:
            condition["If-None-Match"] = "*"
        elif if_version is not None:
            condition["If-Match"] = f'"{if_version}"'
        answer = self._send("PUT", key, data, condition)
        if answer.status == _OK:
            return answer.headers.get("ETag", "").strip('"')
        code = _code_of(answer)
        if if_version is not None and code in ("NoSuchKey", "404"):  # AWS's word for If-Match on none
            raise PreconditionFailed(f"{key!r} does not exist, so it has no version to replace")
        raise of_code(code, key)

    def get(self, key: str) -> bytes:
        """Read an object whole."""
        answer = self._send("GET", key)
        if answer.status != _OK:
            raise of_code(_code_of(answer), key)
        return answer.data

    def presigned(self, key: str, *, expires_seconds: int) -> str:
        """Return a URL at the public endpoint that reads one object."""
        from botocore.auth import S3SigV4QueryAuth

        endpoint = self._settings.s3_public_endpoint_url or self._settings.s3_endpoint_url
        signer = S3SigV4QueryAuth(self._credentials, _SERVICE, self._settings.s3_region, expires=expires_seconds)
        return str(_signed(signer, "GET", self._url(endpoint, key)).url)

    def _url(self, endpoint: str, key: str) -> str:
        return f"{endpoint.rstrip('/')}/{self._settings.s3_bucket}/{quote(key, safe='/~')}"

    def _send(
        self, method: str, key: str, data: bytes | None = None, headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        url = self._url(self._settings.s3_endpoint_url, key)
        signed = _signed(self._signer, method, url, data, headers)
        try:
            return self._http.urlopen(
                method, url, body=data, headers=dict(signed.headers.items()), redirect=False, decode_content=False
            )
        except HTTPError as error:
            reason = reason_of(error)
            raise Unavailable(
                f"the object store cannot be reached ({type(reason).__name__}); try again in a moment"
            ) from reason


def connection_options(*, connect_seconds: float, read_seconds: float) -> dict[str, Any]:
    """Return how urllib3 speaks with an object store, as its managers of connections take it.

    Requests are sent again where the connection was lost or the server erred, so they must be safe to repeat; the last
    answer is returned, whatever its status.

    Args:
        connect_seconds, read_seconds: how long to wait for a connection, and for an answer's next bytes.
    """
    # its warnings of repeated requests name their URL, with the signature of a presigned one
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    return {
        "timeout": urllib3.Timeout(connect=connect_seconds, read=read_seconds),
        "retries": urllib3.Retry(
            total=2,
            backoff_factor=0.15,  # again at once, for servers hang up on idle connections; then after .3 s
            status_forcelist=range(500, 600),
            allowed_methods={"GET", "PUT"},
            redirect=False,
            raise_on_status=False,
            respect_retry_after_header=False,
        ),
        "maxsize": 32,
        # as boto3 looks for them
        "ca_certs": os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where(),
    }


def reason_of(error: HTTPError) -> Exception:
    """Return what stopped a request: the error of the last repetition names the URL, which may carry a signature."""
    return error.reason or error if isinstance(error, MaxRetryError) else error


def _connections(settings: ObjectStoreSettings) -> urllib3.PoolManager:
    """Return connections to the store, through the machine's proxy where it has one for it."""
    from botocore.httpsession import ProxyConfiguration
    from botocore.utils import get_environ_proxies

    endpoint = settings.s3_endpoint_url
    options = connection_options(
        connect_seconds=min(CONNECT_SECONDS, settings.s3_timeout_seconds), read_seconds=settings.s3_timeout_seconds
    )
    proxies = ProxyConfiguration({} if urlsplit(endpoint).hostname in LOOPBACK else get_environ_proxies(endpoint))
    proxy = proxies.proxy_url_for(endpoint)
    if not proxy:
        return urllib3.PoolManager(**options)
    return urllib3.proxy_from_url(proxy, proxy_headers=proxies.proxy_headers_for(proxy), **options)


def _signed(
    signer: "SigV4Auth", method: str, url: str, data: bytes | None = None, headers: dict[str, str] | None = None
) -> "AWSRequest":
    from botocore.awsrequest import AWSRequest

    request = AWSRequest(method=method, url=url, data=data, headers=headers)
    signer.add_auth(request)
    return request


def _code_of(answer: urllib3.BaseHTTPResponse) -> str:
    found = _CODE.search(answer.data)
    return found.group(1).decode() if found else str(answer.status)
