"""Requests over plain HTTP on connections that stay open: for small objects that are read and written by the thousand.

A full client spends 1 to 2 ms of processor on each request, ten times what the request takes. What it does beyond this
(TLS, proxies, redirects) is not needed on the way to a store in the same network; others take a full client.
"""

import http.client
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_ATTEMPTS: Final = 3
_FIRST_PAUSE_SECONDS: Final = 0.1
_SERVER_ERRORS: Final = range(500, 600)
_IDLE_KEPT: Final = 32


class TooLong(ValueError):
    """An answer has more bytes than were allowed."""


@dataclass(frozen=True)
class Answer:
    """What a server answered: status, headers by name in small letters, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def is_plain(url: str) -> bool:
    """Tell whether a URL is reached by plain HTTP and no proxy."""
    split = urlsplit(url)
    if split.scheme != "http" or not split.hostname:
        return False
    proxies = getproxies()
    return (
        split.hostname in LOOPBACK
        or not (proxies.get("http") or proxies.get("all"))
        or bool(proxy_bypass(split.hostname))
    )


class PlainHttp:
    """Connections to one host; safe to share between threads.

    Args:
        host: "name:port".
        connect_seconds, read_seconds: how long to wait for a connection, and for an answer's next bytes.
    """

    def __init__(self, host: str, *, connect_seconds: float, read_seconds: float) -> None:
        self._host = host
        self._connect_seconds, self._read_seconds = connect_seconds, read_seconds
        self._idle: deque[http.client.HTTPConnection] = deque(maxlen=_IDLE_KEPT)

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        most: int | None = None,
    ) -> Answer:
        """Send a request, again where the connection was lost or the server erred; it must be safe to repeat.

        Args:
            method: such as "GET".
            target: path and query, quoted.
            headers: beside Host and Content-Length.
            body: what is sent.
            most: longest body taken of the answer, in bytes.

        Raises:
            OSError: the server cannot be reached.
            http.client.HTTPException: it does not speak HTTP, or hung up on every attempt.
            TooLong: the answer has more bytes than `most`.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = self._once(method, target, headers, body, most)
            except (OSError, http.client.HTTPException):
                if attempt == _ATTEMPTS:
                    raise
            else:
                if answer.status not in _SERVER_ERRORS or attempt == _ATTEMPTS:
                    return answer
            time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        raise AssertionError("the last attempt returns or raises")

    def _once(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, most: int | None
    ) -> Answer:
        try:
            connection, reused = self._idle.pop(), True
        except IndexError:
            connection, reused = self._connected(), False
        try:
            try:
                connection.request(method, target, body, dict(headers))
                response = connection.getresponse()
            except (ConnectionError, http.client.RemoteDisconnected, http.client.CannotSendRequest):
                if not reused:
                    raise
                # servers hang up on idle connections; a fresh one tells whether this one is there
                connection.close()
                connection = self._connected()
                connection.request(method, target, body, dict(headers))
                response = connection.getresponse()
            if most is not None and (response.length or 0) > most:
                raise TooLong(f"{response.length} bytes, at most {most} are taken")
            # of a known length `read()` notices what is missing; of an unknown one it would never end
            data = response.read() if most is None or response.length is not None else response.read(most + 1)
            if most is not None and len(data) > most:
                raise TooLong(f"more than {most} bytes")
            answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, data)
        except BaseException:
            connection.close()
            raise
        if response.will_close or not response.isclosed():
            connection.close()
        else:
            self._idle.append(connection)
        return answer

    def _connected(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self._host, timeout=self._connect_seconds)
        connection.connect()
        connection.sock.settimeout(self._read_seconds)
        return connection
