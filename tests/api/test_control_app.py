"""The plane as a whole: probes, problems of the framework, readable documentation, the studio's files and policy."""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from heddle_api.control.app import MAX_BODY_BYTES, create_app
from heddle_api.control.negotiate import choose
from heddle_infra.database.engine import Database
from heddle_platform.errors import InvalidInput, Unavailable
from heddle_platform.settings import DatabaseSettings
from tests.api.control_world import EDGE_URL, Person, World


async def test_probes_and_metrics(world: World) -> None:
    nobody = world.client(None)
    assert (await nobody.get("/healthz")).json() == {"status": "ok"}
    ready = await nobody.get("/readyz")
    assert ready.json()["checks"] == {"database": True, "objects": True, "admin_key": True}
    await nobody.get("/v1/jobs/some-id")
    metrics = (await nobody.get("/metrics")).text
    assert 'heddle_requests_total{method="GET",plane="control",route="/v1/jobs/{job_id}",status="401"} 1.0' in metrics


async def test_a_production_plane_is_not_ready_as_a_role_that_could_take_the_walls_away(
    world: World, postgres_owner_url: str
) -> None:
    checks = {}
    for url in (world.ports.settings.database.database_url, SecretStr(postgres_owner_url)):
        settings = world.ports.settings.model_copy(
            update={
                "database": DatabaseSettings(database_url=url),
                "security": world.ports.settings.security.model_copy(update={"environment": "production"}),
            }
        )
        ports = replace(world.ports, settings=settings, database=Database(settings.database))
        app = create_app(ports)
        async with app.router.lifespan_context(app) as state:
            assert state is not None
            checks[url.get_secret_value()] = (await state["readiness"].checks())["walls"]
        await ports.database.close()
    assert list(checks.values()) == [True, False]


async def test_not_ready_without_the_object_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: str) -> None:
        raise Unavailable("the object store cannot be reached")

    monkeypatch.setattr(world.objects, "head", away)
    answer = await world.client(None).get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["objects"]) == (503, False)


async def test_what_the_framework_refuses_is_a_problem_too(tenant: Person) -> None:
    for answer, status, code in (
        (await tenant.http.get("/v1/nothing"), 404, "unknown_route"),
        (await tenant.http.put("/v1/jobs"), 405, "method_not_allowed"),
        (
            await tenant.http.post("/v1/jobs", content=b"{", headers={"Content-Type": "application/json"}),
            400,
            "malformed_json",
        ),
        (await tenant.http.post("/v1/factor_sets", content=bytes(MAX_BODY_BYTES + 1)), 413, "request_too_large"),
    ):
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["status"]) == (status, code, status)
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["request_id"] == answer.headers["x-request-id"]


async def test_an_announcement_that_cannot_be_made_fails_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_: str, __: str) -> None:
        raise Unavailable("the cache cannot be reached")

    monkeypatch.setattr(world.cache, "publish", away)
    assert (await world.admin.post("/v1/admin/tenants", json={"name": "x"})).status_code == 201


def test_every_route_is_documented() -> None:
    document = create_app().openapi()
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            assert route.get("summary"), (method, path)
            description = route.get("description", "")
            assert description.endswith("."), (method, path)
            if method == "post":
                assert "idempotency-key" in [found["name"].lower() for found in route["parameters"]], path
            if method in ("post", "put", "patch") and "requestBody" not in route:
                assert path.endswith(("/cancel", "/continue", "/retry", "/rollback", "/rotate", "/redeliver")), path


@pytest.fixture
async def page(world: World, tmp_path: Path) -> httpx.AsyncClient:
    """A plane whose studio is a folder of the test."""
    (tmp_path / "outside.txt").write_text("outside")
    folder = tmp_path / "studio"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>studio</title>")
    (folder / "app.js").write_text("export {}")
    (folder / ".hidden").write_text("hidden")
    world.app = create_app(world.ports, studio_folder=folder)
    return world.client(None)


async def test_the_studio_is_served_under_a_strict_policy(world: World, page: httpx.AsyncClient) -> None:
    for path in ("/", "/studio/", "/studio/index.html"):
        answer = await page.get(path)
        assert (answer.status_code, "<title>studio" in answer.text) == (200, True)
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["script-src"] == "'self'"
        store = world.ports.settings.objects.s3_endpoint_url  # the parts of an upload go straight there
        assert policy["connect-src"] == f"'self' {EDGE_URL} {store}"
        assert policy["default-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["object-src"] == "'none'"
    script = await page.get("/studio/app.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["x-content-type-options"] == "nosniff"


async def test_the_page_learns_where_the_edge_is(page: httpx.AsyncClient) -> None:
    assert (await page.get("/studio/config.json")).json() == {"edge_url": EDGE_URL, "version": version("heddle")}


@pytest.mark.parametrize(
    "path",
    ["none.js", "../outside.txt", "%2e%2e/outside.txt", "..%2foutside.txt", ".hidden", "a%00b", "..%5coutside.txt"],
)
async def test_nothing_outside_the_studio_is_served(page: httpx.AsyncClient, path: str) -> None:
    answer = await page.get(f"/studio/{path}")
    assert answer.status_code == 404
    assert answer.json()["code"] in ("unknown_file", "unknown_route")


async def test_without_a_page_there_is_a_404(world: World, tmp_path: Path) -> None:
    world.app = create_app(world.ports, studio_folder=tmp_path)
    answer = await world.client(None).get("/")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_file")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "a/json"),
        ("", "a/json"),
        ("*/*", "a/json"),
        ("b/html", "b/html"),
        ("b/html, */*;q=0.8", "b/html"),
        ("a/json;q=0.1, b/*;q=0.2", "b/html"),
        ("*/*, a/json;q=0", "b/html"),
        ("B/HTML", "b/html"),
    ],
)
def test_choosing_by_accept(accept: str | None, chosen: str) -> None:
    assert choose(accept, ("a/json", "b/html")) == chosen


@pytest.mark.parametrize("accept", ["c/png", "a/json;q=0", "a/json;q=x", "*/*;q=0"])
def test_nothing_to_choose(accept: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        choose(accept, ("a/json", "b/html"))
    assert caught.value.code == "not_acceptable"
