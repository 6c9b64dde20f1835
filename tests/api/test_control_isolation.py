"""Isolation: for every route with an id, another tenant's id answers exactly as one that does not exist."""

import re
from typing import Any

import httpx
import pytest

from heddle_api.edit_id import EditSigner
from heddle_platform.edits import EditRequest
from heddle_platform.ids import new_id
from tests.api.control_world import SECRET, Person, World

# method, path with {thing}, body; every route of a tenant's resources that takes an id
ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/v1/api_keys/{key}", None),
    ("POST", "/v1/api_keys/{key}/rotate", {}),
    ("DELETE", "/v1/api_keys/{key}", None),
    ("GET", "/v1/factor_sets/{fs}", None),
    ("GET", "/v1/factor_sets/{fs}/versions/1", None),
    ("POST", "/v1/uploads/{up}/complete", {"parts": [{"number": 1, "etag": "x"}]}),
    ("GET", "/v1/datasets/{ds}", None),
    ("GET", "/v1/datasets/{ds}/validation", None),
    ("GET", "/v1/datasets/{ds}/items", None),
    ("DELETE", "/v1/datasets/{ds}/items/{itm}", None),
    ("DELETE", "/v1/datasets/{ds}", None),
    ("GET", "/v1/jobs/{job}", None),
    ("GET", "/v1/jobs/{job}/events", None),
    ("GET", "/v1/jobs/{job}/evaluation", None),
    ("GET", "/v1/jobs/{job}/export", None),
    ("GET", "/v1/jobs/{job}/report", None),
    ("POST", "/v1/jobs/{job}/cancel", None),
    ("POST", "/v1/jobs/{job}/retry", None),
    ("GET", "/v1/erasure_requests/{era}", None),
    ("GET", "/v1/adapters/{ada}", None),
    ("GET", "/v1/adapters/{ada}/versions", None),
    ("GET", "/v1/adapters/{ada}/versions/1", None),
    ("GET", "/v1/adapters/{ada}/card", None),
    ("GET", "/v1/adapters/{ada}/playbook", None),
    ("GET", "/v1/adapters/{ada}/download", None),
    ("GET", "/v1/adapters/{ada}/versions/1/card", None),
    ("GET", "/v1/adapters/{ada}/versions/1/playbook", None),
    ("GET", "/v1/adapters/{ada}/versions/1/download", None),
    ("POST", "/v1/adapters/{ada}/versions/1/approvals", {"decision": "approve"}),
    ("GET", "/v1/adapters/{ada}/versions/1/approvals", None),
    ("GET", "/v1/adapters/{ada}/aliases/production", None),
    ("GET", "/v1/adapters/{ada}/alias_moves", None),
    ("PUT", "/v1/adapters/{ada}/aliases/production", {"version": 1}),
    ("POST", "/v1/adapters/{ada}/rollback", None),
    ("GET", "/v1/webhook_endpoints/{whe}", None),
    ("PATCH", "/v1/webhook_endpoints/{whe}", {"status": "disabled"}),
    ("POST", "/v1/webhook_endpoints/{whe}/rotate", None),
    ("GET", "/v1/webhook_endpoints/{whe}/deliveries", None),
    ("POST", "/v1/webhook_endpoints/{whe}/deliveries/{dlv}/redeliver", None),
    ("DELETE", "/v1/webhook_endpoints/{whe}", None),
]


# path parameters of lists -> the kind of thing
OF_LISTS = {"dataset": "ds", "job_id": "job", "adapter": "ada", "endpoint": "whe"}


def is_a_list(methods: dict[str, Any]) -> bool:
    """Tell whether a GET is paged."""
    return any(parameter["name"] == "after" for parameter in methods["get"].get("parameters", ()))


async def things_of(owner: Person) -> dict[str, str]:
    """Make one of everything and return the ids."""
    endpoint = await owner.post("/v1/webhook_endpoints", {"url": "https://hooks.invalid/"})
    await owner.fitted()
    adapter = (await owner.get("/v1/adapters"))["data"][0]["id"]
    version = await owner.get(f"/v1/adapters/{adapter}/versions/1")
    begun = await owner.post("/v1/uploads", {"filename": "x", "bytes": 1, "sha256": "0" * 64})
    item = (await owner.get(f"/v1/datasets/{version['dataset']}/items"))["data"][0]
    erasure = await owner.post("/v1/erasure_requests", {"images": [item["sha256"]]})
    return {
        "key": (await owner.get("/v1/me"))["key"]["id"],
        "fs": version["factor_set"]["id"],
        "up": begun["id"],
        "ds": version["dataset"],
        "job": version["job"],
        "ada": adapter,
        "itm": item["id"],
        "era": erasure["id"],
        "whe": endpoint["id"],
        "edt": EditSigner(SECRET).sign(owner.id, "avatars@1", version["digest"], EditRequest(adapter="avatars")),
        "rol": new_id("rol"),  # rollouts belong to no tenant: operators alone are told whether there is one
        "dlv": (await owner.get(f"/v1/webhook_endpoints/{endpoint['id']}/deliveries"))["data"][0]["id"],
    }


def without_ids(answer: httpx.Response) -> Any:
    """Return a problem document with what differs between any two requests taken out."""
    problem = {name: value for name, value in answer.json().items() if name not in ("request_id", "instance")}
    problem["detail"] = re.sub(r"[a-z]+_[0-9a-hjkmnp-tv-z]{26}", "<id>", problem["detail"])
    return problem


async def test_somebody_elses_things_do_not_exist(tenant: Person, other: Person) -> None:
    theirs = await things_of(other)
    invented = {name: new_id(name) for name in theirs}  # type: ignore[arg-type]
    for method, path, body in ROUTES:
        foreign = await tenant.http.request(method, path.format(**theirs), json=body)
        missing = await tenant.http.request(method, path.format(**invented), json=body)
        assert (foreign.status_code, missing.status_code) == (404, 404), (method, path)
        assert without_ids(foreign) == without_ids(missing), (method, path)
    # and nothing was touched by trying
    assert (await other.get("/v1/adapters/avatars"))["aliases"] == {}
    assert (await other.get(f"/v1/jobs/{theirs['job']}"))["status"] == "awaiting_approval"
    assert (await other.http.get("/v1/me")).status_code == 200


async def test_every_route_that_takes_an_id_is_on_the_list(world: World) -> None:
    operators = ("/v1/admin/", "/v1/bases", "/v1/rollouts")
    documented = {
        (method.upper(), re.sub(r"\{[^}]+\}", "{}", path))
        for path, methods in world.app.openapi()["paths"].items()
        for method in methods
        if "{" in path and not path.startswith(operators)
    }
    fixed = {"versions/1": "versions/{}", "aliases/production": "aliases/{}"}
    tried = set()
    for method, path, _ in ROUTES:
        for concrete, template in fixed.items():
            path = path.replace(concrete, template)
        tried.add((method, re.sub(r"\{[^}]*\}", "{}", path)))
    assert documented == tried


async def test_somebody_elses_ids_in_bodies_do_not_exist(world: World, tenant: Person, other: Person) -> None:
    theirs = await things_of(other)
    await tenant.fitted()
    mine = (await tenant.get("/v1/adapters/avatars/versions/1"))["dataset"]
    fit = {"type": "fit", "adapter": "a", "factor_set": "avatars", "dataset": mine}
    for path, body, code in (
        ("/v1/jobs", {**fit, "dataset": theirs["ds"]}, "unknown_dataset"),
        ("/v1/jobs", {**fit, "factor_set": theirs["fs"]}, "unknown_factor_set"),
        ("/v1/jobs", {"type": "evaluate", "adapter": "avatars", "dataset": theirs["ds"]}, "unknown_dataset"),
        ("/v1/jobs", {"type": "evaluate", "adapter": f"{theirs['ada']}@1", "dataset": mine}, "unknown_adapter"),
        ("/v1/jobs", {"type": "export", "adapter": ["avatars", f"{theirs['ada']}@1"]}, "unknown_adapter"),
        ("/v1/jobs", {"type": "refit", "adapter": theirs["ada"]}, "unknown_adapter"),
        ("/v1/jobs", {"type": "refit", "adapter": "avatars", "dataset": theirs["ds"]}, "unknown_dataset"),
        ("/v1/jobs", {"type": "refit", "adapter": "avatars", "factor_set": theirs["fs"]}, "unknown_factor_set"),
        ("/v1/fits/preview", {"dataset": theirs["ds"]}, "unknown_dataset"),
        ("/v1/fits/preview", {"dataset": mine, "factor_set": theirs["fs"]}, "unknown_factor_set"),
        ("/v1/erasure_requests", {"dataset": theirs["ds"], "items": [theirs["itm"]]}, "unknown_dataset"),
        ("/v1/datasets", {"name": "x", "factor_set": theirs["fs"], "upload": theirs["up"]}, "unknown_factor_set"),
        ("/v1/datasets", {"name": "x", "factor_set": "avatars", "upload": theirs["up"]}, "unknown_upload"),
    ):
        answer = await tenant.http.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_lists_show_a_tenants_own_things_only(tenant: Person, other: Person) -> None:
    await things_of(other)
    for path in ("/v1/factor_sets", "/v1/datasets", "/v1/jobs", "/v1/adapters", "/v1/erasure_requests"):
        assert (await tenant.get(path))["data"] == []
    assert len((await tenant.get("/v1/api_keys"))["data"]) == 1


async def test_somebody_elses_cursors_lead_to_a_tenants_own_things_only(
    world: World, tenant: Person, other: Person
) -> None:
    lists = {path for path, methods in world.app.openapi()["paths"].items() if "get" in methods and is_a_list(methods)}
    mine, theirs = await things_of(tenant), await things_of(other)
    for path in sorted(path for path in lists if not path.startswith(("/v1/admin/", "/v1/rollouts", "/v1/bases"))):
        of_other = path.format(version=1, **{one: theirs[kind] for one, kind in OF_LISTS.items()})
        read = await other.get(of_other, params={"limit": 100})
        cursors = {row["id"] for row in read["data"] if "id" in row} or {other.id, "1"}
        for cursor in cursors:
            own = path.format(version=1, **{one: mine[kind] for one, kind in OF_LISTS.items()})
            answer = await tenant.http.get(own, params={"after": cursor, "limit": 100})
            assert answer.status_code in (200, 422), (path, answer.text)
            for secret in (other.id, *theirs.values()):
                assert secret not in answer.text.replace(cursor, ""), path


@pytest.mark.parametrize(
    ("scope", "paths"),
    [
        ("factors", ["/v1/factor_sets"]),
        ("data", ["/v1/datasets", "/v1/erasure_requests"]),
        ("jobs", ["/v1/jobs"]),
        ("adapters", ["/v1/adapters"]),
        ("edits", []),
        ("feedback", []),
    ],
)
async def test_each_scope_opens_its_own_lists_only(world: World, tenant: Person, scope: str, paths: list[str]) -> None:
    key = (await tenant.post("/v1/api_keys", {"name": scope, "scopes": [scope]}))["api_key"]
    client = world.client(key)
    for path in ("/v1/factor_sets", "/v1/datasets", "/v1/jobs", "/v1/adapters", "/v1/erasure_requests"):
        assert (await client.get(path)).status_code == (200 if path in paths else 403)
    assert (await client.get("/v1/bases")).status_code == 200
