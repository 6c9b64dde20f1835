"""What PostgreSQL's own catalogue says of tables, and a row of each for any tenant, made from that."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_COLUMNS = """
    select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           a.atthasdef or a.attidentity <> '' as filled
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
    order by c.relname, a.attnum
"""
_REFERENCES = """
    select conrelid::regclass::text, a.attname, confrelid::regclass::text, b.attname
    from pg_constraint k
    cross join lateral unnest(k.conkey, k.confkey) as pair(here, there)
    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = pair.here
    join pg_attribute b on b.attrelid = k.confrelid and b.attnum = pair.there
    where k.contype = 'f' and k.connamespace = 'public'::regnamespace
"""
_WALLS = """
    select relname, relrowsecurity and relforcerowsecurity
           and exists (select 1 from pg_policy where polrelid = pg_class.oid and polname = 'tenant_wall')
    from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
"""


@dataclass(frozen=True)
class Catalogue:
    """Tables with their columns (type, must be given), references (column -> table, column), and who is walled."""

    columns: dict[str, dict[str, tuple[str, bool]]]
    references: dict[tuple[str, str], tuple[str, str]]
    walled: frozenset[str]

    @property
    def tables(self) -> frozenset[str]:
        """All of them."""
        return frozenset(self.columns)

    def of_tenants(self) -> frozenset[str]:
        """Tables that hold rows of tenants: by a column `tenant_id`, or by a reference to such a table."""
        found = {table for table, columns in self.columns.items() if "tenant_id" in columns} | {"tenants"}
        while True:
            more = {table for (table, _), (parent, _) in self.references.items() if parent in found} - found
            if not more:
                return frozenset(found)
            found |= more

    def row(self, table: str, tenant: str) -> dict[str, str]:
        """Return values, spelt as text, for one row of the tenant; references point at its row of the other table."""
        return {
            column: self._value(table, column, tenant)
            for column, (_, needed) in self.columns[table].items()
            if needed or column == "tenant_id"
        }

    def _value(self, table: str, column: str, tenant: str) -> str:
        if column == "tenant_id" or (table, column) == ("tenants", "id"):
            return tenant
        if table == "idempotency_keys" and column == "scope":
            return f"{tenant} /v1/things"
        parent = self.references.get((table, column))
        if parent is not None and parent != (table, column):
            return self._value(*parent, tenant)
        return _plain(self.columns[table][column][0], f"{table[:12]}.{column[:8]}.{tenant[-1]}")

    async def insert(self, connection: AsyncConnection, table: str, tenant: str) -> None:
        """Add that row."""
        row = self.row(table, tenant)
        values = [f"cast('{value}' as {self.columns[table][column][0]})" for column, value in row.items()]
        await connection.exec_driver_sql(f"insert into {table} ({', '.join(row)}) values ({', '.join(values)})")


def _plain(kind: str, word: str) -> str:
    if kind.endswith("[]"):
        return "{}"
    if kind.startswith(("character", "text")):
        return word
    if kind.startswith(("integer", "bigint", "smallint", "double", "numeric", "real")):
        return "1"
    return {"jsonb": "{}", "json": "{}", "bytea": "", "boolean": "true"}.get(kind, "2030-01-01T00:00:00+00:00")


async def read_catalogue(connection: AsyncConnection) -> Catalogue:
    """Read the catalogue of the database."""
    columns: dict[str, dict[str, tuple[str, bool]]] = {}
    for table, column, kind, not_null, filled in await connection.execute(text(_COLUMNS)):
        columns.setdefault(table, {})[column] = (kind, not_null and not filled)
    references = {
        (table, column): (to, there) for table, column, to, there in await connection.execute(text(_REFERENCES))
    }
    walled = {table for table, stands in await connection.execute(text(_WALLS)) if stands}
    return Catalogue(columns, references, frozenset(walled))
