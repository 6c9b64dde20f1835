"""What every tenant command shares: where the planes are, which key is used, and how failures are told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from heddle_api.client import ApiError, HeddleClient
from heddle_platform.errors import HeddleError

DEFAULT_DATA_DIR: Final = Path(".heddle")
_WIDE: Final = 2_000
_LOCAL_CONTROL: Final = "http://127.0.0.1:8000"

ControlUrl = Annotated[
    str | None,
    typer.Option(
        envvar="HEDDLE_CONTROL_URL",
        help="Address of the control plane. Without it: the stack that `heddle up` started in --data-dir.",
        show_envvar=True,
        rich_help_panel="Connection",
    ),
]
ApiKeyOption = Annotated[
    str | None,
    typer.Option(
        envvar="HEDDLE_API_KEY",
        help="API key of your tenant, as `heddle tenant create` showed it. Prefer the variable: options end up in "
        "the shell's history.",
        rich_help_panel="Connection",
    ),
]
AdminKey = Annotated[
    str | None,
    typer.Option(
        envvar="HEDDLE_ADMIN_KEY",
        help="An operator's key. Without it: that of the stack in --data-dir.",
        rich_help_panel="Connection",
    ),
]
EdgeUrl = Annotated[
    str | None,
    typer.Option(
        envvar="HEDDLE_EDGE_URL",
        help="Address of the edge, for edits. Without it: where the control plane says.",
        rich_help_panel="Connection",
    ),
]
DataDir = Annotated[
    Path,
    typer.Option(envvar="HEDDLE_DATA_DIR", help="Folder of a stack on this machine.", rich_help_panel="Connection"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only, for programs.")]

out = Console(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)


@dataclass(frozen=True)
class Place:
    """Where to connect to, and as whom."""

    control_url: str
    edge_url: str | None
    key: str | None


def find_place(control_url: str | None, key: str | None, edge_url: str | None, data_dir: Path) -> Place:
    """Decide where to connect to: what was given, else the stack of this machine, else the usual port."""
    settings = _stack_settings(data_dir)
    return Place(
        control_url or settings.get("HEDDLE_CONTROL_URL") or _LOCAL_CONTROL,
        # the stack's own edge belongs to the stack's own control plane only
        edge_url or (settings.get("HEDDLE_EDGE_URL") if control_url is None else None),
        key,
    )


def admin_key_of(data_dir: Path) -> str | None:
    """Return the operator's key of the stack of this machine, which its owner may read."""
    return _stack_settings(data_dir).get("HEDDLE_ADMIN_KEY")


def _stack_settings(data_dir: Path) -> dict[str, str]:
    try:
        from heddle_infra import local  # here: a client of a stack elsewhere has not installed the extra `local`
    except ModuleNotFoundError:
        return {}
    try:
        return local.stack_settings(data_dir)
    except local.StackFailed:
        return {}


@contextmanager
def connected(
    control_url: str | None,
    key: str | None,
    *,
    data_dir: Path = DEFAULT_DATA_DIR,
    edge_url: str | None = None,
    variable: str = "HEDDLE_API_KEY",
) -> Iterator[HeddleClient]:
    """Open a client for one command; a failure becomes one sentence on standard error and exit code 1.

    Args:
        control_url: as given; None looks for a stack of this machine.
        key: as given.
        data_dir: where that stack would be.
        edge_url: as given.
        variable: the variable to name when there is no key.
    """
    place = find_place(control_url, key, edge_url, data_dir)
    if place.key is None:
        fail(f"no API key: set {variable}, or give it as an option")
    try:
        with HeddleClient(place.control_url, place.edge_url, place.key) as client:
            yield client
    except ApiError as error:
        tell(error)
        raise typer.Exit(1) from None
    except (HeddleError, OSError) as error:
        fail(str(error))


@contextmanager
def connected_as_operator(
    control_url: str | None, admin_key: str | None, *, data_dir: Path = DEFAULT_DATA_DIR
) -> Iterator[HeddleClient]:
    """Open a client with an operator's key: the one given, else that of the stack of this machine."""
    key = admin_key or admin_key_of(data_dir)
    with connected(control_url, key, data_dir=data_dir, variable="HEDDLE_ADMIN_KEY") as client:
        yield client


def fail(sentence: str) -> NoReturn:
    """Print a sentence that says what to do, and leave with exit code 1."""
    err.print(f"[red]error:[/] {escape(sentence)}")
    raise typer.Exit(1)


def tell(error: ApiError) -> None:
    """Print what the platform refused: the sentence, then every single fault by its place."""
    err.print(f"[red]error:[/] {escape(error.detail)} [dim]({escape(error.code)})[/]")
    if len(error.errors) == 1 and str(error.errors[0].get("detail")) in error.detail:
        return
    for fault in error.errors[:20]:
        err.print(f"  {place_of(fault)}: {fault.get('detail', '')}", markup=False)
    if len(error.errors) > 20:
        err.print(f"  ... and {len(error.errors) - 20} more")


def place_of(fault: dict[str, Any]) -> str:
    """Name where a fault stands: row and column of labels.csv, else its pointer."""
    if fault.get("row") is not None:
        return f"labels.csv row {fault['row']}" + (f", column {fault['column']}" if fault.get("column") else "")
    return str(fault.get("pointer") or "/")


def show(document: Any, as_json: bool, otherwise: Callable[[], None]) -> None:
    """Print a document as JSON, or as people like it."""
    if as_json:
        out.print_json(data=document)
    else:
        otherwise()


def table(columns: tuple[str, ...], rows: list[tuple[Any, ...]], *, numbers: bool = False) -> None:
    """Print a table; a missing value is a dash; `numbers`: all but the first column stand to the right."""
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for place, column in enumerate(columns):
        grid.add_column(column, no_wrap=True, justify="right" if numbers and place else "left")
    for row in rows:
        grid.add_row(*("-" if cell is None else escape(str(cell)) for cell in row))
    # wider than any row: an id cut off with dots is of no use, and a terminal wraps by itself
    Console(highlight=False, soft_wrap=True, width=_WIDE).print(grid)
