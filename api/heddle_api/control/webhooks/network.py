"""The way out: requests to addresses that strangers named, which must not reach our own network.

A name is resolved once, every address is checked, and the connection goes to the checked address: a name that
resolves differently a moment later (DNS rebinding) gains nothing. TLS still asks for the name. No redirects, no
proxies, no answer longer than it takes to read a status.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import httpcore
from httpcore import SOCKET_OPTION

from heddle_platform.errors import InvalidInput

MAX_URL_CHARACTERS: Final = 2_000
# Inside these an IPv4 address is hidden, which a gateway would unpack: 6to4, Teredo, NAT64
_WRAPPING: Final = tuple(ip_network(net) for net in ("2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48"))
_GLOBAL_V6: Final = ip_network("2000::/3")


class Refused(Exception):
    """An address that nothing is sent to; the sentence is for the endpoint's owner and names no address of ours."""


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return _is_public_v4(found.ipv4_mapped)
        return found.is_global and found in _GLOBAL_V6 and not any(found in net for net in _WRAPPING)
    return _is_public_v4(found)


def _is_public_v4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved


def _is_loopback(address: str) -> bool:
    return ip_address(address.partition("%")[0]).is_loopback


def check_url(url: str, *, allow_loopback: bool) -> str:
    """Check an endpoint's address as far as that can be done without asking anybody.

    Args:
        url: as the tenant sent it.
        allow_loopback: whether http to this machine is taken; a setting for development.

    Returns:
        The address, unchanged.

    Raises:
        InvalidInput: codes `invalid_url`, `https_required`, `private_address`.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        host = host.encode("idna").decode() if host else None
    except ValueError:
        raise _bad("invalid_url", "it cannot be read as a URL") from None
    if not host or parts.scheme not in ("http", "https") or not url.isascii() or not url.isprintable() or " " in url:
        raise _bad("invalid_url", "write it as https://host/path, in ASCII without spaces")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise _bad("invalid_url", "leave user, password and fragment out")
    literal = _literal(host)
    local = allow_loopback and (host == "localhost" or (literal is not None and _is_loopback(literal)))
    if parts.scheme == "http" and not local:
        raise _bad("https_required", "events are sent over https only")
    if not local and (host == "localhost" or (literal is not None and not is_public(literal))):
        raise _bad("private_address", f"{host[:60]} is not an address of the public internet")
    return url


def _literal(host: str) -> str | None:
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:  # 127.1, 0x7f000001 and 2130706433 are addresses, too, to the resolver
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def _bad(code: str, why: str) -> InvalidInput:
    return InvalidInput(f"the endpoint's url cannot be used: {why}", code=code, param="url")


Resolve = Callable[[str, int], Awaitable[Sequence[str]]]  # of a name and a port: its addresses


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only (and to loopback where that is allowed)."""

    def __init__(self, *, allow_loopback: bool, resolve: Resolve) -> None:
        self._allow_loopback = allow_loopback
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, and connect to what was checked."""
        addresses = [one for one in await self._resolve(host, port) if self._allowed(one)]
        if not addresses:
            raise Refused("its name leads to no address of the public internet")
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    def _allowed(self, address: str) -> bool:
        return is_public(address) or (self._allow_loopback and _is_loopback(address))

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._network.sleep(seconds)


async def _resolve(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise Refused("its name cannot be resolved") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Return how receivers must show who they are: by the system's authorities, and by those of a PEM file.

    Raises:
        InvalidInput: code `invalid_setting`: the file cannot be read, or holds no certificates.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:  # of which SSLError is one
            raise InvalidInput(
                f"HEDDLE_WEBHOOK_CA_FILE={ca_file} cannot be used ({error.strerror or error}); name a readable file of "
                "PEM certificates, or unset it",
                code="invalid_setting",
                param="webhook_ca_file",
            ) from None
    return context


def _why(error: BaseException) -> str | None:
    """Return what was wrong with the receiver's TLS; None: it was something else."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not accepted: {cause.verify_message.rstrip('.')}; it must name the url's host and "
                "be of a public authority, or of one in the platform's HEDDLE_WEBHOOK_CA_FILE"
            )
        if isinstance(cause, ssl.SSLError):
            return f"it does not speak TLS as it should: {(cause.reason or 'broken').replace('_', ' ').lower()}"
        cause = cause.__cause__ or cause.__context__
    return None


class Outside:
    """Sends POSTs to the outside; use as an async context manager."""

    def __init__(
        self,
        *,
        allow_loopback: bool,
        timeout_seconds: float,
        context: ssl.SSLContext | None = None,
        resolve: Resolve = _resolve,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._allow_loopback = allow_loopback
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context or trusting(None),
            max_keepalive_connections=0,  # a kept connection would outlive the check of its address
            network_backend=_CheckedNetwork(allow_loopback=allow_loopback, resolve=resolve),
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Send and return the status; the answer's body is not read.

        Raises:
            Refused: the address may not be connected to, or does not show by TLS that it is who it should be.
            TimeoutError: it took longer than allowed, over all.
            httpcore.NetworkError: no connection, or it broke.
            httpcore.ProtocolError: what answered does not speak HTTP.
        """
        try:
            # the rules may have become stricter since the url was taken
            check_url(url, allow_loopback=self._allow_loopback)
        except InvalidInput as error:
            raise Refused(error.message) from None
        sent = [(name.encode(), value.encode()) for name, value in {**headers, "host": urlsplit(url).netloc}.items()]
        async with asyncio.timeout(self._timeout_seconds):
            try:
                async with self._pool.stream("POST", url, headers=sent, content=body) as response:
                    return int(response.status)
            except httpcore.ConnectError as error:
                why = _why(error)
                if why is None:
                    raise
                raise Refused(why) from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.aclose()
