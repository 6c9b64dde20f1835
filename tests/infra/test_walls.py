"""Row-level security, table by table from the catalogue: a query that forgets its tenant finds nothing."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from heddle_infra.database import jobs, migrate, queue, roles, tenants
from heddle_infra.database.engine import Database
from heddle_infra.database.walls import OPEN_TABLES, platform_scope
from heddle_platform.errors import Conflict, NotFound
from heddle_platform.ids import new_id
from heddle_platform.settings import DatabaseSettings
from tests.infra.catalogue import Catalogue, read_catalogue

PLATFORM_TABLES = {"platform_notes"}  # behind a wall that no tenant passes; their test is the last
A, B = f"ten_{'0' * 25}a", f"ten_{'0' * 25}b"


@pytest.fixture
async def superuser(postgres_owner_url: str) -> AsyncIterator[AsyncConnection]:
    """The embedded server's superuser; what it does is rolled back."""
    engine = create_async_engine(postgres_owner_url.replace("heddle@", "postgres@"))
    async with engine.connect() as connection:
        yield connection
        await connection.rollback()
    await engine.dispose()


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(DatabaseSettings(database_url=SecretStr(postgres_url)))
    yield opened
    await opened.close()


@pytest.fixture
async def two_tenants(superuser: AsyncConnection) -> Catalogue:
    """One row of each of two tenants in every table, seen from here on as the application's role."""
    catalogue = await read_catalogue(superuser)
    await superuser.execute(text("set local session_replication_role = replica"))  # in any order
    for table in sorted(catalogue.of_tenants() | {"idempotency_keys"}):
        await superuser.exec_driver_sql(f"delete from {table}")
        for tenant in (A, B):
            await catalogue.insert(superuser, table, tenant)
    await superuser.execute(text("set local session_replication_role = origin"))
    await superuser.execute(text("set local role heddle_app"))
    return catalogue


async def scope(connection: AsyncConnection, tenant: str = "", wide: str = "") -> None:
    """Do what `Database.transaction` does."""
    await connection.execute(
        text("select set_config('heddle.tenant_id', :tenant, true), set_config('heddle.scope', :wide, true)"),
        {"tenant": tenant, "wide": wide},
    )


async def count(connection: AsyncConnection, table: str) -> int:
    return int(await connection.scalar(text(f"select count(*) from {table}")) or 0)


async def test_every_table_is_behind_the_wall_or_named_as_open(superuser: AsyncConnection) -> None:
    catalogue = await read_catalogue(superuser)
    bare = catalogue.of_tenants() - catalogue.walled
    lines = [
        f'protect(op, "{table}"{"" if "tenant_id" in catalogue.columns[table] else ", owned_through(...)"})'
        for table in sorted(bare)
    ]
    assert not bare, f"hold rows of tenants and have no wall; add to the migration that makes them: {'; '.join(lines)}"
    undecided = catalogue.tables - catalogue.walled - OPEN_TABLES
    assert not undecided, (
        f"{sorted(undecided)}: protect(op, ...) in their migration, or name them in OPEN_TABLES of "
        "heddle_infra/database/walls.py where no tenant has rows in them"
    )
    assert catalogue.tables >= OPEN_TABLES


async def test_who_forgets_the_tenant_sees_and_changes_nothing(
    superuser: AsyncConnection, two_tenants: Catalogue
) -> None:
    for table in sorted(two_tenants.walled - PLATFORM_TABLES):
        await scope(superuser)
        assert await count(superuser, table) == 0, table
        column = next(iter(two_tenants.columns[table]))
        for change in (f"update {table} set {column} = {column}", f"delete from {table}"):
            if table in roles.APPEND_ONLY:  # nobody may, which is more
                with pytest.raises(ProgrammingError, match="permission denied"):
                    async with superuser.begin_nested():
                        await superuser.execute(text(change))
            else:
                assert (await superuser.execute(text(change))).rowcount == 0, table
        await scope(superuser, wide="platform")
        assert await count(superuser, table) == 2, table


async def test_a_tenant_sees_its_own_rows_only(superuser: AsyncConnection, two_tenants: Catalogue) -> None:
    for table in sorted(two_tenants.walled - PLATFORM_TABLES):
        for tenant in (A, B):
            await scope(superuser, tenant)
            assert await count(superuser, table) == 1, table
        await scope(superuser, "ten_nobody")
        assert await count(superuser, table) == 0, table
        await scope(superuser, wide="operator")
        assert await count(superuser, table) == 0, table


async def test_a_tenant_cannot_write_rows_of_another(superuser: AsyncConnection, two_tenants: Catalogue) -> None:
    for table in sorted(two_tenants.walled):
        await scope(superuser, A)
        with pytest.raises(ProgrammingError, match="row-level security"):
            async with superuser.begin_nested():
                await two_tenants.insert(superuser, table, B)
        if "tenant_id" in two_tenants.columns[table]:
            refusal = "permission denied" if table in roles.APPEND_ONLY else "row-level security"
            with pytest.raises(ProgrammingError, match=refusal):
                async with superuser.begin_nested():
                    await superuser.execute(text(f"update {table} set tenant_id = '{B}'"))


async def test_the_application_owns_nothing_and_may_not_step_around_the_wall(database: Database) -> None:
    async with database.transaction(None) as session:
        assert await roles.hole(session) is None
    for forbidden in (
        "truncate jobs cascade",
        "alter table jobs disable row level security",
        "drop policy tenant_wall on jobs",
        "create table t (id int)",
        "set local role heddle",
        "update alembic_version set version_num = '0'",
    ):
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
            async with database.platform_transaction() as session:
                await session.execute(text(forbidden))


async def test_the_wall_holds_for_the_owner_too_and_a_superuser_is_told_that_it_does_not_for_it(
    postgres_owner_url: str,
) -> None:
    owner = Database(DatabaseSettings(database_url=SecretStr(postgres_owner_url)))
    async with owner.platform_transaction() as session:
        made = await tenants.create_tenant(session, "acme")
    async with owner.transaction("ten_nobody") as session:
        assert "owns the tables" in str(await roles.hole(session))
        with pytest.raises(NotFound):
            await tenants.get_tenant(session, made.id)
    await owner.close()
    root = Database(DatabaseSettings(database_url=SecretStr(postgres_owner_url.replace("heddle@", "postgres@"))))
    async with root.transaction(None) as session:
        assert "superuser" in str(await roles.hole(session))
    await root.close()


async def test_the_owner_lets_a_role_in_and_makes_it_where_he_may(postgres_url: str, postgres_owner_url: str) -> None:
    url = postgres_url.replace("heddle_app@", "heddle_late:it's%20secret@")
    with pytest.raises(Conflict, match="create role heddle_late login"):
        await migrate.upgrade(postgres_owner_url, application_url=url)
    root_url = postgres_owner_url.replace("heddle@", "postgres@")
    root = create_async_engine(root_url)
    try:
        await migrate.upgrade(root_url, application_url=url)
        late = Database(DatabaseSettings(database_url=SecretStr(url)))
        async with late.transaction(None) as session:
            assert await roles.hole(session) is None
            assert await session.scalar(text("select count(*) from jobs")) == 0
        await late.close()
    finally:
        async with root.begin() as connection:
            await connection.execute(text("drop owned by heddle_late"))
            await connection.execute(text("drop role heddle_late"))
        await root.dispose()


async def test_a_scope_ends_with_its_transaction_and_a_wide_block_with_its_end(database: Database) -> None:
    async with database.platform_transaction() as session:
        mine, theirs = [await tenants.create_tenant(session, name) for name in ("acme", "rival")]
        job = await jobs.create(session, theirs.id, job_type="fit", spec={}, dataset_id=None)
    async with database.transaction(mine.id) as session:
        assert job.id in await queue.positions(session)
        assert await session.scalar(text("select count(*) from jobs")) == 0
        with pytest.raises(NotFound):
            async with platform_scope(session):
                await tenants.get_tenant(session, new_id("ten"))
        assert await session.scalar(text("select count(*) from tenants")) == 1
    for _ in range(3):  # the pool's connections remember nothing
        async with database.transaction(None) as session:
            assert await session.scalar(text("select count(*) from tenants")) == 0
    async with database.transaction(theirs.id) as session:
        assert [event.type for event in await jobs.events(session, job.id, after=0, limit=9)] == ["created"]
    async with database.transaction(mine.id) as session:
        assert await jobs.events(session, job.id, after=0, limit=9) == []


async def test_a_read_in_one_round_trip_is_behind_the_wall_and_leaves_nothing_behind(database: Database) -> None:
    async with database.platform_transaction() as session:
        mine, theirs = [await tenants.create_tenant(session, name) for name in ("acme", "rival")]
        spec = {"adapter": "avatars"}
        job = await jobs.create(session, theirs.id, job_type="fit", spec=spec, dataset_id=None, priority=3)
        operators = await jobs.create(session, None, job_type="pretrain", spec={"recipe": {}}, dataset_id=None)
    async with database.single() as connection:
        assert await jobs.read(connection, theirs.id, job.id) == job
        assert await connection.scalar(text("select count(*) from jobs")) == 0, "the scope ended with the statement"
        assert await jobs.read(connection, None, operators.id) == operators
        for tenant_id, job_id in ((mine.id, job.id), (None, job.id), (mine.id, operators.id), (theirs.id, "job_none")):
            with pytest.raises(NotFound) as refused:
                await jobs.read(connection, tenant_id, job_id)
            assert refused.value.code == "unknown_job"
    async with database.transaction(None) as session:
        assert await session.scalar(text("select count(*) from jobs where id = :id"), {"id": job.id}) == 0


async def test_the_wall_itself_hides_a_job_from_such_a_read(superuser: AsyncConnection, two_tenants: Catalogue) -> None:
    await scope(superuser, wide="platform")
    rows = await superuser.execute(text("select tenant_id, id from jobs where tenant_id is not null"))
    ids: dict[str, str] = dict(rows.all())
    bare = "create function pg_temp.heddle_all(tenant text) returns setof jobs language plpgsql as $$ begin "
    scoped = "perform set_config('heddle.tenant_id', tenant, true), set_config('heddle.scope', '', true); "
    await superuser.exec_driver_sql(f"{bare}{scoped}return query select * from jobs; end $$")
    for tenant in (A, B):
        seen = await superuser.scalars(text("select id from pg_temp.heddle_all(:tenant)"), {"tenant": tenant})
        assert seen.all() == [ids[tenant]], "a question that forgot its tenant"


async def test_what_is_the_platforms_own_is_seen_by_platform_work_alone(superuser: AsyncConnection) -> None:
    await superuser.execute(text("set local role heddle_app"))
    await scope(superuser, wide="platform")
    await superuser.execute(text("insert into platform_notes (name, document) values ('a note', '{}')"))
    assert await count(superuser, "platform_notes") >= 1
    for tenant, wide in (("", ""), (A, ""), ("", "operator")):
        await scope(superuser, tenant=tenant, wide=wide)
        assert await count(superuser, "platform_notes") == 0
