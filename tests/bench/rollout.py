"""A rollout of a new base to many tenants, on an embedded stack in a temporary folder.

    python -m tests.bench.rollout [--tenants 1000] [--rows 300] [--factors 6] [--sets 12] [--base FOLDER]
                                  [--from FOLDER] [--silent 0] [--report rollout.html]

Timed through the public API: from `POST /v1/bases/{id}/rollout` to the last adapter judged and the canary moved, then
the rest moved, then all rolled back. Every tenant's pictures are encoded anew, fitted, scored, gated and held against
the predecessor. Seconds by part are the workers' own; `bare fit` is `fit_set` alone, in this process, which is
what the rollout would take if nothing were fetched, encoded, compared or stored.

The second base is the shipped one with its latents turned by a rotation: as much work as any base of its size, and
every adapter should come out equal. `--silent N` makes it forget N latents, `--base` takes a bundle's folder instead.
`--from` takes the folder of the base that tenants stand on, and rolls the shipped one out to them: an upgrade.
"""

import argparse
import asyncio
import io
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from heddle_api.client import HeddleClient, RolloutInfo
from heddle_infra import local
from heddle_infra.database.engine import Database
from heddle_infra.s3 import S3ObjectStore
from heddle_platform.base.bundle import BaseBundle, default_bundle_path, load_bundle
from heddle_platform.settings import DatabaseSettings, ObjectStoreSettings
from tests.bench.rollout_world import StoredSet, settle_tenants, stored_set
from tests.conftest import arguments, clean_environment
from tests.turned_base import turned_base

FACTORS = ("hair_color", "background", "skin", "glasses", "hair", "mouth")
BAR_SECONDS = 600.0
BAR_TENANTS = 1_000


def zipped(bundle: BaseBundle) -> bytes:
    """Return a bundle as operators upload it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file, data in bundle.all_files().items():
            archive.writestr(file, data)
    return buffer.getvalue()


async def settled(data_dir: Path, sets: list[StoredSet], count: int) -> float:
    """Make the tenants; return the seconds it took."""
    variables = local.stack_settings(data_dir)
    database = Database(DatabaseSettings(database_url=SecretStr(variables["HEDDLE_DATABASE_URL"])))
    objects = S3ObjectStore(ObjectStoreSettings.model_validate(arguments("S3_", variables)))
    started = time.perf_counter()
    await settle_tenants(database, objects, sets, count)
    await database.close()
    return time.perf_counter() - started


def watched(client: HeddleClient, rollout: RolloutInfo) -> RolloutInfo:
    """Wait until all is judged, telling a line now and then."""
    told, found = time.perf_counter(), rollout
    while (found := client.rollout(rollout.id)).status == "fitting":
        if time.perf_counter() - told > 30:
            told = time.perf_counter()
            print(f"  {found.counts['done']} of {found.counts['adapters']} adapters done", flush=True)
        time.sleep(0.5)
    return found


def print_table(
    report: dict[str, Any], bare: float, settling: float, judged: float, continued: float, back: float, cores: int
) -> None:
    """Print what was measured."""
    counts = report["rollout"]["counts"]
    tenants = max(counts["adapters"], 1)
    parts: dict[str, float] = {}
    doubted, in_full = (
        sum(part in one["numbers"].get("seconds", {}) for one in report["adapters"])
        for part in ("fitting_in_doubt", "fitting_in_full")
    )
    for one in report["adapters"]:
        for part, seconds in one["numbers"].get("seconds", {}).items():
            parts[part] = parts.get(part, 0.0) + seconds
    print(f"{'part':<44}{'s in all':>10}{'s a tenant':>12}")
    for part, seconds in sorted(parts.items(), key=lambda pair: -pair[1]):
        print(f"{'  ' + part + ' (workers, wall)':<44}{seconds:>10.1f}{seconds / tenants:>12.3f}")
    print(f"{'  bare fit (one core, extrapolated)':<44}{bare * tenants:>10.1f}{bare:>12.3f}")
    print(f"{'making the tenants (not part of it)':<44}{settling:>10.1f}{settling / tenants:>12.3f}")
    print(f"{'start to canary moved':<44}{judged:>10.1f}{judged / tenants:>12.3f}")
    print(f"{'  times the bare fits on ' + str(cores) + ' cores':<44}{judged / (bare * tenants / cores):>10.2f}")
    print(f"{'the rest moved':<44}{continued:>10.2f}")
    print(f"{'rolled back':<44}{back:>10.2f}")
    print(f"{doubted} looked at more closely, the first few pictures having left a doubt; {in_full} of them in full")
    names = ("better", "equal", "worse", "failed", "mapped", "passed")
    print(f"{tenants / judged * 60:.0f} tenants a minute; " + ", ".join(f"{counts[name]} {name}" for name in names))
    allowed = BAR_SECONDS * tenants / BAR_TENANTS
    print(f"bar: {allowed:.0f} s for {tenants} tenants: {'kept' if judged <= allowed else 'MISSED'} ({judged:.0f} s)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--factors", type=int, default=6, choices=range(1, len(FACTORS) + 1))
    parser.add_argument("--sets", type=int, default=12, help="how many different sets are fitted as predecessors")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--base", type=Path, default=None)
    parser.add_argument("--from", dest="old", type=Path, default=None)
    parser.add_argument("--silent", type=int, default=0)
    parser.add_argument("--report", type=Path, default=None)
    asked = parser.parse_args()
    shipped = load_bundle(default_bundle_path())
    bundle = load_bundle(asked.old) if asked.old else shipped
    if asked.base:
        new = load_bundle(asked.base)
    else:
        new = shipped if asked.old else turned_base(shipped, silent=range(64 - asked.silent, 64))[0]
    sets = [stored_set(bundle, asked.rows, seed, FACTORS[: asked.factors]) for seed in range(asked.sets)]
    bare = sorted(one.fit_cpu_seconds for one in sets)[len(sets) // 2]
    print(
        f"{asked.tenants} tenants, {asked.rows} rows, {asked.factors} factors, {len(sets)} different sets", flush=True
    )
    with tempfile.TemporaryDirectory(prefix="heddle-bench-") as folder:
        Path(folder).chmod(0o711)
        data_dir = Path(folder) / "stack"
        try:
            info = local.start_detached(
                local.StackConfig(data_dir, ray_cpus=asked.cpus), environment=clean_environment()
            )
            with HeddleClient(info.control_url, api_key=info.admin_key) as client:
                client.publish_base(zipped(bundle), name="before", alias="default")
            settling = asyncio.run(settled(data_dir, sets, asked.tenants))
            with HeddleClient(info.control_url, api_key=info.admin_key) as client:
                base = client.publish_base(zipped(new), name=new.manifest.name)
                started = time.perf_counter()
                rollout = watched(client, client.start_rollout(base.id, canary_share=0.05))
                judged = time.perf_counter() - started
                started = time.perf_counter()
                if rollout.status == "canary":
                    client.continue_rollout(rollout.id)
                continued = time.perf_counter() - started
                if asked.report is not None:
                    asked.report.write_bytes(client.rollout_page(rollout.id))
                started = time.perf_counter()
                if rollout.status == "canary":
                    client.roll_back_rollout(rollout.id)
                back = time.perf_counter() - started
                report = client.rollout_report(rollout.id)
            print_table(report, bare, settling, judged, continued, back, asked.cpus)
        finally:
            local.erase(data_dir)


if __name__ == "__main__":
    main()
