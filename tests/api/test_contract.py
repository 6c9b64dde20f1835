"""The rules that every route of both planes keeps, read off their OpenAPI documents; a failure says what to add."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from heddle_api.control.app import create_app as control_app
from heddle_api.edge.app import create_app as edge_app
from heddle_api.openapi.document import METHODS
from tests.api.control_world import World

PROBLEM = {"$ref": "#/components/schemas/Problem"}
DOCUMENTS: dict[str, dict[str, Any]] = {"control": control_app().openapi(), "edge": edge_app().openapi()}

# Changes that need no If-Match, each for a reason. Whatever two people may edit at once is not among them.
UNCONDITIONAL = {
    "DELETE /v1/api_keys/{key_id}": "revoking is final, and twice is once",
    "PATCH /v1/admin/tenants/{tenant_id}": "a name and a switch; the last operator's word counts",
    "DELETE /v1/admin/tenants/{tenant_id}": "only a suspended tenant can be deleted: that is the condition",
    "DELETE /v1/edit_batches/{batch}": "nobody changes a batch; deleting is final",
    "DELETE /v1/datasets/{dataset}": "a labelled set never changes",
    "DELETE /v1/datasets/{dataset}/items/{item}": "it asks for an erasure, and carries an Idempotency-Key",
}
PUBLIC = {"GET /v1/signing_key"}  # so that a certificate convinces more than its owner


@dataclass(frozen=True)
class Route:
    """One operation of one plane."""

    plane: str
    method: str
    path: str
    operation: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def parameters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.operation.get("parameters", [])
        return found

    @property
    def headers(self) -> set[str]:
        return {found["name"] for found in self.parameters if found["in"] == "header"}

    @property
    def statuses(self) -> set[int]:
        return {int(status) for status in self.operation["responses"]}

    @property
    def bodies(self) -> list[tuple[str, dict[str, Any]]]:
        return list(self.operation.get("requestBody", {}).get("content", {}).items())

    def answers(self) -> Iterator[tuple[int, str, dict[str, Any]]]:
        for status, response in self.operation["responses"].items():
            for media_type, content in response.get("content", {}).items():
                yield int(status), media_type, content


ROUTES = [
    Route(plane, method, path, operation)
    for plane, document in DOCUMENTS.items()
    for path, found in document["paths"].items()
    for method, operation in found.items()
    if method in METHODS
]
every_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.plane} {route.name}")


def resolved(route: Route, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference."""
    if "$ref" not in schema:
        return schema
    found: Mapping[str, Any] = DOCUMENTS[route.plane]["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


@every_route
def test_it_is_described(route: Route) -> None:
    tags = {tag["name"]: tag["description"] for tag in DOCUMENTS[route.plane]["tags"]}
    for part in ("summary", "description"):
        assert route.operation.get(part), f"{route.name}: give the route a {part} (`summary=`, or its docstring)"
    assert route.operation["description"].rstrip().endswith("."), f"{route.name}: its docstring must be sentences"
    (tag,) = route.operation["tags"]
    assert tags.get(tag), f"{route.name}: describe the tag {tag!r} in heddle_api/openapi/texts.py"
    for found in route.parameters:
        where = f"{route.name}: parameter {found['name']!r}"
        assert found.get("description"), f"{where}: describe it there, or in PARAMETERS of heddle_api/openapi/words.py"
        known = "example" in found or found["schema"].get("examples") or {"enum", "default"} & found["schema"].keys()
        is_free = found["schema"].get("type") == "string" and found["in"] == "path"
        assert known or not is_free, f"{where}: give an example, there or in PARAMETERS of heddle_api/openapi/words.py"


@every_route
def test_its_bodies_have_examples(route: Route) -> None:
    for media_type, content in route.bodies:
        if media_type.startswith("multipart/"):
            for name, field in resolved(route, content["schema"])["properties"].items():
                assert field.get("description"), f"{route.name}: describe the form field {name!r}"
                shown = field.get("examples") or field.get("format") == "binary" or field.get("type") == "array"
                assert shown, f"{route.name}: give {name!r} an example, there or in FORM_FIELDS of openapi/words.py"
            continue
        schema = resolved(route, content["schema"])
        variants = schema.get("oneOf") or schema.get("anyOf") or [schema]
        shown = [resolved(route, variant) for variant in variants if variant.get("type") != "null"]
        has = "example" in content or "examples" in schema or all(variant.get("examples") for variant in shown)
        assert has, f"{route.name}: give the body's model json_schema_extra={{'examples': [...]}}"
    for status, media_type, content in route.answers():
        if status < 300 and media_type == "application/json" and resolved(route, content["schema"]).get("properties"):
            assert "example" in content, f"{route.name}: its answer has no example"


@every_route
def test_every_failure_is_a_documented_problem(route: Route) -> None:
    for status, media_type, content in route.answers():
        if status >= 400:
            where = f"{route.name}: {status}"
            assert media_type == "application/problem+json", f"{where} is documented as {media_type}, not as a problem"
            assert content["schema"] == PROBLEM, f"{where} does not refer to Problem"
            assert content["example"]["status"] == status, f"{where} has another status's example"
    wanted = {500, 503}
    if route.name in PUBLIC:
        assert route.operation["security"] == [], f"{route.name} is public and documents a key"
    else:
        assert route.operation["security"], f"{route.name} asks for no key: make it depend on heddle_api.auth"
        wanted |= {401, 403, 429}
    wanted |= {400, 404, 409, 413, 415, 422} if route.bodies else set()
    assert wanted <= route.statuses, f"{route.name} lacks {sorted(wanted - route.statuses)}"
    assert any(status < 300 for status in route.statuses), f"{route.name} documents no success"


@every_route
def test_a_post_can_be_sent_twice(route: Route) -> None:
    if route.method == "post" and "Idempotency-Key" not in route.headers:
        assert route.operation.get("x-idempotent"), (
            f"{route.name}: do its work in `OncePost.once`, or say by openapi_extra={{'x-idempotent': '...'}} why "
            "twice does no harm"
        )


@every_route
def test_a_list_is_paged(route: Route) -> None:
    for status, media_type, content in route.answers():
        if route.method != "get" or status != 200 or media_type != "application/json":
            continue
        schema = resolved(route, content.get("schema", {}))
        assert schema.get("type") != "array", f"{route.name}: answer Page[...] instead of a bare list"
        if str(schema.get("title", "")).startswith("Page["):
            asked = {found["name"] for found in route.parameters if found["in"] == "query"}
            assert asked >= {"limit", "after"}, f"{route.name}: take `turn: AskedPage`"
            assert {"data", "has_more", "next_cursor"} <= schema["properties"].keys()


@every_route
def test_a_change_is_conditional(route: Route) -> None:
    if route.method not in ("put", "patch", "delete") or route.name in UNCONDITIONAL:
        return
    assert "If-Match" in route.headers, f"{route.name}: take `match: AskedMatch`, or say in UNCONDITIONAL why not"
    assert {412, 428} <= route.statuses, f"{route.name}: lacks 412 or 428"
    reads = DOCUMENTS[route.plane]["paths"][route.path].get("get")
    assert reads, f"{route.name}: needs a GET that answers the ETag"


def test_no_exception_outlives_its_route() -> None:
    assert UNCONDITIONAL.keys() | PUBLIC <= {route.name for route in ROUTES}


@pytest.mark.parametrize("plane", DOCUMENTS)
def test_every_field_is_described(plane: str) -> None:
    document = DOCUMENTS[plane]
    assert document["openapi"].startswith("3.1")
    assert document["components"]["securitySchemes"]
    missing = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, found in schema.get("properties", {}).items()
        if not found.get("description")
    ]
    assert not missing, f"give these fields Field(description=...): {missing}"
    bare = [name for name, schema in document["components"]["schemas"].items() if "properties" in schema]
    undescribed = [name for name in bare if not document["components"]["schemas"][name].get("description")]
    assert not undescribed, f"give these models a docstring: {undescribed}"
    ids = [route.operation["operationId"] for route in ROUTES if route.plane == plane]
    assert len(ids) == len(set(ids)), "two operations have the same operationId"


async def test_what_the_framework_refuses_is_a_problem(world: World) -> None:
    """One world for all routes: each of its own would take a minute."""
    nobody = world.client(None)
    for route in (route for route in ROUTES if route.plane == "control"):
        path = route.path.replace("{version}", "1")
        path = "/".join("x" if part.startswith("{") else part for part in path.split("/"))
        answers = [await nobody.request("TRACE", path)]
        documented = {method.upper() for method in DOCUMENTS["control"]["paths"][route.path]}
        allowed = {*answers[0].headers["allow"].split(", ")}
        assert (answers[0].status_code, documented <= allowed) == (405, True), route.name
        if route.name not in PUBLIC:
            answers.append(await nobody.request(route.method, path, json={}))
            assert answers[-1].status_code == 401, route.name
        if "application/json" in dict(route.bodies):
            options: dict[str, Any] = {"headers": {"Content-Type": "text/html"}, "content": "<p>"}
            answers.append(await world.admin.request(route.method, path, **options))
            assert answers[-1].status_code in (403, 415), route.name  # whose key it is may be judged before the body
        for answer in answers:
            assert answer.headers["content-type"] == "application/problem+json", route.name
            assert answer.json()["request_id"] == answer.headers["x-request-id"], route.name
