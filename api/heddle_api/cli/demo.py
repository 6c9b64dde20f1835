"""`heddle demo`: a tenant's factors become sliders, start to end, on real servers and through the public API only."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from heddle_api.cli.connection import fail, tell
from heddle_api.cli.demo_images import FACTOR_SET, Avatars, render, renderers
from heddle_api.cli.demo_measures import Change, Latency, draw_changes, judge, read_edits, run_edits, wait_until_served
from heddle_api.cli.demo_picture import draw_strip
from heddle_api.cli.demo_report import EditFindings, Findings, Served, print_findings, write_figures
from heddle_api.cli.demo_stack import DemoStack
from heddle_api.cli.steps import Step, Steps
from heddle_api.client import ApiError, HeddleClient, JobInfo
from heddle_platform.errors import HeddleError

ADAPTER: Final = "avatars"
PRODUCTION: Final = f"{ADAPTER}@production"
HELD_OUT: Final = 240  # one uncached edit each: 40 per factor
_SHOWN: Final = 5  # rows of the before/after picture
_SEED: Final = 7
_FIT_DEADLINE_SECONDS: Final = 300.0


class DemoFailed(HeddleError):
    """The path broke; the sentence says where and what to do."""

    default_code = "demo_failed"


@dataclass
class Clock:
    """Seconds of each stretch of the demo, by name."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Note how long the block took."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - started


def demo(
    data_dir: Annotated[Path, typer.Option(help="Where the demo's stack keeps its data.")] = Path(".heddle/demo"),
    out: Annotated[Path, typer.Option(help="Where pictures, scorecard and figures go.")] = Path("demo-output"),
    images: Annotated[int, typer.Option(min=200, max=20_000, help="Labelled avatars to render and fit on.")] = 1_000,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running, to try the studio.")] = False,
) -> None:
    """Watch a tenant's factors become sliders: a real stack, labelled avatars, a fit, edits, and how good they are.

    Starts the stack (or takes the one that runs in DATA_DIR), then does what any customer would do, over HTTP.
    Needs no network, no account, nothing but this package. Takes about a minute.

    Example: `heddle demo --images 300 --out report`
    """
    console = Console()
    stack = DemoStack(data_dir)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # being told to end is Ctrl-C by another name
    try:
        findings = _run(console, stack, out, images)
        print_findings(console, findings)
        if keep or stack.was_running:
            console.print(
                f"The stack still runs: {stack.info.studio_url}\nStop it with: heddle down --data-dir {data_dir}",
                markup=False,
            )
    except KeyboardInterrupt:
        console.print("\nInterrupted.")
        raise typer.Exit(130) from None
    except ApiError as error:
        tell(error)
        raise typer.Exit(1) from None
    except HeddleError as error:
        fail(error.message)
    finally:
        if not keep:
            with console.status("Stopping the stack"):
                stack.stop()


def _run(console: Console, stack: DemoStack, out: Path, images: int) -> Findings:
    clock = Clock()
    out.mkdir(parents=True, exist_ok=True)
    with clock.measure("total"), Steps(console) as steps:
        labelled, held_out = _prepare(steps, clock, stack, images)
        info = stack.info
        with HeddleClient(info.control_url, api_key=info.admin_key) as operator:
            tenant = operator.create_tenant(f"demo {time.strftime('%Y-%m-%d %H:%M:%S')}")
        with HeddleClient(info.control_url, info.edge_url, tenant.api_key) as client:
            served = _fit(steps, clock, client, labelled)
            _approve(steps, clock, client, served, labelled.images[0])
            edits = _edit(steps, clock, client, served, held_out)
            files = _draw(steps, client, served, held_out, out)
        memory_bytes = stack.memory_bytes()
    findings = Findings(served, edits, clock.seconds, memory_bytes, files)
    write_figures(out / "demo.json", findings)
    return findings


def _prepare(steps: Steps, clock: Clock, stack: DemoStack, images: int) -> tuple[Avatars, Avatars]:
    """Start the stack and render, both at once: one waits for servers, the other computes."""

    def start() -> None:
        with clock.measure("stack_start"), steps.step("Starting the stack") as step:
            stack.start(step.say)

    with ThreadPoolExecutor(1) as beside, renderers() as pool:
        started = beside.submit(start)
        try:
            with clock.measure("render"), steps.step(f"Rendering {images:,} avatars") as step:

                def follow(done: int, of: int) -> None:
                    step.advance(done, of)
                    if started.done():
                        started.result()  # a stack that failed is told at once

                labelled, held_out = render(pool, images, HELD_OUT, follow)
                step.say(f"and {HELD_OUT} held out")
            started.result()
        except BaseException:
            stack.stop()  # ends a start under way, which the end of this block would wait for
            raise
    return labelled, held_out


def _fit(steps: Steps, clock: Clock, client: HeddleClient, labelled: Avatars) -> Served:
    with steps.step("Registering the factors") as step:
        client.register_factor_set(labelled.factor_set())
        step.say(", ".join(labelled.levels))
    with clock.measure("upload"), steps.step("Uploading the labelled set") as step:
        archive = labelled.archive()
        dataset = client.upload_dataset("demo", archive, factor_set=FACTOR_SET, on_progress=step.advance)
        step.say(f"{len(archive) / 1e6:.1f} MB through presigned addresses")
    with clock.measure("validate"), steps.step("Checking every row and image") as step:
        checked = client.wait_for_dataset(dataset.id)
        if checked.status != "ready":
            fault = client.validation(dataset.id)["errors"][0]["detail"]
            raise DemoFailed(f"the labelled set was rejected with {checked.fault_count} fault(s), the first: {fault}")
        step.say(f"{checked.images:,} images ready")
    with clock.measure("fit_to_card"), steps.step("Fitting on Ray") as step:
        job = _wait_for_fit(step, client, dataset.id)
    return _served(client, job)


def _wait_for_fit(step: Step, client: HeddleClient, dataset: str) -> JobInfo:
    def follow(job: JobInfo) -> None:
        step.advance(job.progress, 1.0)
        step.say((job.stage or job.status).replace("_", " "))

    queued = client.fit(ADAPTER, factor_set=FACTOR_SET, dataset=dataset)
    job = client.wait_for_job(queued.id, on_progress=follow, timeout_seconds=_FIT_DEADLINE_SECONDS)
    if job.status not in ("succeeded", "awaiting_approval"):
        why = (job.error or {}).get("message", "no reason was given")
        raise DemoFailed(f"the fit ended {job.status}: {why}; read GET /v1/jobs/{job.id}/events")
    return job


def _served(client: HeddleClient, job: JobInfo) -> Served:
    result = job.result or {}
    version = client.version(ADAPTER, result["version"])
    return Served(
        adapter=ADAPTER,
        version=version.version,
        status=job.status,
        verdict=version.verdict,
        factors=version.document()["gate"]["factors"],
        card=client.card(ADAPTER, version.version),
    )


def _approve(steps: Steps, clock: Clock, client: HeddleClient, served: Served, image: bytes) -> None:
    with steps.step("Approving, moving production") as step:
        passed = len(served.editable)
        client.approve(ADAPTER, served.version, "approved by heddle demo")
        with clock.measure("approval_to_served"):
            wait_until_served(client, image, PRODUCTION)
        moved = client.adapter(ADAPTER).aliases.get("production")
        if moved != served.version:
            raise DemoFailed(f"production points at version {moved}, version {served.version} was approved")
        step.say(f"{passed} of {len(served.factors)} factors passed the gate")


def _edit(steps: Steps, clock: Clock, client: HeddleClient, served: Served, held_out: Avatars) -> EditFindings:
    """Edit every held-out picture once, the same again, then read originals and results."""
    changes = draw_changes(held_out, served.editable, _SEED)
    with clock.measure("edits"), steps.step("Editing pictures it never saw") as step:
        first = run_edits(client, held_out, changes, PRODUCTION, step.advance)
        step.say(f"{len(first)} edits")
    with clock.measure("edits_again"), steps.step("The same edits again") as step:
        again = run_edits(client, held_out, changes, PRODUCTION, step.advance)
        step.say(f"{sum(each.cache == 'hit' for each in again)} of {len(again)} from the cache")
    with clock.measure("readings"), steps.step("Reading before and after") as step:
        readings = read_edits(client, held_out, changes, first, PRODUCTION, step.advance)
        step.say(f"{len(readings.before) + len(readings.after)} pictures")
    return EditFindings(
        factors=judge(held_out, changes, readings),
        images=len(held_out.images),
        uncached=Latency.of([each for each in first if each.cache == "miss"]),
        cached=Latency.of([each for each in again if each.cache == "hit"]),
        cache_states={
            "first": dict(Counter(each.cache for each in first)),
            "again": dict(Counter(each.cache for each in again)),
        },
    )


def _draw(steps: Steps, client: HeddleClient, served: Served, held_out: Avatars, out: Path) -> dict[str, str]:
    """Draw the before/after picture (the first held-out avatars, not the best) and fetch the scorecard page."""
    files = {"before_after": out / "before_after.png", "scorecard": out / "card.html", "figures": out / "demo.json"}
    with steps.step("Drawing before and after"):
        originals = held_out.images[:_SHOWN]
        edits = [
            [_one_edit(client, held_out, row, factor, place) for place, factor in enumerate(served.editable)]
            for row in range(len(originals))
        ]
        draw_strip(files["before_after"], originals, edits, served.editable)
        files["scorecard"].write_text(client.card_page(ADAPTER, served.version))
    return {name: str(path) for name, path in files.items()}


def _one_edit(client: HeddleClient, held_out: Avatars, row: int, factor: str, place: int) -> tuple[str, bytes]:
    others = [level for level in held_out.levels[factor] if level != held_out.labels[row][factor]]
    change = Change(row, factor, others[(row + place) % len(others)])
    return change.level, client.edit(held_out.images[row], change.edit(PRODUCTION)).image
