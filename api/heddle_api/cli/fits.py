"""Commands that make adapters: fit, and what a fit would be worth."""

from enum import StrEnum
from typing import Annotated

import typer

from heddle_api.cli.connection import (
    DEFAULT_DATA_DIR,
    ApiKeyOption,
    AsJson,
    ControlUrl,
    DataDir,
    connected,
    out,
    show,
    table,
)
from heddle_api.cli.jobs import ended, watched
from heddle_api.client import EstimateInfo, HeddleClient


class CardKind(StrEnum):
    """How much of a card a fit makes."""

    full = "full"
    brief = "brief"


def fit(
    adapter: Annotated[str, typer.Argument(help="Name of the adapter; each fit makes its next version.")],
    data: Annotated[str, typer.Option(help="Labelled set: id or name.")],
    factors: Annotated[str | None, typer.Option(help="Factor set; the labelled set's own where none is given.")] = None,
    base: Annotated[str, typer.Option(help="Base: alias, id or name.")] = "default",
    wait: Annotated[bool, typer.Option(help="Wait until the fit is over.")] = True,
    approve: Annotated[
        bool, typer.Option("--approve", help="Serve the version at once unless its gate refuses it; waits for the fit.")
    ] = False,
    card: Annotated[
        CardKind, typer.Option(help="brief: a card without curves and pictures, for fleets of small fits.")
    ] = CardKind.full,
    priority: Annotated[int, typer.Option(min=-5, max=5, help="Which of your own jobs goes first.")] = 0,
    estimate: Annotated[bool, typer.Option("--estimate", help="Only say what it would cost and take.")] = False,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Fit an adapter to a labelled set. Exit code 1 if the fit fails, or its quality gate does.

    Example: `heddle fit avatars --data spring --approve`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        factor_set = factors or _factor_set_of(client, data)
        if estimate:
            told = client.estimate_job(
                adapter, factor_set=factor_set, dataset=data, base=base, card=card.value, priority=priority
            )
            show(told.document(), as_json, lambda: print_estimate(told))
            return
        job = client.fit(adapter, factor_set=factor_set, dataset=data, base=base, card=card.value, priority=priority)
        if wait or approve:
            job = watched(client, job.id, quiet=as_json)
        if approve and job.result is not None and job.status in ("succeeded", "awaiting_approval"):
            client.approve(adapter, job.result["version"], "approved by heddle fit --approve")
            served = f"{adapter}@{job.result['version']} is served as {adapter}@production."
            show(job.document(), as_json, lambda: out.print(served))
            return
    ended(job, as_json)


def preview(
    data: Annotated[str, typer.Argument(help="Labelled set: id or name.")],
    factors: Annotated[str | None, typer.Option(help="Factor set; the labelled set's own where none is given.")] = None,
    base: Annotated[str, typer.Option(help="Base: alias, id or name.")] = "default",
    count: Annotated[int, typer.Option(help="How many images to choose for labelling.")] = 10,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Say at once what a fit would be worth, and which images to label next. Stores nothing.

    Example: `heddle preview spring`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.preview_fit(data, factor_set=factors, base=base, count=count)

    def people() -> None:
        scores = [
            (one["name"], one["labels"], "-" if one["score"] is None else f"{one['score']:.2f} {one['measure']}")
            for one in found.factors
        ]
        table(("factor", "labels", "out of fold"), scores)
        table(("labelled images", "mean"), [(one["rows"], f"{one['score']:.2f}") for one in found.learning_curve])
        if not found.label_next:
            out.print("Every image that was encoded has its labels; upload more to have some chosen.")
            return
        table(
            ("label next", "for", "why"),
            [(one["file"], ", ".join(one["factors"]), one["sentence"]) for one in found.label_next],
        )

    show(found.document(), as_json, people)


def _factor_set_of(client: HeddleClient, dataset: str) -> str:
    found = client.dataset(dataset).document()["factor_set"]
    return f"{found['id']}@{found['version']}"


def print_estimate(told: EstimateInfo) -> None:
    """Say what a job would cost and take."""
    if told.seconds is not None:
        wait = "" if told.queue_wait_seconds is None else f" after a wait of {told.queue_wait_seconds:.1f} s"
        out.print(f"It would take {told.seconds:.1f} s{wait}.")
    rows = "" if told.rows is None else f" for {told.rows} images"
    out.print(f"It would be charged {told.cost_units:,.0f} units{rows}. {told.based_on['sentence']}")
