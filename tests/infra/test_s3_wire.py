"""Whole objects over the wire, to a real HTTP server that errs, hangs up, sends too little and speaks TLS."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import boto3
import pytest
from botocore.config import Config
from pydantic import SecretStr

from heddle_infra.s3 import S3ObjectStore
from heddle_platform.errors import PreconditionFailed, Unavailable
from heddle_platform.settings import ObjectStoreSettings
from tests.api.certificates import Authority, Identity

BODY = bytes(range(256)) * 8
KEYS = ["a/b.npz", "tenants/ten_1/a b+c/ü~_-.zip", "x=1&y/%41"]


@dataclass
class Server:
    """Where it listens, and the target, caller's port and headers of each request it had."""

    address: str
    seen: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)


@contextmanager
def answering(*statuses: int, missing: int = 0, identity: Identity | None = None) -> Iterator[Server]:
    """Answer with these statuses in turn, then with 200, and leave out the last bytes of every body.

    With an identity, which is localhost's, TLS is spoken.
    """
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.seen.append((self.path, self.client_address[1], dict(self.headers)))
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(left.pop(0) if left else 200)
            self.send_header("Content-Length", str(len(BODY)))
            self.send_header("ETag", '"abc"')
            self.send_header("Retry-After", "3600")
            self.end_headers()
            self.wfile.write(BODY[: len(BODY) - missing])
            self.close_connection = bool(missing) or self.path.endswith("/hangs_up")  # and does not say so

        do_PUT = do_GET

        def log_message(self, *args: object) -> None:
            return

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{http.server_port}")
    if identity is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity.certificate, identity.key)
        http.socket = context.wrap_socket(http.socket, server_side=True)
        server = Server(f"https://localhost:{http.server_port}")
    thread = Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def settings(endpoint: str) -> ObjectStoreSettings:
    return ObjectStoreSettings(
        s3_endpoint_url=endpoint,
        s3_access_key=SecretStr("access/key"),
        s3_secret_key=SecretStr("secret+key"),
        s3_region="eu-west-1",
    )


def test_requests_share_a_connection_and_one_that_was_hung_up_on_is_made_anew() -> None:
    with answering() as server:
        store = S3ObjectStore(settings(server.address))
        assert [store.get(key) for key in ("a", "hangs_up", "b")] == [BODY] * 3
        assert store.put("c", BODY) == "abc"
    assert [path for path, _, _ in server.seen] == ["/heddle/a", "/heddle/hangs_up", "/heddle/b", "/heddle/c"]
    ports = [port for _, port, _ in server.seen]
    assert ports[0] == ports[1] != ports[2] == ports[3]


def test_a_server_that_errs_is_asked_three_times() -> None:
    with answering(503, 500) as server:
        assert S3ObjectStore(settings(server.address)).get("a") == BODY
    assert len(server.seen) == 3
    with answering(503, 503, 503) as server, pytest.raises(Unavailable, match="503"):
        S3ObjectStore(settings(server.address)).put("a", BODY)
    assert len(server.seen) == 3


def test_a_refused_condition_is_not_asked_again() -> None:
    with answering(412) as server, pytest.raises(PreconditionFailed):
        S3ObjectStore(settings(server.address)).put("a", BODY, if_absent=True)
    [(_, _, headers)] = server.seen
    assert headers["If-None-Match"] == "*"


def test_an_object_that_is_cut_short_is_none() -> None:
    with answering(missing=1) as server, pytest.raises(Unavailable, match="cannot be reached"):
        S3ObjectStore(settings(server.address)).get("a")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("endpoint", ["http://store:8333", "https://objects.example.org", "http://store:80/below"])
def test_presigned_urls_are_boto3s(endpoint: str, key: str) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="access/key",
        aws_secret_access_key="secret+key",
        region_name="eu-west-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    store = S3ObjectStore(settings(endpoint))

    def theirs() -> str:
        return str(client.generate_presigned_url("get_object", {"Bucket": "heddle", "Key": key}, ExpiresIn=60))

    before, ours, after = theirs(), store.presign_get(key, expires_seconds=60), theirs()
    assert ours in (before, after)  # signatures count whole seconds


def test_a_proxy_is_used_and_passed_by_as_the_machine_says(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering() as proxy, answering() as server:
        monkeypatch.setenv("http_proxy", proxy.address.replace("://", "://user:p%40ss@"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert S3ObjectStore(settings("http://store.invalid:8333")).get("a/b") == BODY
        assert S3ObjectStore(settings(server.address)).get("a/b") == BODY
        monkeypatch.setenv("no_proxy", "store.invalid")
        with pytest.raises(Unavailable, match="NameResolutionError"):
            S3ObjectStore(settings("http://store.invalid:8333")).get("a/b")
    [(target, _, headers)] = proxy.seen
    assert target == "http://store.invalid:8333/heddle/a/b"
    assert headers["Host"] == "store.invalid:8333"
    assert headers["Proxy-Authorization"] == "Basic dXNlcjpwQHNz"
    assert [path for path, _, _ in server.seen] == ["/heddle/a/b"]


def test_a_server_that_speaks_tls_must_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    with answering(identity=authority.issue("localhost")) as server:
        monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
        with pytest.raises(Unavailable, match="SSLError"):
            S3ObjectStore(settings(server.address)).get("a")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.file))
        assert S3ObjectStore(settings(server.address)).get("a") == BODY
