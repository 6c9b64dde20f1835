"""How long a cancellation takes, in every state a job can be in: to its final state, and to the end of its task's work.

    python -m tests.bench.cancel [--times 3] [--small]

Timed from the call of POST /v1/jobs/{id}/cancel: until GET of the job says cancelled, and until no Ray worker has the
task's name any more (a worker bears it while it runs one). Bar: two seconds in any state. Jobs get into their state as
they do in production: fits behind others, sets not encoded yet, workers that are killed.
"""

import argparse
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import psutil

from heddle_infra.database.queue import RETRY_STAGE
from heddle_infra.local.status import stack_processes
from heddle_platform.digest import sha256_hex
from tests.bench.stage import Pictures, Stage, archive_of, draw, post_fit, stage

_ROWS = 400
_WAIT_SECONDS = 120.0
_NEVER = 30.0
_BAR = 2.0


class Doubted(Pictures):
    """The same pictures under a bar that 400 of them reach and cannot prove: a fit awaits approval."""

    @property
    def factor_set(self) -> dict[str, Any]:
        plain = super().factor_set
        factors = [{**factor, "accept": {"accuracy": 0.99}} for factor in plain["factors"]]
        return {**plain, "factors": factors}


@dataclass(frozen=True)
class Took:
    """Seconds from the call to the job's end and to the end of its task's work, thirty at most; how the job ended."""

    told: float
    quiet: float
    status: str


class Canceller:
    """One tenant's client, and the stack's workers."""

    def __init__(self, running: Stage, client: httpx.Client) -> None:
        self._running = running
        self.client = client

    def job(self, job_id: str) -> dict[str, Any]:
        """Read a job."""
        answer = self.client.get(f"/v1/jobs/{job_id}")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def until(self, job_id: str, reached: Callable[[dict[str, Any]], bool]) -> bool:
        """Wait for a state; tell whether the job ended before it was seen in it."""
        end = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < end:
            job = self.job(job_id)
            if reached(job):
                return True
            if job["finished_at"] is not None:
                return False
            time.sleep(0.005)
        raise TimeoutError(f"{job_id} is {job['status']}, {job['stage']}")

    def cancel(self, job_id: str) -> Took:
        """Cancel, and time what follows."""
        workers = self._workers()
        start = time.monotonic()
        self.client.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
        told = quiet = None
        while (told is None or quiet is None) and time.monotonic() - start < _NEVER:
            if told is None and self.job(job_id)["status"] == "cancelled":
                told = time.monotonic() - start
            if quiet is None and not any(map(_works, workers)):
                quiet = time.monotonic() - start
            time.sleep(0.01)
        status = str(self.job(job_id)["status"])
        return Took(_NEVER if told is None else told, _NEVER if quiet is None else quiet, status)

    def cancel_quietly(self, job_ids: Sequence[str]) -> None:
        """Cancel what is left over, and wait until nothing works."""
        for job_id in job_ids:
            self.client.post(f"/v1/jobs/{job_id}/cancel")
        while any(map(_works, self._workers())):
            time.sleep(0.05)

    def kill_worker(self) -> None:
        """Kill the worker that runs a task."""
        while not (busy := [worker for worker in self._workers() if _works(worker)]):
            time.sleep(0.02)
        busy[0].kill()

    def _workers(self) -> list[psutil.Process]:
        found = []
        for process in stack_processes(self._running.stack.data_dir):
            with contextlib.suppress(psutil.Error):
                if process.name().startswith("ray::"):
                    found.append(process)
        return found


def _in_stage(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda job: job["stage"] == name


def _works(worker: psutil.Process) -> bool:
    try:
        return "ray::heddle" in " ".join(worker.cmdline())
    except psutil.Error:
        return False


def line(name: str, took: Sequence[Took]) -> None:
    """Print what one state took."""
    if not took:
        print(f"{name:<34}{'none was caught in it':>30}", flush=True)
        return
    told, quiet = (np.array([getattr(each, which) for each in took]) for which in ("told", "quiet"))
    statuses = ",".join(sorted({each.status for each in took}))
    late = "   over the bar" if max(told.max(), quiet.max()) > _BAR else ""
    print(
        f"{name:<34}{len(took):>6}{np.median(told):>10.2f}{told.max():>8.2f}{np.median(quiet):>12.2f}{quiet.max():>8.2f}"
        f"   {statuses}{late}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="once each")
    asked = parser.parse_args()
    times = 1 if asked.small else asked.times
    pictures, random = draw(_ROWS + 100), np.random.default_rng(0)

    def parts(count: int) -> list[np.ndarray[tuple[int], np.dtype[np.intp]]]:
        return [np.sort(random.permutation(len(pictures.images))[:_ROWS]) for _ in range(count)]

    with stage() as running:
        tenant, doubter = running.tenant(), running.tenant("doubter")
        encoded = running.ready_sets(tenant, pictures, parts(1), encoded=True, zipped=True)[0]
        plain = running.ready_sets(tenant, pictures, parts(2 * times), encoded=False, zipped=True)
        doubted = Doubted(pictures.images, pictures.levels, pictures.labels, pictures.factors, pictures.latents_NL)
        unproven = running.ready_sets(doubter, doubted, parts(1), encoded=True, zipped=True)[0]
        with running.client(tenant) as client, running.client(doubter) as doubting:
            own, others = Canceller(running, client), Canceller(running, doubting)
            own.until(post_fit(client, encoded, "warm"), lambda job: job["finished_at"] is not None)
            print(f"{'cancelled':<34}{'times':>6}{'told s':>10}{'worst':>8}{'quiet s':>12}{'worst':>8}")

            def each(name: str, dataset: Callable[[int], str], card: str, reached: Callable[[Any], bool]) -> None:
                found = []
                for place in range(times):
                    job_id = post_fit(client, dataset(place), f"a-{name.replace(' ', '-')}", card)
                    if own.until(job_id, reached):
                        found.append(own.cancel(job_id))
                    own.cancel_quietly([job_id])
                line(name, found)

            each("as soon as it is leased", lambda _: encoded, "full", lambda job: job["status"] == "running")
            each("encoding", lambda place: plain[place], "full", _in_stage("encoding"))
            for stage_name in ("fitting", "scoring", "exporting"):
                each(stage_name, lambda _: encoded, "full", _in_stage(stage_name))
            each("in a chunk", lambda _: encoded, "brief", lambda job: job["status"] in ("running", "scoring"))

            waiting = []
            for place in range(times):
                ahead = [post_fit(client, encoded, f"ahead-{index}") for index in range(12)]
                last = post_fit(client, encoded, f"queued-{place}")
                if own.job(last)["status"] == "queued":
                    waiting.append(own.cancel(last))
                own.cancel_quietly(ahead)
            line("queued (others run on)", [Took(each.told, 0.0, each.status) for each in waiting])

            retried = []
            for place in range(times):
                job_id = post_fit(client, plain[times + place], f"retried-{place}")
                own.kill_worker()
                if own.until(job_id, _in_stage(RETRY_STAGE)):
                    retried.append(own.cancel(job_id))
                own.cancel_quietly([job_id])
            line("waiting for a retry", retried)

            approvals = []
            for place in range(times):
                job_id = post_fit(doubting, unproven, f"doubted-{place}")
                if others.until(job_id, lambda job: job["status"] == "awaiting_approval"):
                    approvals.append(others.cancel(job_id))
            line("awaiting approval", approvals)

            validating = []
            for place in range(times):
                rows = parts(1)[0]
                job_id = _fit_on_a_fresh_upload(client, archive_of(pictures, rows), f"fresh-{place}")
                if own.job(job_id)["status"] == "validating":
                    validating.append(own.cancel(job_id))
            line("waiting for its set's validation", [Took(each.told, 0.0, each.status) for each in validating])


def _fit_on_a_fresh_upload(client: httpx.Client, archive: bytes, name: str) -> str:
    wanted = {"filename": "set.zip", "bytes": len(archive), "sha256": sha256_hex(archive)}
    upload = client.post("/v1/uploads", json=wanted).raise_for_status().json()
    size = -(-len(archive) // len(upload["parts"]))
    sent = []
    for place, part in enumerate(upload["parts"]):
        data = archive[place * size : (place + 1) * size]
        put = httpx.put(part["url"], content=data, headers=part["headers"]).raise_for_status()
        sent.append({"number": part["number"], "etag": put.headers["etag"]})
    client.post(f"/v1/uploads/{upload['id']}/complete", json={"parts": sent}).raise_for_status()
    named = {"name": name, "factor_set": "avatars", "upload": upload["id"]}
    dataset = client.post("/v1/datasets", json=named).raise_for_status().json()
    return post_fit(client, dataset["id"], name)


if __name__ == "__main__":
    main()
