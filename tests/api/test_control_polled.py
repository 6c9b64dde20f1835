"""The polled read: the same answers as by the framework's own way, which everything else to these paths still takes."""

import httpx
from starlette.types import Receive, Scope, Send

from heddle_infra.database import queue
from tests.api.control_world import Person, World, claim_all, finish_fit

DIFFERING = {"x-request-id", "ratelimit"}
KEPT = {"id", "status", "error", "attempts", "result", "created_at", "adapter", "dataset", "base"}


def below(world: World, key: str | None) -> httpx.AsyncClient:
    """Return a caller whose requests come below a root path, as behind a proxy that adds one."""

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = dict(world.state)
        await world.app(scope, receive, send)

    return httpx.AsyncClient(
        transport=httpx.ASGITransport(with_state, root_path="/control"),
        base_url="http://control.test/control",
        headers={"Authorization": f"Bearer {key}"} if key else {},
    )


async def both(world: World, key: str | None, job_id: str) -> tuple[httpx.Response, httpx.Response]:
    async with below(world, key) as framework:
        return await world.client(key).get(f"/v1/jobs/{job_id}"), await framework.get(f"/v1/jobs/{job_id}")


async def test_both_ways_answer_alike(world: World, tenant: Person) -> None:
    await claim_all(world)
    done, waits = await tenant.queue_two_fits()
    async with world.ports.database.platform_transaction() as session:
        [job] = await queue.claim(session, owner="test", limit=1, lease_seconds=300, max_attempts=5)
    assert job.id == done
    await finish_fit(world, job, "fail")
    for job_id, status in ((done, "failed"), (waits, "queued")):
        quick, framework = await both(world, tenant.key, job_id)
        assert (quick.status_code, framework.status_code) == (200, 200)
        told = quick.json()
        assert told["status"] == status
        assert {name: told[name] for name in KEPT} == {name: framework.json()[name] for name in KEPT}
        assert told.keys() == framework.json().keys()
        assert (told["attempts"] is not None) == (status == "failed")
        headers = [{k: v for k, v in answer.headers.items() if k not in DIFFERING} for answer in (quick, framework)]
        assert headers[0].keys() == headers[1].keys()
        assert quick.headers["ratelimit"].startswith('"control"')


async def test_both_ways_refuse_alike(world: World, tenant: Person) -> None:
    other = await world.tenant("rival")
    theirs = (await other.queue_two_fits())[0]
    scopeless = (await tenant.post("/v1/api_keys", {"name": "x", "scopes": ["data"]}))["api_key"]
    for key, job_id, wanted in (
        (None, theirs, (401, "missing_key")),
        ("hdl_nothing", theirs, (401, "unknown_key")),
        (scopeless, theirs, (403, "missing_scope")),
        (tenant.key, theirs, (404, "unknown_job")),
        (world.admin_key, theirs, (404, "unknown_job")),
        (tenant.key, "%00", (422, "unstorable_text")),
    ):
        quick, framework = await both(world, key, job_id)
        for answer in (quick, framework):
            assert (answer.status_code, answer.json()["code"]) == wanted
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
        assert quick.json()["detail"] == framework.json()["detail"]
        assert quick.headers.keys() == framework.headers.keys()


async def test_other_methods_and_paths_go_the_frameworks_way(world: World, tenant: Person) -> None:
    job_id = (await tenant.queue_two_fits())[0]
    wrong = await tenant.http.delete(f"/v1/jobs/{job_id}")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET")
    assert (await tenant.http.get(f"/v1/jobs/{job_id}/events")).status_code == 200
    assert (await tenant.http.get(f"/v1/jobs/{job_id}/nothing")).json()["code"] == "unknown_route"
    text = (await tenant.http.get("/metrics")).text
    assert 'route="/v1/jobs/{job_id}/events"' in text
    await tenant.http.get(f"/v1/jobs/{job_id}")
    assert (
        'heddle_requests_total{method="GET",plane="control",route="/v1/jobs/{job_id}",status="200"}'
        in (await tenant.http.get("/metrics")).text
    )
