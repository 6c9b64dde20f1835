"""The database connection: one pool per process, transactions as context managers, each within a scope."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from heddle_infra.database import liveness
from heddle_infra.database.walls import Scope, set_scope
from heddle_platform.errors import InvalidInput, Unavailable
from heddle_platform.settings import DatabaseSettings

# SQLSTATE classes: connection lost, out of resources, operator intervention (57P03: the server is starting up)
_UNAVAILABLE_CLASSES = frozenset({"08", "53", "57"})
# character_not_in_repertoire, untranslatable_character: PostgreSQL keeps no NUL in text or JSON
_UNSTORABLE_TEXT = frozenset({"22021", "22P05"})


class Database:
    """A pool of connections to PostgreSQL."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._engine: AsyncEngine = create_async_engine(
            settings.database_url.get_secret_value(),
            # none beyond the pool: one opened for a burst and closed behind it costs more than it helps. The last one
            # back goes out first: its statements are prepared, and nobody has to ask whether it still lives
            pool_size=settings.database_pool_size,
            max_overflow=0,
            pool_use_lifo=True,
            pool_timeout=settings.database_connect_timeout_seconds,
            connect_args={"timeout": settings.database_connect_timeout_seconds},
        )
        liveness.watch(self._engine)
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")  # of the same pool
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    def transaction(self, tenant_id: str | None) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction of one tenant: committed when the block ends, rolled back when it raises.

        PostgreSQL shows it the rows of this tenant and what everybody may see (bases), whatever it asks for.

        Args:
            tenant_id: whose rows; None: those that belong to no tenant, the operators' own.

        Raises:
            Unavailable: the database cannot be reached or went away in the middle.
            InvalidInput: code `unstorable_text`.
        """
        if tenant_id is None:
            return self._open(scope="operator")
        return self._open(tenant_id=tenant_id)

    def platform_transaction(self, *, one_snapshot: bool = False) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction that sees the rows of all tenants: for work of the platform itself.

        Who may is listed in `tests/architecture/test_walls.py`.

        Args:
            one_snapshot: all its questions are answered from one moment (REPEATABLE READ).

        Raises:
            Unavailable: the database cannot be reached or went away in the middle.
        """
        return self._open(scope="platform", one_snapshot=one_snapshot)

    @asynccontextmanager
    async def single(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for one statement that decides by itself what it sees: see `walls.answer_in_one`.

        There is no transaction around it: whatever is read here without such a function finds nothing.

        Raises:
            Unavailable: as `transaction`.
            InvalidInput: likewise.
        """
        with _translated():
            async with self._autocommit.connect() as connection:
                yield connection

    @asynccontextmanager
    async def _open(
        self, *, tenant_id: str = "", scope: Scope = "", one_snapshot: bool = False
    ) -> AsyncIterator[AsyncSession]:
        with _translated():
            async with self._sessions() as session, session.begin():
                if one_snapshot:
                    await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                await set_scope(session, tenant_id=tenant_id, scope=scope)
                yield session

    async def ping(self) -> bool:
        """Tell whether the database answers."""
        try:
            async with self._open() as session:
                await session.execute(text("select 1"))
        except Unavailable:
            return False
        return True

    async def close(self) -> None:
        """Release all connections."""
        await self._engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the driver and the pool raise into our errors."""
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("all connections to the database are busy; try again in a moment") from error
    except (OperationalError, InterfaceError, OSError, TimeoutError) as error:
        raise Unavailable("the database cannot be reached; try again in a moment") from error
    except DBAPIError as error:
        if error.connection_invalidated or _state_class(error) in _UNAVAILABLE_CLASSES:
            raise Unavailable("the database connection was lost; try again in a moment") from error
        if _state(error) in _UNSTORABLE_TEXT:
            raise InvalidInput(
                "the request holds a character that cannot be stored (NUL); remove it", code="unstorable_text"
            ) from error
        raise


def _state(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def _state_class(error: DBAPIError) -> str:
    return _state(error)[:2]
