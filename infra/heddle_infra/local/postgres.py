"""Embedded PostgreSQL: the wheel's binaries as a foreground child of ours, on a unix socket only."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from heddle_infra.local.config import StackFailed, StackPaths
from heddle_infra.local.environment import server_environment
from heddle_infra.local.postgres_programs import find_programs
from heddle_infra.local.reach import can_pass, folder_of_root
from heddle_infra.local.service import OsUser, Service
from heddle_platform.errors import Conflict

_SYSTEM_USER: Final = "pgserver"  # as the wheel itself calls the user it makes
_ROLE: Final = "heddle"  # owns the database and its tables
_APPLICATION_ROLE: Final = "heddle_app"  # as the planes and the dispatcher connect
_PASSING_SQLSTATES: Final = frozenset({"08", "53", "57"})  # connection lost, too many, starting up
_CONFIGURATION: Final = {
    "listen_addresses": "",  # the socket's folder is the only way in
    "unix_socket_permissions": "0700",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "jit": "off",
    "logging_collector": "off",  # standard error is our log file
    "log_min_messages": "warning",
}


@dataclass(frozen=True)
class PostgresFiles:
    """Where one stack's PostgreSQL lives: `data` (PGDATA), `socket` (a folder), `binaries`, and as whom it runs."""

    data: Path
    socket: Path
    binaries: Path
    user: OsUser | None

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the stack's database, for the application."""
        return f"postgresql+asyncpg://{_APPLICATION_ROLE}@/{_ROLE}?host={self.socket}"

    @property
    def owner_url(self) -> str:
        """The same for the owner of the tables, who migrates."""
        return f"postgresql+asyncpg://{_ROLE}@/{_ROLE}?host={self.socket}"


def place_postgres(paths: StackPaths, stack_id: str) -> PostgresFiles:
    """Decide where PostgreSQL keeps its data, and prepare folders that its user can reach.

    PostgreSQL refuses to run as root. Started by root, it runs as the user `pgserver`; where that user
    cannot get to the data folder (a closed folder above it stays closed), its data lies in
    `/var/lib/heddle/<stack>` instead, and the file `postgres.path` in the data folder says so.

    Args:
        paths: of the stack.
        stack_id: names the folder outside, so that a stack made anew in the same place starts empty.

    Raises:
        StackFailed: the user cannot be made, or a folder cannot.
    """
    user = _system_user() if os.geteuid() == 0 else None
    data, pointer = paths.data / "postgres", paths.data / "postgres.path"
    if pointer.exists():
        data = Path(pointer.read_text().strip())
    elif user is not None and not can_pass(user, paths.data):
        data = folder_of_root() / f"{paths.run.name.removeprefix('heddle-')}-{stack_id}" / "postgres"
        data.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        pointer.write_text(f"{data}\n")
    socket = paths.run / "postgres"
    if user is not None and not can_pass(user, paths.run):
        socket = data.parent / "socket"  # the temporary folder is private, the data folder is not
    socket.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        os.chown(socket, user.uid, user.gid)
    return PostgresFiles(data, socket, find_programs(data, user), user)


def postgres_service(paths: StackPaths, files: PostgresFiles) -> Service:
    """Describe PostgreSQL as a child: made by `initdb` at its first start, stopped by a fast shutdown."""
    settings = [f"--{name}={value}" for name, value in _CONFIGURATION.items()]
    command = (
        str(files.binaries / "postgres"),
        "-D",
        str(files.data),
        f"--unix_socket_directories={files.socket}",
        *settings,
    )
    return Service(
        name="postgres",
        address=f"unix:{files.socket}/.s.PGSQL.5432",
        command=command,
        environment=server_environment(),
        prepare=lambda: _initialise(paths, files),
        ready=lambda: _open_database(files),
        user=files.user,
        folder=files.data,
        ready_seconds=60.0,  # recovery after a crash
        stop_signal=signal.SIGINT,  # fast: ends sessions, writes a checkpoint
        death_signal=signal.SIGINT,
    )


async def _initialise(paths: StackPaths, files: PostgresFiles) -> None:
    if (files.data / "PG_VERSION").exists():
        _forget_dead_postmaster(files.data / "postmaster.pid")
        return
    # made beside its place and moved there, so that an interrupted initdb is not taken for a database
    partial = files.data.with_name("postgres.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    options: dict[str, object] = {}
    if files.user is not None:
        os.chown(partial, files.user.uid, files.user.gid)
        options = {"user": files.user.uid, "group": files.user.gid, "extra_groups": []}
    command = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-instructions"]
    with paths.log("postgres").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            str(files.binaries / "initdb"),
            *command,
            "--no-sync",  # nothing to lose yet; the server's own checkpoints sync
            "-D",
            str(partial),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=server_environment(),
            cwd="/",
            **options,  # type: ignore[arg-type]
        )
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:  # cancelled: nothing else would end it
                process.kill()
        if code != 0:
            raise StackFailed(f"PostgreSQL's initdb failed; its words are in {paths.log('postgres')}")
    partial.rename(files.data)


def _forget_dead_postmaster(lock: Path) -> None:
    """Remove the lock file of a postmaster that is gone, whose pid another process may have by now."""
    try:
        pid = int(lock.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return
    try:
        if psutil.Process(pid).name() == "postgres":
            return  # PostgreSQL itself will say what is wrong
    except psutil.Error:
        pass
    lock.unlink(missing_ok=True)


async def migrate_database(url: str, application_url: str) -> None:
    """Bring the tables of a database, ours or an external one, to the version this code expects.

    Args:
        url: postgresql+asyncpg URL of the tables' owner.
        application_url: of the role that the planes connect as; the same where there is one role only.

    Raises:
        OSError: it cannot be reached yet, or is starting up.
        StackFailed: it refuses us, or its tables cannot be changed.
    """
    import asyncpg  # these three take a second, in which other servers start already
    from sqlalchemy.exc import SQLAlchemyError

    from heddle_infra.database import migrate

    try:
        await migrate.upgrade(url, application_url=application_url)
    except Conflict as error:
        raise StackFailed(error.message) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError) as error:
        words = str(error).splitlines()[0]
        sqlstate = str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")
        if sqlstate[:2] in _PASSING_SQLSTATES:
            raise ConnectionRefusedError(words) from error
        raise StackFailed(f"the database's tables cannot be brought up to date: {words}") from error


async def _open_database(files: PostgresFiles) -> None:
    """Connect; at the first start make the roles and the database; bring its tables up to date."""
    import asyncpg

    try:
        connection = await asyncpg.connect(host=str(files.socket), user="postgres", database="postgres", timeout=3)
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ConnectionRefusedError(str(error)) from error  # still starting up or recovering
    try:
        for role in (_ROLE, _APPLICATION_ROLE):
            if not await connection.fetchval("select true from pg_roles where rolname = $1", role):
                await connection.execute(f"create role {role} login")
        if not await connection.fetchval("select true from pg_database where datname = $1", _ROLE):
            await connection.execute(f"create database {_ROLE} owner {_ROLE}")
    finally:
        await connection.close()
    await migrate_database(files.owner_url, files.url)


def _system_user() -> OsUser:
    try:
        found = pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _SYSTEM_USER]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise StackFailed(
                f"PostgreSQL does not run as root and the user {_SYSTEM_USER!r} cannot be made; "
                "start as an ordinary user, or make that user yourself"
            ) from error
        found = pwd.getpwnam(_SYSTEM_USER)
    return OsUser(_SYSTEM_USER, found.pw_uid, found.pw_gid)
