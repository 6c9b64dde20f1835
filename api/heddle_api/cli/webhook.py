"""Commands of webhooks: where events are sent, what was sent there, and sending it again."""

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
from heddle_platform.webhook_records import WEBHOOK_EVENTS

webhook_app = typer.Typer(
    no_args_is_help=True, help="Webhooks: events POSTed to your own address, signed as Standard Webhooks say."
)
EndpointId = Annotated[str, typer.Argument(help="As `heddle webhook list` shows it: whe_...")]


@webhook_app.command("add")
def add(
    url: Annotated[str, typer.Argument(help="Where events are sent: https, reachable from the internet.")],
    event: Annotated[
        list[str] | None, typer.Option(help=f"Which events; repeat it. All by default: {', '.join(WEBHOOK_EVENTS)}.")
    ] = None,
    description: Annotated[str, typer.Option(help="For people.")] = "",
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Register an endpoint and show its secret, this once.

    Example: `heddle webhook add https://example.com/hooks --event job.succeeded --event job.failed`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        made = client.add_webhook(url, event, description)
    show(
        made,
        as_json,
        lambda: out.print(
            f"Endpoint [bold]{made['id']}[/] is told of: {', '.join(made['events'])}.\n"
            f"Its secret is shown this once; check webhook-signature with it:\n\n  {made['secret']}\n"
        ),
    )


@webhook_app.command("list")
def list_endpoints(
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List your tenant's endpoints: whether they are enabled, and if not, why.

    Example: `heddle webhook list`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.webhooks()
    rows = [(one["id"], one["status"], one["url"], ",".join(one["events"]), one["disabled_reason"]) for one in found]
    show(found, as_json, lambda: table(("id", "status", "url", "events", "reason"), rows))


@webhook_app.command("remove")
def remove(
    endpoint: EndpointId,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Delete an endpoint with all it was or would be sent.

    Example: `heddle webhook remove whe_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        client.remove_webhook(endpoint)
    show({"id": endpoint, "removed": True}, as_json, lambda: out.print(f"Endpoint {endpoint} is gone."))


@webhook_app.command("enable")
def enable(
    endpoint: EndpointId,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Switch an endpoint on again that failed for too long.

    Example: `heddle webhook enable whe_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        changed = client.change_webhook(endpoint, status="enabled")
    show(changed, as_json, lambda: out.print(f"Endpoint {endpoint} is enabled; what was given up can be redelivered."))


@webhook_app.command("rotate")
def rotate(
    endpoint: EndpointId,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Give an endpoint another secret and show it, this once; the old one stays valid for a day.

    Example: `heddle webhook rotate whe_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        rotated = client.rotate_webhook(endpoint)
    until = rotated["previous_secret_until"]
    show(
        rotated,
        as_json,
        lambda: out.print(
            f"The new secret, shown this once (the old one signs as well until {until}):\n\n  {rotated['secret']}\n"
        ),
    )


@webhook_app.command("deliveries")
def deliveries(
    endpoint: EndpointId,
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List what was or will be sent to an endpoint, newest first.

    Example: `heddle webhook deliveries whe_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        found = client.deliveries(endpoint)
    rows = [
        (one["id"], one["event"], one["status"], one["attempts"], one["created_at"], one["reason"]) for one in found
    ]
    show(found, as_json, lambda: table(("id", "event", "status", "attempts", "created", "reason"), rows))


@webhook_app.command("redeliver")
def redeliver(
    endpoint: EndpointId,
    delivery: Annotated[str, typer.Argument(help="As `heddle webhook deliveries` shows it: dlv_...")],
    control_url: ControlUrl = None,
    api_key: ApiKeyOption = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Send an event once more, whatever came of it before.

    Example: `heddle webhook redeliver whe_01jd8x4s5n7k2m3p4q5r6s7t8v dlv_01jd8x4s5n7k2m3p4q5r6s7t8v`
    """
    with connected(control_url, api_key, data_dir=data_dir) as client:
        queued = client.redeliver(endpoint, delivery)
    show(queued, as_json, lambda: out.print(f"{queued['event']} is sent again; see `heddle webhook deliveries`."))
