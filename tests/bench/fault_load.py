"""The load under faults: tenants with small real labelled sets, and fits queued once each, however often sent."""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from heddle_platform.base import rendered
from tests.conftest import RunningStack
from tests.e2e.wire import LabelledImages, Wire

# easily told apart even from few images, so that the gate lets every fit pass
FACTORS: Final = ("background", "skin")
IMAGES: Final = 600
ROWS: Final = 160
_RETRY_SECONDS: Final = 0.3
_PATIENCE_SECONDS: Final = 180.0
FINAL: Final = frozenset({"succeeded", "awaiting_approval", "failed", "cancelled"})


@dataclass(frozen=True)
class Fit:
    """A fit that was accepted: whose, of which set, for which adapter (one fit each), under which id."""

    tenant: Wire
    adapter: str
    job_id: str


def draw() -> LabelledImages:
    """Render avatars with two factors."""
    made = rendered.labelled_set(style="micah", n=IMAGES, seed=20261122)
    kept = [made.factors.index(name) for name in FACTORS]
    factors = [{"name": made.factors[f], "kind": "categorical", "levels": list(made.levels[f])} for f in kept]
    labels = [{made.factors[f]: made.levels[f][row[f]] for f in kept} for row in made.labels]
    return LabelledImages(tuple(made.images), tuple(labels), {"name": "avatars", "factors": factors})


def tenants_with_sets(stack: RunningStack, images: LabelledImages, count: int, seed: int) -> list[tuple[Wire, str]]:
    """Make tenants, each with a labelled set of its own, sent and validated as any other."""
    made: list[tuple[Wire, str]] = []
    for place in range(count):
        answer = httpx.post(
            f"{stack.control_url}/v1/admin/tenants",
            json={"name": f"tenant {place}"},
            headers={"Authorization": f"Bearer {stack.admin_key}"},
            timeout=30,
        )
        answer.raise_for_status()
        wire = Wire(stack.control_url, stack.edge_url, answer.json())
        rows = sorted(random.Random(f"{seed} {place}").sample(range(IMAGES), ROWS))
        found = wire.dataset(images.archive(rows), images.factor_set)
        if found["status"] != "ready":
            raise RuntimeError(f"the set of tenant {place} is {found['status']}")
        made.append((wire, str(found["id"])))
    return made


def queue_fits(tenants: Sequence[tuple[Wire, str]], count: int, seed: int) -> list[Fit]:
    """Queue fits, tenant after tenant in turn; planes may be away meanwhile."""
    fits = []
    for number in range(count):
        wire, dataset = tenants[number % len(tenants)]
        adapter = f"fit_{number}"
        body = {"type": "fit", "adapter": adapter, "factor_set": "avatars", "dataset": dataset, "base": "default"}
        answer = insist(wire, "POST", "/v1/jobs", json=body, headers={"Idempotency-Key": f"fault-{seed}-{number}"})
        fits.append(Fit(wire, adapter, answer["id"]))
    return fits


def insist(wire: Wire, method: str, path: str, **arguments: Any) -> Any:
    """Ask until answered, as a client does whose server restarts: 409 (in flight), 429 and 5xx are tried again.

    Raises:
        RuntimeError: it was refused, or not answered in time.
    """
    end, why = time.monotonic() + _PATIENCE_SECONDS, "no answer"
    while time.monotonic() < end:
        try:
            answer = wire.control.request(method, path, **arguments)
        except httpx.TransportError as error:
            why = repr(error)
        else:
            if answer.is_success:
                return answer.json()
            why = f"{answer.status_code} {answer.text[:300]}"
            in_flight = answer.status_code == 409 and answer.json().get("code") == "idempotency_in_flight"
            if answer.status_code < 500 and answer.status_code != 429 and not in_flight:
                break
        time.sleep(_RETRY_SECONDS)
    raise RuntimeError(f"{method} {path}: {why}")


@dataclass(frozen=True)
class Tally:
    """What became of the fits, seen from outside: by the API, as their tenants see it."""

    statuses: Mapping[str, int]
    twice: tuple[str, ...]
    lost: tuple[str, ...]
    attempts: int
    seconds: float


def wait(fits: Sequence[Fit], seconds: float) -> dict[str, dict[str, Any]]:
    """Return the jobs once all are over, or as they are after `seconds`."""
    end = time.monotonic() + seconds
    found: dict[str, dict[str, Any]] = {}
    left = list(fits)
    while left and time.monotonic() < end:
        for fit in left[:]:
            job = insist(fit.tenant, "GET", f"/v1/jobs/{fit.job_id}")
            found[fit.job_id] = job
            if job["status"] not in FINAL:
                break  # the order is about that of the queue: the rest is hardly further
            left.remove(fit)
        else:
            continue
        left = left[1:] + left[:1]
        time.sleep(0.2)
    return found


def tally(fits: Sequence[Fit], found: Mapping[str, dict[str, Any]], seconds: float) -> Tally:
    """Approve what waits for approval, and count."""
    statuses: dict[str, int] = {}
    twice, lost = [], []
    attempts = 0
    for fit in fits:
        job = found.get(fit.job_id, {"status": "unknown", "attempt": 0})
        versions: list[dict[str, Any]] = []
        if job["status"] in ("succeeded", "awaiting_approval"):
            versions = insist(fit.tenant, "GET", f"/v1/adapters/{fit.adapter}/versions")["data"]
            if job["status"] == "awaiting_approval":
                decision = {"decision": "approve", "comment": "under faults"}
                insist(fit.tenant, "POST", f"/v1/adapters/{fit.adapter}/versions/1/approvals", json=decision)
                job = insist(fit.tenant, "GET", f"/v1/jobs/{fit.job_id}")
        statuses[job["status"]] = statuses.get(job["status"], 0) + 1
        attempts += job["attempt"]
        if len(versions) > 1:
            twice.append(fit.job_id)
        if len(versions) < 1:
            lost.append(f"{fit.job_id} {job['status']} {job.get('error')}")
    return Tally(statuses, tuple(twice), tuple(lost), attempts, seconds)
