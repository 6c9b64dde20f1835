"""Faults: processes of a running stack are killed and cut off from a seed while many tenants' fits run.

    python -m tests.bench.faults --seed 7 --kills 200 --fits 500 --tenants 20

At the end every fit must have succeeded, once, and the reconciler must find rows and objects in agreement. What the
reconciler is allowed to find before repair are objects of attempts that died; after it, nothing. Exit code 1 else.
"""

import argparse
import asyncio
import json
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from heddle_infra import local
from heddle_infra.database.engine import Database
from heddle_infra.reconcile import Reconciliation, reconcile
from heddle_infra.s3 import S3ObjectStore
from heddle_platform.settings import DatabaseSettings, ObjectStoreSettings
from tests.bench.fault_blows import Blows
from tests.bench.fault_load import Tally, draw, queue_fits, tally, tenants_with_sets, wait
from tests.bench.fault_schedule import schedule
from tests.conftest import RunningStack, new_data_dir, running_stack, start_up


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    seed: int
    fits: int
    struck: dict[str, int]
    missed: int
    tally: Tally
    before: Reconciliation
    after: Reconciliation

    @property
    def good(self) -> bool:
        """Whether all succeeded, none was lost or recorded twice, and nothing is left over."""
        whole = self.tally.statuses == {"succeeded": self.fits}
        only_orphans = all(finding.kind.startswith("orphan") for finding in self.before.findings)
        return whole and not self.tally.lost and not self.tally.twice and only_orphans and self.after.clean

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "seed": self.seed,
            "fits": self.fits,
            "struck": self.struck,
            "blows": sum(self.struck.values()),
            "missed": self.missed,
            "statuses": dict(self.tally.statuses),
            "lost": list(self.tally.lost),
            "twice": list(self.tally.twice),
            "attempts": self.tally.attempts,
            "seconds": round(self.tally.seconds, 1),
            "orphans_of_dead_attempts": self.before.counts["orphan_object"] + self.before.counts["orphan_multipart"],
            "contradictions": [f.model_dump() for f in self.before.findings if not f.kind.startswith("orphan")],
            "orphans": sum(self.after.counts.values()),
            "good": self.good,
        }


def run(
    stack: RunningStack, *, seed: int, kills: int, fits: int, tenants: int, every_seconds: float, patience: float
) -> Outcome:
    """Queue the fits, strike while they run, wait for all, and judge."""
    ready = tenants_with_sets(stack, draw(), tenants, seed)
    blows, over = Blows(stack.data_dir), threading.Event()
    striking = threading.Thread(
        target=blows.strike_all, args=(schedule(seed, kills, every_seconds), over), daemon=True, name="blows"
    )
    began = time.monotonic()
    striking.start()
    try:
        queued = queue_fits(ready, fits, seed)
        found = wait(queued, patience)
        seconds = time.monotonic() - began
    finally:
        over.set()
        striking.join()
        blows.wake_all()
    counted = tally(queued, found, seconds)
    settings = local.stack_settings(stack.data_dir)
    before, after = asyncio.run(_verdict(settings["HEDDLE_DATABASE_URL"], stack))
    struck = {f"{victim} {blow}": count for (victim, blow), count in sorted(blows.struck.items())}
    return Outcome(seed, fits, struck, blows.missed, counted, before, after)


async def _verdict(url: str, stack: RunningStack) -> tuple[Reconciliation, Reconciliation]:
    database = Database(DatabaseSettings(database_url=SecretStr(url)))
    objects = S3ObjectStore(ObjectStoreSettings.model_validate(stack.object_store))
    try:
        await asyncio.sleep(2)  # S3 tells times in whole seconds
        before = await reconcile(database, objects, grace_seconds=1.0)
        await reconcile(database, objects, grace_seconds=1.0, repair=True)
        return before, await reconcile(database, objects, grace_seconds=1.0)
    finally:
        await database.close()


def show(outcome: Outcome) -> None:
    """Print the table."""
    found = outcome.document()
    print(f"seed {outcome.seed}: {found['blows']} blows ({found['missed']} missed) in {found['seconds']} s")
    for name, count in outcome.struck.items():
        print(f"  {name:18} {count:4}")
    print(f"fits {outcome.fits}, attempts {found['attempts']}, statuses {found['statuses']}")
    print(f"lost {len(found['lost'])}, twice {len(found['twice'])}, contradictions {len(found['contradictions'])}")
    print(f"orphans of dead attempts {found['orphans_of_dead_attempts']}, after repair {found['orphans']}")
    for line in [*found["lost"][:20], *found["contradictions"][:20]]:
        print(f"  {line}")


def main() -> None:
    """Run on a stack of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--fits", type=int, default=500)
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--every", type=float, default=4.0, help="Mean seconds between blows.")
    parser.add_argument("--patience", type=float, default=3600.0, help="Seconds until what is not over is lost.")
    parser.add_argument("--keep", action="store_true", help="Keep the stack's folder, with its logs.")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a stack never outlives its benchmark
    data_dir = new_data_dir()
    try:
        outcome = run(
            running_stack(start_up(data_dir)),
            seed=asked.seed,
            kills=asked.kills,
            fits=asked.fits,
            tenants=asked.tenants,
            every_seconds=asked.every,
            patience=asked.patience,
        )
    finally:
        if asked.keep:
            local.stop(data_dir)
            print(f"kept: {data_dir}", file=sys.stderr)
        else:
            local.erase(data_dir)
            data_dir.parent.rmdir()
    if asked.json:
        print(json.dumps(outcome.document(), indent=2))
    else:
        show(outcome)
    sys.exit(0 if outcome.good else 1)


if __name__ == "__main__":
    main()
