"""What row-level security costs: claims and reads of a job, behind the walls and with the walls taken down.

`python -m tests.bench.walls --jobs 2000 --rounds 200` starts a database of its own, fills it with jobs of fifty
tenants, and prints seconds a call and their ratio; both sides take turns in one run, so noise weighs on both.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from pydantic import SecretStr
from sqlalchemy import text

from heddle_infra import local
from heddle_infra.database import jobs, queue, tenants
from heddle_infra.database.engine import Database
from heddle_platform.settings import DatabaseSettings
from tests.conftest import clean_environment, new_data_dir

TENANTS = 50
_SUPERUSER = "postgres@"  # no policy holds for it: the same statements, the walls away


class Undo(Exception):
    """Rolls a measured claim back, so that each finds the same queue."""


async def fill(database: Database, count: int) -> list[tuple[str, str]]:
    """Queue jobs; return (tenant, job)."""
    made = []
    async with database.platform_transaction() as session:
        owners = [(await tenants.create_tenant(session, f"tenant {index}")).id for index in range(TENANTS)]
        for index in range(count):
            owner = owners[index % TENANTS]
            made.append((owner, (await jobs.create(session, owner, job_type="fit", spec={}, dataset_id=None)).id))
    async with database.platform_transaction() as session:
        await session.execute(
            text("update jobs set status = 'succeeded' where id > (select min(id) from jobs) and right(id, 1) > '8'")
        )
    return made


async def claim(database: Database) -> None:
    """Claim four jobs, and let them go."""
    try:
        async with database.platform_transaction() as session:
            found = await queue.claim(session, owner="bench", limit=4, lease_seconds=30, max_attempts=5)
            assert len(found) == 4
            raise Undo
    except Undo:
        return


async def get(database: Database, owner: str, job_id: str) -> None:
    """Read a job as its tenant does."""
    async with database.transaction(owner) as session:
        await jobs.get(session, owner, job_id)


async def events(database: Database, owner: str, job_id: str) -> None:
    """Read a job's history."""
    async with database.transaction(owner) as session:
        assert await jobs.events(session, job_id, after=0, limit=100)


async def seconds(case: Callable[[Database], Awaitable[None]], database: Database) -> float:
    """Time one call."""
    start = time.perf_counter()
    await case(database)
    return time.perf_counter() - start


async def measure(url: str, job_count: int, rounds: int) -> None:
    """Print the table."""
    walled, bare = (
        Database(DatabaseSettings(database_url=SecretStr(one))) for one in (url, url.replace("heddle_app@", _SUPERUSER))
    )
    made = await fill(walled, job_count)
    async with bare.platform_transaction() as session:
        await session.execute(text("analyze"))
    owner, job_id = made[len(made) // 2]
    cases: dict[str, Callable[[Database], Awaitable[None]]] = {
        "claim of 4": claim,
        "GET of a job": lambda database: get(database, owner, job_id),
        "events of a job": lambda database: events(database, owner, job_id),
    }
    print(f"{job_count} jobs of {TENANTS} tenants, medians of {rounds}")
    print(f"{'':18} {'walls, ms':>10} {'without, ms':>12} {'ratio':>6}")
    for name, case in cases.items():
        times: dict[Database, list[float]] = {walled: [], bare: []}
        for round_number in range(rounds + 5):
            for database, found in times.items():
                took = await seconds(case, database)
                if round_number >= 5:
                    found.append(took)
        with_walls, without = (1000 * statistics.median(times[one]) for one in (walled, bare))
        print(f"{name:18} {with_walls:10.2f} {without:12.2f} {with_walls / without:6.2f}")
    await walled.close()
    await bare.close()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=200)
    given = parser.parse_args()
    data_dir = new_data_dir()
    try:
        local.start_detached(local.StackConfig(data_dir, services=("postgres",)), environment=clean_environment())
        url = local.stack_settings(data_dir)["HEDDLE_DATABASE_URL"]
        asyncio.run(measure(url, given.jobs, given.rounds))
    finally:
        local.erase(data_dir)
        data_dir.parent.rmdir()


if __name__ == "__main__":
    main()
