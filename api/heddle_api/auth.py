"""Authentication: API keys, and the dependency that turns `Authorization: Bearer` into a principal.

A key is shown once and stored only as its SHA-256. A key carries 256 random bits, so a fast hash is enough,
and looking the hash up instead of comparing secrets leaves nothing to time.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple, Protocol

import structlog
from fastapi import Depends, Request, Security
from fastapi.security.http import HTTPBase
from starlette.requests import HTTPConnection

from heddle_api.gate import Gate
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import Forbidden, Unauthenticated
from heddle_platform.ids import new_id
from heddle_platform.rate import Rate
from heddle_platform.records import Scope

MAX_KEY_CHARACTERS: Final = 300
_SECRET_BYTES: Final = 32  # 43 url-safe characters


class MintedKey(NamedTuple):
    """A new key: `plaintext` for its owner's eyes once, `hash` for the database."""

    plaintext: str
    hash: str


def mint_key(key_id: str | None = None) -> MintedKey:
    """Make an API key `hdl_<key id part>_<43 url-safe characters>`.

    Args:
        key_id: id of the key's row; its part after `key_` stands in the key, so that a leaked one can be
            found and revoked without knowing its hash. None: a fresh one.
    """
    part = (key_id or new_id("key")).removeprefix("key_")
    plaintext = f"hdl_{part}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return MintedKey(plaintext, hash_key(plaintext))


def hash_key(plaintext: str) -> str:
    """Return what is stored of a key: its SHA-256 in hexadecimal."""
    return sha256_hex(plaintext.encode())


@dataclass(frozen=True)
class Principal:
    """Who calls: a key, its tenant (None: an operator's key), its scopes, and the tenant's cache epoch.

    `rate`: how fast the tenant's requests may come; None: as fast as the plane's default.
    """

    key_id: str
    tenant_id: str | None
    scopes: frozenset[Scope]
    tenant_epoch: int = 0
    rate: Rate | None = None

    @property
    def tenant(self) -> str:
        """The tenant's id.

        Raises:
            Forbidden: code `tenant_key_required`; an operator's key has no tenant.
        """
        if self.tenant_id is None:
            raise Forbidden(
                "this key belongs to an operator and to no tenant; use a key of the tenant", code="tenant_key_required"
            )
        return self.tenant_id


class KeyDirectory(Protocol):
    """Where a plane looks keys up; it stands in the lifespan state as `key_directory`."""

    async def find(self, key_hash: str) -> Principal | None:
        """Return who owns the key of this hash; None if it is unknown, revoked or expired.

        Raises:
            Forbidden: code `tenant_suspended`.
        """


def suspended() -> Forbidden:
    """Return what a suspended tenant's keys are told."""
    return Forbidden(
        "your tenant is suspended: nothing is done for it until your operator resumes it; nothing is lost",
        code="tenant_suspended",
    )


class _Documented(HTTPBase):
    """Tells OpenAPI that a key is asked for; looking at it is `authenticate`'s."""

    async def __call__(self, request: HTTPConnection) -> None:
        """Do nothing."""


SCHEME: Final = "api_key"
ANY_OF: Final = "|"
_DOCUMENTED: Final = _Documented(
    scheme="bearer", scheme_name=SCHEME, description="An API key: `Authorization: Bearer hdl_...`.", auto_error=False
)


async def authenticate(request: Request, _documented: Annotated[None, Security(_DOCUMENTED)] = None) -> Principal:
    """Find the caller by the `Authorization` header, leave it in the request's state for the log, and pass the gate.

    An operator's requests are not limited: they are what ends an emergency.

    Raises:
        Unauthenticated: codes `missing_key`, `malformed_authorization`, `unknown_key`.
        Forbidden: code `tenant_suspended`.
        RateLimited: code `rate_limited`.
    """
    sent = request.headers.getlist("authorization")
    if not sent:
        raise Unauthenticated("no API key was sent; send 'Authorization: Bearer <key>'", code="missing_key")
    if len(sent) > 1:  # a gateway in front may have checked the other one
        raise Unauthenticated(
            f"{len(sent)} Authorization headers were sent; send one API key", code="malformed_authorization"
        )
    scheme, _, key = sent[0].partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key or len(key) > MAX_KEY_CHARACTERS:
        raise Unauthenticated(
            "the Authorization header is not 'Bearer <key>'; send an API key that way", code="malformed_authorization"
        )
    directory: KeyDirectory = request.state.key_directory
    principal = await directory.find(hash_key(key))
    if principal is None:
        raise Unauthenticated(
            "this API key is unknown, revoked or expired; make a new one or ask your operator", code="unknown_key"
        )
    request.state.principal = principal
    # every line that is logged from here on says for whom; the request's context takes it away again
    structlog.contextvars.bind_contextvars(tenant_id=principal.tenant_id, key_id=principal.key_id)
    gate: Gate | None = getattr(request.state, "gate", None)
    if gate is not None and principal.tenant_id is not None:
        headers: dict[str, str] = {}
        request.state.answer_headers = headers  # the request context adds them to the answer, whichever it is
        await gate.admit(principal.tenant_id, principal.rate, headers)
    return principal


Caller = Annotated[Principal, Depends(authenticate)]


def documented(*any_of: Scope) -> Any:
    """Annotate a dependency that lets keys with any of these scopes pass, so that the document names them.

    It does nothing at a request. FastAPI joins the scopes of all dependencies into one requirement, so those of which
    one is enough go in as one word, which `openapi.document` takes apart.
    """
    return Security(_DOCUMENTED, scopes=[ANY_OF.join(any_of)])


def require(*any_of: Scope) -> Callable[[Principal], Awaitable[Principal]]:
    """Make a dependency that lets callers pass whose key has at least one of these scopes.

    Use as `Annotated[Principal, Depends(require("edits"))]`. What belongs to a tenant then asks for
    `principal.tenant`, which an operator's key does not have.
    """

    async def check(principal: Caller, _documented: Annotated[None, documented(*any_of)] = None) -> Principal:
        if principal.scopes.isdisjoint(any_of):
            has = ", ".join(sorted(principal.scopes)) or "none"
            raise Forbidden(
                f"this key lacks the scope {' or '.join(any_of)}; it has: {has}",
                code="missing_scope",
                param="Authorization",
            )
        return principal

    return check
