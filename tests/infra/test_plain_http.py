"""Plain HTTP on connections that stay open, against a real server that hangs up, errs and sends too little."""

import threading
from collections.abc import Iterator
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from heddle_infra.plain_http import PlainHttp, TooLong, is_plain

BODY = bytes(range(256)) * 8


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.client_address[1]))  # type: ignore[attr-defined]
        if self.path == "/errs_once" and len(self.server.seen) == 1:  # type: ignore[attr-defined]
            self._answer(503, b"")
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY) + 1))
            self.end_headers()
            self.wfile.write(BODY)
            self.close_connection = True
        else:
            self._answer(200, BODY)
        if self.path == "/hangs_up":
            self.close_connection = True  # and does not say so

    def do_PUT(self) -> None:
        self._answer(200, self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"abc"')
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def http(server: ThreadingHTTPServer) -> PlainHttp:
    return PlainHttp(f"127.0.0.1:{server.server_address[1]}", connect_seconds=3, read_seconds=5)


def test_requests_share_a_connection(http: PlainHttp, server: ThreadingHTTPServer) -> None:
    answers = [http.request("GET", f"/{number}", {}) for number in range(3)]
    assert [answer.body for answer in answers] == [BODY] * 3
    assert answers[0].headers["etag"] == '"abc"'
    assert len({port for _, port in server.seen}) == 1  # type: ignore[attr-defined]


def test_what_is_sent_arrives(http: PlainHttp) -> None:
    assert http.request("PUT", "/x", {}, BODY).body == BODY
    assert http.request("PUT", "/x", {}, b"").body == b""


def test_a_connection_that_was_hung_up_on_is_made_anew(http: PlainHttp, server: ThreadingHTTPServer) -> None:
    http.request("GET", "/hangs_up", {})
    assert http.request("GET", "/next", {}).body == BODY
    assert [path for path, _ in server.seen] == ["/hangs_up", "/next"]  # type: ignore[attr-defined]


def test_a_server_that_errs_is_asked_again(http: PlainHttp, server: ThreadingHTTPServer) -> None:
    assert http.request("GET", "/errs_once", {}).status == 200
    assert len(server.seen) == 2  # type: ignore[attr-defined]


def test_a_body_that_is_cut_short_is_none(http: PlainHttp) -> None:
    for most in (None, 10**6):
        with pytest.raises(HTTPException):
            http.request("GET", "/short", {}, most=most)


def test_a_body_that_is_too_long_is_not_taken(http: PlainHttp) -> None:
    with pytest.raises(TooLong, match=f"{len(BODY)} bytes, at most 10 "):
        http.request("GET", "/long", {}, most=10)
    assert http.request("GET", "/fits", {}, most=len(BODY)).body == BODY


def test_a_server_that_is_away() -> None:
    with pytest.raises(OSError):
        PlainHttp("127.0.0.1:1", connect_seconds=1, read_seconds=1).request("GET", "/", {})


def test_plain_is_http_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert [is_plain(url) for url in ("http://store:8333", "https://store:8333", "store:8333")] == [True, False, False]
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert not is_plain("http://store:8333")
    assert is_plain("http://127.0.0.1:8333")
    monkeypatch.setenv("no_proxy", "store")
    assert is_plain("http://store:8333")
