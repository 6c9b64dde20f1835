"""`heddle usage`: what was counted, hour by hour."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    AdminKey,
    ApiKeyOption,
    AsJson,
    ControlUrl,
    DataDir,
    connected,
    connected_as_operator,
    fail,
    out,
    show,
    table,
)
from heddle_api.cli.duration import seconds_of
from heddle_platform.usage import METRICS

_LEVELS: Final = frozenset({"bytes_stored"})  # a level and no flow: of several hours the highest, not the sum


def usage(
    tenant: Annotated[
        str | None, typer.Option(help="A tenant's id, for operators. Without it: the tenant of your key.")
    ] = None,
    since: Annotated[
        str, typer.Option("--from", help="First moment: 2026-11-24T00:00:00Z, or how long ago: 24h, 7d.")
    ] = "24h",
    until: Annotated[str | None, typer.Option("--to", help="Moment before which to stop; as --from.")] = None,
    by_day: Annotated[bool, typer.Option("--by-day", help="One row a day (UTC) instead of one an hour.")] = False,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    admin_key: AdminKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show what was counted by the hour: requests, edits, encoded images, fitted rows, jobs, bytes.

    Hours in which nothing was counted are left out. The last few seconds may still be missing.

    Example: `heddle usage --from 7d --by-day`
    """
    start, end = _moment(since), None if until is None else _moment(until)
    if tenant is None:
        with connected(control_url, api_key, data_dir=data_dir) as client:
            found = client.usage(since=start, until=end)
    else:
        with connected_as_operator(control_url, admin_key, data_dir=data_dir) as client:
            found = client.usage(tenant, since=start, until=end)
    show(found, as_json, lambda: _print(found, by_day))


def _moment(text: str) -> str:
    seconds = seconds_of(text)
    if seconds is not None:
        return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text!r} is no moment; write 2026-11-24T00:00:00Z, or how long ago, such as 24h or 7d")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _print(found: list[dict[str, Any]], by_day: bool) -> None:
    if not found:
        out.print("Nothing was counted in this time.")
        return
    rows: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    total: dict[str, int] = defaultdict(int)
    for hour in found:
        start = datetime.fromisoformat(hour["hour"])
        name = start.strftime("%Y-%m-%d") if by_day else start.strftime("%Y-%m-%d %H:00")
        for metric, amount in hour["amounts"].items():
            for sums in (rows[name], total):
                sums[metric] = max(sums[metric], amount) if metric in _LEVELS else sums[metric] + amount
    lines = [(name, *_cells(sums)) for name, sums in rows.items()]
    if len(lines) > 1:
        lines.append(("total", *_cells(total)))
    table(("UTC", *(metric.replace("_", " ") for metric in METRICS)), lines, numbers=True)


def _cells(sums: dict[str, int]) -> list[str]:
    return [f"{sums[metric]:,}" for metric in METRICS]
