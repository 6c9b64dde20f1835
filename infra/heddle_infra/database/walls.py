"""The second wall: row-level security. PostgreSQL itself shows a transaction the rows of its scope and no others.

The scope stands in two settings that end with the transaction. `heddle.tenant_id` names the one tenant whose rows it
sees. `heddle.scope` is empty for tenants, `operator` (rows that belong to no tenant) or `platform` (all rows).
Where neither was set, no protected row is seen, written or counted: a query that forgets its tenant finds nothing.

A migration that makes a table with a tenant's rows calls `protect(op, "<table>")` right after `create_table`; a test
over the catalogue fails until it does. Policies hold for the tables' owner, too (FORCE), but not for superusers and
roles with BYPASSRLS: the planes and the dispatcher connect as a role that is none of these (see `roles`).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Literal

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

Scope = Literal["", "operator", "platform"]

POLICY: Final = "tenant_wall"
# read by everybody, written by platform work: bases and their rollouts belong to no tenant, nor does how far a process
# has counted, nor how often what edges serve by has changed
OPEN_TABLES: Final = frozenset(
    {"bases", "base_aliases", "rollouts", "alembic_version", "usage_sources", "serving_changes"}
)

# as sub-selects they are evaluated once for a statement, not once for a row
_TENANT: Final = "(select current_setting('heddle.tenant_id', true))"
_SCOPE: Final = "(select current_setting('heddle.scope', true))"
PLATFORM_ONLY: Final = f"{_SCOPE} = 'platform'"  # the rule of a table that no tenant and no single operator owns
_SET: Final = text("select set_config('heddle.tenant_id', :tenant, true), set_config('heddle.scope', :scope, true)")


async def set_scope(session: AsyncSession, *, tenant_id: str = "", scope: Scope = "") -> None:
    """Decide what the open transaction sees from now on."""
    await session.execute(_SET, {"tenant": tenant_id, "scope": scope})


@asynccontextmanager
async def platform_scope(session: AsyncSession) -> AsyncIterator[None]:
    """Let a block of a tenant's or an operator's transaction see all rows; who may is listed in a test."""
    before = (
        await session.execute(
            text(
                "select coalesce(current_setting('heddle.tenant_id', true), ''),"
                " coalesce(current_setting('heddle.scope', true), ''), set_config('heddle.scope', 'platform', true)"
            )
        )
    ).one()
    try:
        yield
        if before[1] == "platform":  # nothing to go back to
            return
        await session.flush()  # what the block added is written under its scope
    except BaseException:
        with suppress(SQLAlchemyError):  # a broken transaction cannot be told, and need not be
            await set_scope(session, tenant_id=before[0], scope=before[1])
        raise
    await set_scope(session, tenant_id=before[0], scope=before[1])


def owned_by(column: str) -> str:
    """Return the rule of a table whose `column` names the tenant; null: the operators'."""
    return f"{column} = {_TENANT} or {_SCOPE} = 'platform' or ({column} is null and {_SCOPE} = 'operator')"


def owned_through(table: str, column: str, parent: str) -> str:
    """Return the rule of a table whose `column` holds the id of a row of a protected table."""
    return f"{_SCOPE} = 'platform' or exists (select 1 from {parent} where {parent}.id = {table}.{column})"  # noqa: S608


def protect(op: Any, table: str, rule: str | None = None) -> None:
    """Put a table behind the wall; for migrations.

    Args:
        op: `alembic.op`.
        table: its name.
        rule: SQL, which rows are seen and may be written; None: `owned_by("tenant_id")`.
    """
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"alter table {table} force row level security")
    op.execute(f"create policy {POLICY} on {table} using ({rule or owned_by('tenant_id')})")


def unprotect(op: Any, table: str) -> None:
    """Take the wall away; for the way back of a migration that protected a table it did not make."""
    op.execute(f"drop policy {POLICY} on {table}")
    op.execute(f"alter table {table} no force row level security")
    op.execute(f"alter table {table} disable row level security")


def answer_in_one(op: Any, name: str, arguments: str, table: str, query: str) -> None:
    """Make a function that answers a question of one tenant, or of the operators, in one round trip; for migrations.

    `select * from name(tenant, ...)` decides what its transaction sees, and then asks: behind the same wall as
    everything else, without a BEGIN, a statement for the scope and a COMMIT around it. Called outside a transaction
    it leaves nothing behind; so it must be (`Database.single`). It never sees all tenants' rows.

    Args:
        op: `alembic.op`.
        name: of the function; its first argument is the tenant's id, empty for the operators' own rows.
        arguments: SQL, its further ones.
        table: whose rows it returns.
        query: SQL of the question.
    """
    op.execute(
        f"""
        create function {name}(tenant text, {arguments}) returns setof {table} language plpgsql as $$
        begin
            perform set_config('heddle.tenant_id', tenant, true),
                set_config('heddle.scope', case when tenant = '' then 'operator' else '' end, true);
            return query {query};
        end $$
        """
    )


def forget_answer(op: Any, name: str, types: str) -> None:
    """Drop a function that `answer_in_one` made; `types` are those of its further arguments."""
    op.execute(f"drop function {name}(text, {types})")
