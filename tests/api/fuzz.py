"""Schemathesis over the whole OpenAPI document of a plane, with one key; all checks.

The short form is `test_fuzz.py`. The long one, against PostgreSQL and both planes started for it on loopback:

    python -m tests.api.fuzz --examples 100 --seed 7
"""

import argparse
import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx
import structlog
from pydantic import SecretStr
from sqlalchemy import delete

from heddle_api.edge.app import EdgePorts
from heddle_api.edge.app import create_app as create_edge
from heddle_infra.database import outbox
from heddle_infra.database.engine import Database
from heddle_infra.database.models import TenantRow
from heddle_platform.base.bundle import default_bundle_path, load_bundle
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.settings import DatabaseSettings
from tests.api.control_world import Person
from tests.api.edge.edge_world import OTHER, TENANT, fit_demo, make_world
from tests.api.edge.edge_world import World as EdgeWorld
from tests.api.fuzz_expected import checks_config, for_operators, for_tenants, operation_config
from tests.api.fuzz_hooks import OWN_KEY
from tests.api.fuzz_report import Asked, Following
from tests.api.live import open_live, served
from tests.conftest import only

HOOKS: Final = Path(__file__).with_name("fuzz_hooks.py")
CALLERS: Final = ("tenant", "operator")
PLANE_PHASES: Final = "examples,coverage,fuzzing,stateful"


@dataclass(frozen=True)
class Fuzzed:
    """How a run ended: whether nothing was found, what was printed, and what was asked."""

    clean: bool
    report: str
    asked: Sequence[Asked] = ()

    def __str__(self) -> str:
        cases, seconds = sum(one.cases for one in self.asked), sum(one.seconds for one in self.asked)
        return f"{'nothing found' if self.clean else 'FAILED'}, {cases} cases in {seconds:.0f} s"


@dataclass(frozen=True)
class Run:
    """What is asked.

    Attributes:
        examples: most examples per operation and phase.
        seed: equal seeds send equal requests.
        phases: of examples, coverage, fuzzing, stateful.
        operations: only these, as "POST /v1/jobs"; none: all.
        say: told of every operation as soon as it is done.
    """

    examples: int
    seed: int
    phases: str = PLANE_PHASES
    operations: Sequence[str] = ()
    say: Callable[[str], None] = lambda _: None


def fuzz(
    url: str, keys: Mapping[str, str], run: Run, *, known: Mapping[str, str], forbidden: Callable[[str, str], bool]
) -> Fuzzed:
    """Run Schemathesis as a program against a plane.

    Args:
        url: address of the plane.
        keys: name to API key; the first one's owner asks, and what it may read, the others must not.
        run: what is asked.
        known: values of path parameters that lead to something; they become the document's examples.
        forbidden: whether an operation, by method and path, is not for the first one's owner.
    """
    with tempfile.TemporaryDirectory() as folder:
        users = [
            {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {key}"}]}
            for name, key in keys.items()
        ]
        (Path(folder) / "auth.json").write_text(json.dumps({"auth": users}))
        peers = f"peers = {json.dumps([*keys])}" if len(keys) > 1 else ""
        auth = f'[auth.wfc]\npath = "{folder}/auth.json"\n{peers}\n'
        described = _furnished(httpx.get(f"{url}/openapi.json", timeout=60).json(), known)
        (Path(folder) / "openapi.json").write_text(json.dumps(described))
        sections = (f'hooks = "{HOOKS}"\n', checks_config(), auth, *operation_config(described, forbidden))
        (Path(folder) / "schemathesis.toml").write_text("\n".join(sections))
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run", "openapi.json"),
            *("--checks", "all", "--phases", run.phases, "--max-examples", str(run.examples), "--seed", str(run.seed)),
            *("--url", url, "--no-color", "--continue-on-failure", "--generation-database", "none"),
            *("--report", "ndjson", "--report-ndjson-path", "report.ndjson"),
            *(word for operation in run.operations for word in ("--include-name", operation)),
        ]
        return _followed(command, Path(folder), {**_environment(), OWN_KEY: _key_id(url, keys)}, run.say)


def _key_id(url: str, keys: Mapping[str, str]) -> str:
    """The id of the key that asks; empty at a plane that has no keys to end."""
    me = httpx.get(f"{url}/v1/me", headers={"Authorization": f"Bearer {next(iter(keys.values()))}"}, timeout=60)
    return str(me.json()["key"]["id"]) if me.status_code == 200 else ""


def _followed(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], say: Callable[[str], None]
) -> Fuzzed:
    following, asked = Following(folder / "report.ndjson"), list[Asked]()
    with (folder / "printed").open("wb") as printed:
        ended = subprocess.Popen(command, cwd=folder, env=environment, stdout=printed, stderr=subprocess.STDOUT)
        while True:
            over = ended.poll() is not None
            for news in following.news():
                asked.append(news)
                say(str(news))
            if over:
                return Fuzzed(ended.returncode == 0, (folder / "printed").read_text(), asked)
            time.sleep(0.1)


def _furnished(document: dict[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    for operations in document["paths"].values():
        for operation in operations.values():
            for found in operation.get("parameters", ()):
                if found["in"] == "path" and found["name"] in known:
                    found["example"] = known[found["name"]]
    return document


def _environment() -> Mapping[str, str]:
    return {**os.environ, "COLUMNS": "160"}


async def furnish(person: Person) -> dict[str, str]:
    """Give a tenant one of everything, so that requests meet something, and return where it is."""
    await person.fitted(verdict="needs_approval")
    await person.post("/v1/adapters/avatars/versions/1/approvals", {"decision": "approve"})
    endpoint = await person.post("/v1/webhook_endpoints", {"url": "https://hooks.invalid/heddle"})
    async with person.world.ports.database.transaction(person.id) as session:
        await outbox.emit(session, person.id, "job.failed", {"id": "job_x"})
    key = await person.post("/v1/api_keys", {"name": "spare", "scopes": ["edits"]})
    upload = await person.upload()
    item = (await person.get("/v1/datasets/for-avatars/items"))["data"][0]["id"]
    erasure = await person.post("/v1/erasure_requests", {"dataset": "for-avatars", "items": [item]})
    sent = (await person.get(f"/v1/webhook_endpoints/{endpoint['id']}/deliveries"))["data"]
    job = (await person.get("/v1/jobs"))["data"][0]
    return {
        "adapter": "avatars",
        "base": "default",
        "dataset": "for-avatars",
        "delivery": sent[0]["id"],
        "endpoint": endpoint["id"],
        "erasure": erasure["id"],
        "factor_set": "avatars",
        "item": item,
        "job_id": job["id"],
        "key_id": key["id"],
        "name": "tiny",
        "tenant_id": person.id,
        "upload_id": upload,
        "version": "1",
    }


async def fuzz_control(postgres_url: str, run: Run, *, callers: Sequence[str] = CALLERS) -> dict[str, Fuzzed]:
    """Fuzz a control plane as a tenant beside another, and as an operator."""
    async with open_live(postgres_url, poll_seconds=1.0) as live:
        tenants = {name: await live.world.tenant(name) for name in ("acme", "rival")}
        known = [await furnish(person) for person in tenants.values()]
        owners = {name: person.key for name, person in tenants.items()}
        found = {}
        # the operator last, and at the other tenant: it may delete what it finds
        for who, keys, ids, forbidden in (
            ("tenant", owners, known[0], for_operators),
            ("operator", {"operator": live.world.admin_key}, known[1], for_tenants),
        ):
            if who in callers:
                found[who] = await asyncio.to_thread(fuzz, live.url, keys, run, known=ids, forbidden=forbidden)
                _check_alive(live.url, next(iter(keys.values())))
        return found


def _check_alive(url: str, key: str) -> None:
    # a run that revoked its own key would have been refused from then on, and have found nothing
    answer = httpx.get(f"{url}/v1/me", headers={"Authorization": f"Bearer {key}"}, timeout=60)
    assert answer.status_code == 200, f"the key that asked was taken away while it asked: {answer.text}"


def fuzz_edge(postgres_url: str, run: Run) -> Fuzzed:
    """Fuzz an edge as one of two tenants, each with a batch of its own."""
    bundle = load_bundle(default_bundle_path())
    world = make_world(bundle, fit_demo(BaseRuntime.from_bundle(bundle)))

    @asynccontextmanager
    async def ports() -> AsyncIterator[EdgePorts]:
        database = Database(DatabaseSettings(database_url=SecretStr(postgres_url)))
        async with database.platform_transaction() as session:
            await session.execute(delete(TenantRow).where(TenantRow.id.in_((TENANT, OTHER))))
            session.add_all([TenantRow(id=TENANT, name="one"), TenantRow(id=OTHER, name="other")])
        yield replace(world.ports(), database=database)
        await database.close()

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with served(create_edge(ports), lifespan=True) as url:
        keys = {who: world.keys[who] for who in ("tenant", "other")}
        known = {"batch": _batch(url, world), "item": "0"}
        found = fuzz(url, keys, run, known=known, forbidden=lambda _method, _path: False)
    structlog.reset_defaults()
    return found


def _batch(url: str, world: EdgeWorld) -> str:
    """Have a batch done and return its id."""
    edits = json.dumps([{"adapter": "avatars", "set": {"skin": "sand"}}])
    with httpx.Client(base_url=url, headers=world.headers(), timeout=60) as client:
        while client.get("/readyz").status_code != 200:
            time.sleep(0.05)
        sent = client.post(
            "/v1/edit_batches", files={"image": ("a.png", world.fitted.images[-1])}, data={"edits": edits}
        )
        batch = str(sent.raise_for_status().json()["id"])
        while client.get(f"/v1/edit_batches/{batch}").json()["status"] != "done":
            time.sleep(0.05)
    return batch


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run the long form and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--phases", default=PLANE_PHASES)
    parser.add_argument("--only", nargs="+", choices=("edge", *CALLERS), default=("edge", *CALLERS))
    parser.add_argument("--operations", nargs="+", default=(), help='such as "POST /v1/jobs"; all unless named')
    asked = parser.parse_args()
    run = Run(asked.examples, asked.seed, asked.phases, asked.operations, _say)
    found: dict[str, Fuzzed] = {}
    for variables in only("postgres"):
        url = variables["HEDDLE_DATABASE_URL"]
        if "edge" in asked.only:
            found["edge"] = fuzz_edge(url, run)
        for who in (who for who in CALLERS if who in asked.only):
            found |= asyncio.run(fuzz_control(url, run, callers=(who,)))
    for who, fuzzed in found.items():
        sys.stdout.write(f"===== {who} =====\n{fuzzed.report}\n")
    for who, fuzzed in found.items():
        sys.stdout.write(f"{who:10} {fuzzed}\n")
    sys.exit(not all(fuzzed.clean for fuzzed in found.values()))


if __name__ == "__main__":
    main()
