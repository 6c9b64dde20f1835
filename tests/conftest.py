"""Session fixtures that start real servers, each only when a test asks for it, and the real data."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from heddle_infra import local
from heddle_platform.settings import CacheSettings, ObjectStoreSettings

os.environ.pop("COLUMNS", None)  # which the processes of pytest-xdist have, and Rich reads once, when it is imported

HEDDLE = (sys.executable, "-m", "heddle_api.cli.main")
UP_SECONDS = 240


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist, which reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first, and keep a file's tests, and all that share the stack, in one of several processes."""
    here = Path(__file__).parent
    longest = ("e2e", "workers", "infra")
    folders = {item: item.path.relative_to(here).parts[0] for item in items}
    items.sort(key=lambda item: longest.index(folders[item]) if folders[item] in longest else len(longest))
    for item in items:
        group = "stack" if folders[item] == "e2e" else str(item.path.relative_to(here))
        item.add_marker(pytest.mark.xdist_group(group))


@dataclass(frozen=True)
class RunningStack:
    """A full stack: what `heddle up --detach --json` printed, and where its files are."""

    data_dir: Path
    control_url: str
    edge_url: str
    studio_url: str
    admin_key: str
    supervisor_pid: int

    @property
    def object_store(self) -> dict[str, str]:
        """Arguments of `ObjectStoreSettings` with the operator's credentials."""
        return arguments("S3_", local.stack_settings(self.data_dir))


def arguments(prefix: str, variables: dict[str, str]) -> dict[str, str]:
    """Turn `HEDDLE_S3_BUCKET` and its like into the field names of a settings class."""
    whole = f"HEDDLE_{prefix}"
    return {name.removeprefix("HEDDLE_").lower(): value for name, value in variables.items() if name.startswith(whole)}


def clean_environment() -> dict[str, str]:
    """Return this process's environment without settings that would name servers outside."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HEDDLE_")}


def new_data_dir() -> Path:
    """Make a folder that a database of another user can live in, too."""
    folder = Path(tempfile.mkdtemp(prefix="heddle-test-"))
    folder.chmod(0o711)
    return folder / "stack"


def start_up(data_dir: Path, timeout: float = UP_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run `heddle up --detach --json` as a program."""
    command = [*HEDDLE, "up", "--detach", "--json", f"--data-dir={data_dir}"]
    return subprocess.run(
        command, capture_output=True, text=True, env=clean_environment(), timeout=timeout, check=False
    )


def running_stack(started: subprocess.CompletedProcess[str]) -> RunningStack:
    """Read what `heddle up` printed: exactly one line of JSON."""
    assert started.returncode == 0, started.stdout + started.stderr
    (line,) = started.stdout.splitlines()
    found = json.loads(line)
    return RunningStack(
        data_dir=Path(found["data_dir"]),
        control_url=found["control_url"],
        edge_url=found["edge_url"],
        studio_url=found["studio_url"],
        admin_key=found["admin_key"],
        supervisor_pid=found["supervisor_pid"],
    )


def only(service: str) -> Iterator[dict[str, str]]:
    """Run a single server for a session and yield the variables that lead to it."""
    data_dir = new_data_dir()
    try:
        local.start_detached(local.StackConfig(data_dir, services=(service,)), environment=clean_environment())
        yield local.stack_settings(data_dir)
    finally:
        local.erase(data_dir)
        data_dir.parent.rmdir()


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """Everything, started as a user starts it; one for the whole session."""
    data_dir = new_data_dir()
    try:
        yield running_stack(start_up(data_dir))
    finally:
        local.erase(data_dir)
        data_dir.parent.rmdir()


@pytest.fixture(scope="session")
def postgres_variables() -> Iterator[dict[str, str]]:
    """A migrated, empty database, and nothing else, by the variables that lead to it."""
    yield from only("postgres")


@pytest.fixture(scope="session")
def postgres_url(postgres_variables: dict[str, str]) -> str:
    """The database as the planes and the dispatcher connect to it, behind the walls."""
    return postgres_variables["HEDDLE_DATABASE_URL"]


@pytest.fixture(scope="session")
def postgres_owner_url(postgres_variables: dict[str, str]) -> str:
    """The same database as the owner of its tables connects to it."""
    return postgres_variables["HEDDLE_DATABASE_OWNER_URL"]


@pytest.fixture
async def empty_postgres_url(postgres_url: str, postgres_owner_url: str) -> str:
    """The database as the planes connect to it, emptied, for tests that other tests' jobs would disturb."""
    owner = create_async_engine(postgres_owner_url)
    async with owner.begin() as connection:  # the application's role may not truncate
        await connection.execute(text("truncate tenants, bases, platform_notes cascade"))
    await owner.dispose()
    return postgres_url


@pytest.fixture(scope="session")
def seaweed_settings() -> Iterator[ObjectStoreSettings]:
    """A real object store with an empty bucket, and nothing else."""
    for variables in only("objects"):
        yield ObjectStoreSettings.model_validate(arguments("S3_", variables))


@pytest.fixture(scope="session")
def valkey_settings() -> Iterator[CacheSettings]:
    """A real, empty cache, and nothing else."""
    for variables in only("cache"):
        yield CacheSettings.model_validate(arguments("REDIS_", variables))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the project."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not there; this test compares with real data")
    return folder
