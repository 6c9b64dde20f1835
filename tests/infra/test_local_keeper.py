"""Keeping real processes: started, ready, dead, started again, never outliving their supervisor."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from heddle_infra.local.child import (
    end_all,
    exit_in_words,
    is_alive,
    leftovers,
    reap_orphans,
    start_child,
    still_runs,
)
from heddle_infra.local.config import StackFailed
from heddle_infra.local.keeper import Keeper
from heddle_infra.local.service import NotReady, Service, Step, http_answers, port_answers
from heddle_infra.local.state import ServiceRecord

SLEEP = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)
PARENT = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); time.sleep(600)"


async def at_once() -> None:
    """A probe of something that is ready when it runs."""


def service(code: str = SLEEP, *, ready: Step = at_once, **changes: object) -> Service:
    defaults: dict[str, object] = {
        "name": "thing",
        "address": "",
        "command": (sys.executable, "-c", code),
        "environment": {"PATH": os.environ["PATH"]},
        "ready": ready,
    }
    return Service(**{**defaults, **changes})  # type: ignore[arg-type]


class Kept:
    """A keeper under way, and all it has told."""

    def __init__(self, kept: Service, log: Path, others: dict[str, asyncio.Event] | None = None) -> None:
        self.told: list[ServiceRecord] = []
        self.event = asyncio.Event()
        events = {**(others or {}), kept.name: self.event}
        self.keeper = Keeper(kept, log, events, lambda keeper: self.told.append(keeper.record))
        self.task = asyncio.create_task(self.keeper.keep())

    @property
    def pid(self) -> int:
        pid = self.keeper.record.pid
        assert pid is not None
        return pid

    async def until(self, true: Callable[[ServiceRecord], bool]) -> None:
        async with asyncio.timeout(30):
            while not true(self.keeper.record):
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.keeper.stop()


@contextlib.asynccontextmanager
async def kept(what: Service, tmp_path: Path) -> AsyncIterator[Kept]:
    running = Kept(what, tmp_path / "thing.log")
    try:
        yield running
    finally:
        await running.stop()


async def test_a_killed_process_is_started_again_named_and_counted(tmp_path: Path) -> None:
    async with kept(service(), tmp_path) as running:
        await running.until(lambda record: record.state == "ready")
        first = running.pid
        os.kill(first, signal.SIGKILL)
        await running.until(lambda record: record.restarts == 1 and record.state == "ready")
        assert running.pid != first
        assert running.keeper.record.last_exit == "killed by SIGKILL"
        assert running.event.is_set()
        states = [record.state for record in running.told]
        assert states == ["starting", "ready", "crashed", "starting", "starting", "ready"]
        last = running.pid
    assert not psutil.pid_exists(last)
    assert not running.event.is_set()
    assert running.keeper.record.state == "stopped"


async def test_what_never_becomes_ready_fails_with_the_end_of_its_log(tmp_path: Path) -> None:
    async with kept(service("import sys; print('no such disk'); sys.exit(7)", ready=never), tmp_path) as running:
        with pytest.raises(StackFailed) as caught:
            await running.task
    assert "thing did not start: it exited with code 7" in caught.value.message
    assert caught.value.message.endswith("no such disk")
    assert str(tmp_path / "thing.log") in caught.value.message
    assert running.keeper.record.restarts == 2  # three attempts


async def never() -> None:
    raise NotReady("still warming up")


async def test_what_is_not_ready_in_time_is_ended_and_says_why(tmp_path: Path) -> None:
    async with kept(service(ready=never, ready_seconds=0.3), tmp_path) as running:
        with pytest.raises(StackFailed) as caught:
            await running.task
    assert "was not ready within 0 s (still warming up)" in caught.value.message


async def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    async with kept(service(command=("/no/such/program",)), tmp_path) as running:
        with pytest.raises(StackFailed) as caught:
            await running.task
    assert "/no/such/program" in caught.value.message


async def test_a_definite_failure_is_not_waited_out(tmp_path: Path) -> None:
    async def refused() -> None:
        raise StackFailed("the tables are of a newer version")

    async with kept(service(ready=refused, ready_seconds=600), tmp_path) as running:
        with pytest.raises(StackFailed, match="newer version"):
            await asyncio.wait_for(running.task, 30)


async def test_one_waits_for_what_it_needs(tmp_path: Path) -> None:
    base = asyncio.Event()
    running = Kept(service(needs=("base",)), tmp_path / "thing.log", {"base": base})
    await asyncio.sleep(0.1)
    assert running.keeper.record.state == "waiting"
    base.set()
    await running.until(lambda record: record.state == "ready")
    await running.stop()


async def test_an_external_server_is_checked_and_never_started(tmp_path: Path) -> None:
    async with kept(service(command=()), tmp_path) as running:
        await running.until(lambda record: record.state == "external")
        assert running.event.is_set()
        assert running.keeper.record.pid is None
    assert not (tmp_path / "thing.log").exists()


async def test_an_external_server_that_is_away_is_named(tmp_path: Path) -> None:
    away = service(command=(), address="db.example.org", ready=never, ready_seconds=0.2)
    async with kept(away, tmp_path) as running:
        with pytest.raises(StackFailed) as caught:
            await running.task
    assert "thing at db.example.org was not ready" in caught.value.message


async def test_who_does_not_listen_is_killed(tmp_path: Path) -> None:
    async def deaf() -> None:
        if "deaf" not in (tmp_path / "thing.log").read_text():
            raise NotReady("not deaf yet")

    async with kept(service(STUBBORN, ready=deaf, stop_seconds=0.2), tmp_path) as running:
        await running.until(lambda record: record.state == "ready")
        pid = running.pid
    assert not psutil.pid_exists(pid)


async def test_children_of_a_killed_process_do_not_stay(tmp_path: Path) -> None:
    async with kept(service(PARENT), tmp_path) as running:
        await running.until(lambda record: record.state == "ready")
        parent = psutil.Process(running.pid)
        await running.until(lambda _: bool(parent.children()))
        (child,) = parent.children()
        started_at = child.create_time()
        os.kill(running.pid, signal.SIGKILL)
        await running.until(lambda record: record.restarts == 1)
        assert not is_alive(child.pid, started_at)


async def test_leftovers_are_never_strangers(tmp_path: Path) -> None:
    child = await start_child(service(), tmp_path / "thing.log")
    record = ServiceRecord(name="thing", state="ready", address="", pid=child.pid, started_at=child.started_at)
    assert [process.pid for process in leftovers(record)] == [child.pid]
    # the same number at another time is somebody else
    earlier = record.model_copy(update={"started_at": child.started_at - 1000})
    assert leftovers(earlier) == []
    assert leftovers(record.model_copy(update={"pid": None})) == []
    await end_all(leftovers(record))
    assert leftovers(record) == []
    assert await child.wait() == "killed by SIGTERM"


SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from heddle_infra.local.child import start_child
from heddle_infra.local.service import Service

async def main():
    async def ready(): pass
    command = (sys.executable, "-c", "import time; time.sleep(600)")
    child = await start_child(Service("thing", "", command, {}, ready), Path(sys.argv[1]))
    print(child.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_a_child_dies_with_its_supervisor(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISOR, str(tmp_path / "thing.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        child = psutil.Process(int(supervisor.stdout.readline()))
        assert child.is_running()
        supervisor.kill()
    end = time.monotonic() + 20
    while still_runs(child):
        assert time.monotonic() < end, "the child outlived its supervisor"
        time.sleep(0.01)


def test_adopted_processes_are_reaped_at_the_second_look() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        end = time.monotonic() + 20
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < end
            time.sleep(0.01)
        ended = reap_orphans(set())
        assert process.pid in ended
        assert psutil.pid_exists(process.pid)
        assert process.pid not in reap_orphans({process.pid})
        assert not psutil.pid_exists(process.pid)


def test_ends_in_words() -> None:
    assert exit_in_words(0) == "exited with code 0"
    assert exit_in_words(3) == "exited with code 3"
    assert exit_in_words(-9) == "killed by SIGKILL"
    assert exit_in_words(-200) == "killed by signal 200"


async def test_probes_tell_an_answer_from_a_refusal() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).split()[1]
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" if path == b"/good" else b"HTTP/1.1 503 Busy\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await port_answers(port)
    await http_answers(port, "/good")
    with pytest.raises(NotReady, match="503"):
        await http_answers(port, "/bad")
    server.close()
    await server.wait_closed()
    with pytest.raises(OSError):
        await port_answers(port)
