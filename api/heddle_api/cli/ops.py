"""Commands that run Heddle on this machine: `heddle up`, `heddle down`, `heddle status`."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from heddle_api.cli.connection import DEFAULT_DATA_DIR, AsJson, err, fail, out, tell
from heddle_api.cli.readiness import is_ready, wait_for_edge
from heddle_api.cli.steps import Step, Steps
from heddle_api.client import ApiError
from heddle_platform.errors import HeddleError

if TYPE_CHECKING:  # the embedded stack is part of the extra "local"
    from heddle_infra.local import ServiceRecord, StackInfo, StackStatus

NOT_READY: Final = 1
NO_STACK: Final = 3
_TITLES: Final = {
    "postgres": "database",
    "objects": "object store",
    "cache": "cache",
    "ray": "compute (Ray)",
    "dispatcher": "dispatcher",
    "control": "control plane",
    "edge": "edge",
}

DataDirectory = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="HEDDLE_DATA_DIR",
        help="Folder that holds everything this stack keeps: database, objects, keys, logs. One stack per folder.",
    ),
]
Detach = Annotated[
    bool, typer.Option("--detach", help="Return once all is ready and leave it running; end it with `heddle down`.")
]


def up(data_dir: DataDirectory = DEFAULT_DATA_DIR, detach: Detach = False, as_json: AsJson = False) -> None:
    """Start all of Heddle on this machine: database, object store, cache, Ray, dispatcher, control plane, edge.

    Everything listens on 127.0.0.1 only, on ports that stay the same from start to start. What a folder holds
    survives `heddle down`. Run it again while it runs, and it tells you where the running one is.

    To use a server of your own instead of an embedded one, set its address first: HEDDLE_DATABASE_URL,
    HEDDLE_S3_ENDPOINT_URL (with HEDDLE_S3_ACCESS_KEY and HEDDLE_S3_SECRET_KEY), HEDDLE_REDIS_URL, HEDDLE_RAY_ADDRESS.

    Example: `heddle up --detach --json` in a script; `heddle up` alone runs until Ctrl-C.
    """
    with _told_in_a_sentence():
        if detach or _describe(data_dir).running:
            _up_detached(data_dir, as_json)
        else:
            _up_here(data_dir, as_json)


def down(data_dir: DataDirectory = DEFAULT_DATA_DIR) -> None:
    """Stop the stack of a folder, in order, and return when nothing of it runs any more. Its data stays.

    Example: `heddle down`
    """
    from heddle_infra.local import stop

    with _told_in_a_sentence():
        stopped = stop(data_dir)
    out.print(f"The stack on {escape(str(data_dir))} " + ("is stopped." if stopped else "was not running."))


def status(data_dir: DataDirectory = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Tell what runs, where, how it is, and what memory it takes.

    Exit code 0: all is ready; 1: something is not; 3: there is no stack in this folder.
    Memory is proportional: what processes share is divided between them.

    Example: `heddle status --json`
    """
    with _told_in_a_sentence():
        found = _describe(data_dir)
        answers = {part.name: is_ready(part.address) for part in found.processes if part.name in ("control", "edge")}
    ready = found.ready and all(answers.values())
    if as_json:
        typer.echo(json.dumps({**found.model_dump(mode="json"), "ready": ready, "readyz": answers}))
    else:
        _show(found, answers)
    if not found.running:
        raise typer.Exit(NO_STACK)
    if not ready:
        raise typer.Exit(NOT_READY)


def _up_here(data_dir: Path, as_json: bool) -> None:
    from heddle_infra.local import StackConfig, run_stack
    from heddle_infra.local.config import stack_paths
    from heddle_infra.local.logs import log_into

    log_into(stack_paths(data_dir).log("supervisor"))
    with contextlib.ExitStack() as display:
        board = _Board(display.enter_context(Steps(out))) if not as_json else None

        async def on_ready(info: "StackInfo") -> None:
            await asyncio.to_thread(_make_useful, info, board)
            display.close()
            _announce(info, as_json, "Stop it with Ctrl-C.")

        asyncio.run(run_stack(StackConfig(data_dir), on_ready=on_ready, on_progress=board.follow if board else None))
    if not as_json:
        out.print("Stopped; nothing is left running.")


def _up_detached(data_dir: Path, as_json: bool) -> None:
    from heddle_infra.local import StackConfig, start_detached, stop

    was_running = _describe(data_dir).running
    with contextlib.ExitStack() as display:
        board = _Board(display.enter_context(Steps(out))) if not as_json else None
        try:
            info = start_detached(StackConfig(data_dir), on_progress=board.follow if board else None)
            _make_useful(info, board)
        except BaseException:  # Ctrl-C, too: what did not come up as a whole does not stay
            if not was_running:
                stop(data_dir)
            raise
    _announce(info, as_json, f"Stop it with: heddle down --data-dir {info.data_dir}")


def _make_useful(info: "StackInfo", board: "_Board | None") -> None:
    """Publish the packaged base and wait until the edge serves it."""
    from heddle_api.cli.publish import publish_default_base

    with board.step("default base") if board else contextlib.nullcontext():
        publish_default_base(info.control_url, info.admin_key)
    with board.step("edge serves it") if board else contextlib.nullcontext():
        wait_for_edge(info)


class _Board:
    """The list of parts on the terminal, each ticked off when it is ready."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._open: dict[str, tuple[contextlib.AbstractContextManager[Step], Step]] = {}
        self._done: set[str] = set()

    def step(self, title: str) -> contextlib.AbstractContextManager[Step]:
        """Show one more step while a block runs."""
        return self._steps.step(title)

    def follow(self, service: "ServiceRecord") -> None:
        """Bring a part's line up to date; once it was ready, only its deaths are worth a line."""
        name = service.name
        if name in self._done:
            if service.state == "crashed":
                err.print(f"[yellow]{name}[/] was ended ({service.last_exit}); it is started again")
            return
        if name not in self._open:
            shown = self.step(_TITLES.get(name, name))
            self._open[name] = shown, shown.__enter__()
        line, step = self._open[name]
        step.say(service.last_exit or "" if service.state == "crashed" else service.state)
        if service.state in ("ready", "external"):
            step.say("" if service.state == "ready" else f"yours, at {service.address}")
            line.__exit__(None, None, None)
            self._done.add(name)


def _announce(info: "StackInfo", as_json: bool, how_to_stop: str) -> None:
    if as_json:
        typer.echo(info.model_dump_json())
        return
    out.print(
        f"\n[bold]Heddle is ready.[/]\n"
        f"  studio     {info.studio_url}\n"
        f"  control    {info.control_url}\n"
        f"  edge       {info.edge_url}\n"
        f"  admin key  in {escape(info.data_dir)}/secrets.json\n"
        f"  logs       in {escape(info.data_dir)}/logs\n"
        f"{escape(how_to_stop)}"
    )


def _show(found: "StackStatus", answers: dict[str, bool]) -> None:
    if not found.running:
        out.print(f"No stack runs on {escape(found.data_dir)}; start one with `heddle up`.")
        if found.failure:
            out.print(f"[red]The last start failed:[/] {escape(found.failure)}")
        return
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("part", "state", "pid", "memory", "up for", "restarts"):
        grid.add_column(column, no_wrap=True)
    grid.add_column("where", overflow="fold")
    for part in found.processes:
        state = part.state if answers.get(part.name, True) else "not ready"
        restarts = str(part.restarts) if part.restarts else ""
        grid.add_row(
            part.name,
            f"[{'green' if state in ('ready', 'external') else 'red'}]{state}[/]",
            str(part.pid or ""),
            f"{part.memory_bytes / 1e6:.0f} MB",
            _duration(part.uptime_seconds),
            restarts,
            escape(part.address),
        )
    out.print(grid)
    for part in found.processes:
        if part.last_exit is not None:
            out.print(f"[yellow]{part.name}[/] last ended: {escape(part.last_exit)}")
    out.print(f"\nMemory in all: {found.memory_bytes / 1e6:.0f} MB. Data and logs: {escape(found.data_dir)}")


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _describe(data_dir: Path) -> "StackStatus":
    from heddle_infra.local import describe

    return describe(data_dir)


@contextlib.contextmanager
def _told_in_a_sentence() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        fail(f"the package {error.name} is missing; install what the local stack needs: pip install 'heddle[local]'")
    except KeyboardInterrupt:
        fail("interrupted; nothing is left running")
    except ApiError as error:
        tell(error)
        raise typer.Exit(1) from None
    except (HeddleError, OSError) as error:
        fail(str(error))


COMMANDS: Final[tuple[Callable[..., None], ...]] = (up, down, status)
