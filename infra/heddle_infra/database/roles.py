"""Two roles: the owner, who migrates, and the application's, which can do no more than read and write rows.

The application's role is no superuser, owns nothing and does not bypass row-level security, so the walls hold for it
whatever it is made to say; it may not TRUNCATE either, which no policy stops.
"""

from typing import Final

from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from heddle_platform.errors import Conflict

_GRANTS = (
    "grant usage on schema public to {role}",
    "grant select, insert, update, delete on all tables in schema public to {role}",
    "grant usage, select on all sequences in schema public to {role}",
    "revoke insert, update, delete on alembic_version from {role}",
)
# the audit trail is only ever added to; a chain's end moves on, which a trigger holds to one step forward
APPEND_ONLY: Final = frozenset({"audit_events", "audit_heads"})
_APPEND_ONLY = (
    "revoke update, delete on audit_events from {role}",
    "revoke update, delete on audit_heads from {role}",
    "grant update (sequence, hash) on audit_heads to {role}",
)


def admit(connection: Connection, application_url: str) -> None:
    """Give the role of a URL what the planes and the dispatcher need, and make it where it is not there.

    Args:
        connection: of the tables' owner.
        application_url: postgresql+asyncpg URL with the role's name, and its password where it needs one.

    Raises:
        Conflict: code `role_missing`: the role is not there and this owner may make none.
    """
    url = make_url(application_url)
    name = url.username
    if name is None or name == connection.scalar(text("select current_user")):
        return
    quoted = _quoted(connection, name, "quote_ident")
    if not connection.scalar(text("select true from pg_roles where rolname = :name"), {"name": name}):
        password = f" password {_quoted(connection, str(url.password), 'quote_literal')}" if url.password else ""
        try:
            connection.exec_driver_sql(f"create role {quoted} login nosuperuser nobypassrls{password}")
        except DBAPIError:
            raise Conflict(
                f"the role {name!r} of HEDDLE_DATABASE_URL does not exist and the owner of HEDDLE_DATABASE_OWNER_URL "
                f"may not make roles; run as a superuser: create role {quoted} login password '...'",
                code="role_missing",
            ) from None  # the statement holds the password
    trail = connection.scalar(text("select to_regclass('public.audit_events') is not null"))
    for grant in (*_GRANTS, *(_APPEND_ONLY if trail else ())):
        connection.exec_driver_sql(grant.format(role=quoted))
    connection.commit()


async def hole(session: AsyncSession) -> str | None:
    """Tell why the walls do not hold for the role of this connection; None: they do."""
    superuser, bypasses, owns = (
        await session.execute(
            text(
                "select rolsuper, rolbypassrls, exists (select 1 from pg_class where relowner = pg_roles.oid"
                " and relrowsecurity) from pg_roles where rolname = current_user"
            )
        )
    ).one()
    if superuser or bypasses:
        return "the database role is a superuser or has BYPASSRLS: row-level security does not hold for it"
    if owns:
        return "the database role owns the tables: it could take row-level security away"
    return None


def _quoted(connection: Connection, value: str, function: str) -> str:
    return str(connection.scalar(text(f"select {function}(:value)"), {"value": value}))
