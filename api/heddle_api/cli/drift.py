"""`heddle drift`: whether what adapters edit still looks like what they were fitted on."""

from typing import Annotated

import typer
from rich.markup import escape

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    ApiKeyOption,
    AsJson,
    ControlUrl,
    DataDir,
    connected,
    fail,
    out,
    show,
    table,
)
from heddle_api.cli.duration import seconds_of
from heddle_api.cli.jobs import ended, watched
from heddle_api.client.drift_info import DriftInfo


def drift(
    adapter: Annotated[
        str | None, typer.Argument(help="Only this adapter; avatars@3 names a version. Without it: all in production.")
    ] = None,
    since: Annotated[str, typer.Option("--from", help="How far to look back: 24h, 7d; 30d at most.")] = "7d",
    now: Annotated[
        bool, typer.Option("--now", help="Have a job look now, which tells webhooks; name an adapter with it.")
    ] = False,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Tell whether the images that adapters edit still look like those they were fitted on, and what to do.

    Example: `heddle drift avatars --from 24h`
    """
    seconds = seconds_of(since)
    if seconds is None:
        fail(f"{since!r} is no time to look back; write 24h or 7d")
    hours = max(1, round(seconds / 3600))
    with connected(control_url, api_key, data_dir=data_dir) as client:
        if now:
            if adapter is None:
                fail("--now looks at one adapter; name it: heddle drift avatars --now")
            job = watched(client, client.check_drift(adapter, window_hours=hours).id, quiet=as_json)
            if job.status != "succeeded" or job.result is None:
                ended(job, as_json)
                return
            result = DriftInfo.model_validate(job.result)
            show(job.document(), as_json, lambda: _print([result]))
            return
        found = client.drift(adapter=adapter, window_hours=hours)
    show([one.document() for one in found], as_json, lambda: _print(found))


def _print(found: list[DriftInfo]) -> None:
    if not found:
        out.print("No adapter is in production.")
        return
    table(("adapter", "verdict", "images", "outside", "shift", "levels"), [_row(one) for one in found])
    for one in found:
        if one.verdict in ("watch", "drifted"):
            out.print(f"\n{one.adapter}@{one.version}")
            for reason in one.reasons:
                out.print(f"  {escape(reason)}", soft_wrap=True)
            out.print(f"  {one.advice}", soft_wrap=True, markup=False)


def _row(one: DriftInfo) -> tuple[str | None, ...]:
    worst = max(one.levels, key=lambda levels: levels.index, default=None)
    return (
        f"{one.adapter}@{one.version}",
        one.verdict,
        f"{one.images:,}",
        None if one.outside is None else f"{one.outside.share:.1%}",
        None if one.shift is None else f"{one.shift.value:.2f}",
        None if worst is None else f"{worst.factor} {worst.index:.2f}",
    )
