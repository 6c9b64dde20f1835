"""Factor sets: JSON and YAML, versions, and every fault with its pointer."""

import pytest
import yaml

from tests.api.control_world import FACTORS, Person

DUPLICATES = {"name": "twins", "factors": [{"name": "hat", "kind": "binary"}, {"name": "hat", "kind": "binary"}]}


async def test_registering_answers_id_name_and_version(tenant: Person) -> None:
    answer = await tenant.http.post("/v1/factor_sets", json=FACTORS)
    made = answer.json()
    assert (answer.status_code, made["name"], made["version"]) == (201, "avatars", 1)
    assert answer.headers["location"] == f"/v1/factor_sets/{made['id']}/versions/1"
    assert made["document"]["factors"][0]["importance"] == 1.0


async def test_a_changed_set_is_the_next_version_and_an_equal_one_the_same(tenant: Person) -> None:
    first = await tenant.post("/v1/factor_sets", FACTORS)
    assert await tenant.post("/v1/factor_sets", FACTORS) == first
    changed = {**FACTORS, "accept": {"labels_min": 10}}
    second = await tenant.post("/v1/factor_sets", changed)
    assert (second["id"], second["version"]) == (first["id"], 2)
    assert await tenant.get("/v1/factor_sets/avatars") == second
    assert await tenant.get(f"/v1/factor_sets/{first['id']}/versions/1") == first
    listed = await tenant.get("/v1/factor_sets")
    assert listed == {"data": [second], "has_more": False, "next_cursor": None}


@pytest.mark.parametrize("media_type", ["application/yaml", "text/yaml; charset=utf-8"])
async def test_yaml_is_read_as_well(tenant: Person, media_type: str) -> None:
    answer = await tenant.http.post(
        "/v1/factor_sets", content=yaml.safe_dump(FACTORS), headers={"Content-Type": media_type}
    )
    assert (answer.status_code, answer.json()["name"]) == (201, "avatars")


async def test_two_equal_names_are_a_clear_problem_and_nothing_is_stored(tenant: Person) -> None:
    answer = await tenant.http.post("/v1/factor_sets", json=DUPLICATES)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_factor_set")
    assert problem["errors"][0]["code"] == "duplicate_name"
    assert "'hat'" in problem["detail"]
    assert (await tenant.get("/v1/factor_sets"))["data"] == []


async def test_checking_lists_every_fault_and_stores_nothing(tenant: Person) -> None:
    document = {"name": "Bad Name", "factors": [{"name": "hat", "kind": "binary"}, {"name": "age", "kind": "guess"}]}
    found = await tenant.post("/v1/factor_sets/validate", document)
    assert (found["valid"], found["fault_count"], found["document"]) == (False, 2, None)
    assert {fault["pointer"] for fault in found["errors"]} == {"/name", "/factors/1"}
    good = await tenant.post("/v1/factor_sets/validate", FACTORS)
    assert (good["valid"], good["errors"]) == (True, [])
    assert (await tenant.get("/v1/factor_sets"))["data"] == []


@pytest.mark.parametrize(
    ("media_type", "body", "status", "code"),
    [
        ("application/json", b"{", 400, "malformed_json"),
        ("application/json", b"\xff", 400, "malformed_json"),
        ("application/json", b"[" * 100_000, 400, "malformed_json"),
        ("application/json", b"[]", 422, "invalid_factor_set"),
        ("application/json", b"", 400, "malformed_json"),
        ("application/yaml", b"a: [", 422, "malformed_yaml"),
        ("application/yaml", b"[" * 100_000, 422, "malformed_yaml"),
        ("application/yaml", b"- " * 100_000, 422, "malformed_yaml"),
        ("application/yaml", b"#" * (1024**2 + 1), 413, "request_too_large"),
        ("application/yaml", b"a: &x [1]\nb: [*x, *x]", 422, "malformed_yaml"),
        ("application/yaml", b"!!python/object/apply:os.system ['true']", 422, "malformed_yaml"),
        ("text/csv", b"a,b", 415, "unsupported_media_type"),
    ],
)
async def test_unreadable_bodies(tenant: Person, media_type: str, body: bytes, status: int, code: str) -> None:
    for path in ("/v1/factor_sets", "/v1/factor_sets/validate"):
        answer = await tenant.http.post(path, content=body, headers={"Content-Type": media_type})
        if path.endswith("validate") and code == "invalid_factor_set":
            assert (answer.status_code, answer.json()["valid"]) == (200, False)
        else:
            assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    "document",
    [
        {"name": "a", "factors": [{"name": "g", "kind": "categorical", "levels": [1] * 500_000}]},
        {"name": "a", "factors": [{"name": "g", "kind": "categorical", "levels": [1] * 1_000}]},
        {"name": "a", "factors": [1] * 500_000},
        {f"field{number}": 1 for number in range(200_000)},
    ],
)
async def test_a_document_of_countless_faults_is_not_listed_fault_by_fault(
    tenant: Person, document: dict[str, object]
) -> None:
    answer = await tenant.http.post("/v1/factor_sets", json=document)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_factor_set")
    assert len(answer.json()["errors"]) <= 2


async def test_text_the_database_cannot_hold_is_the_callers_fault(tenant: Person) -> None:
    document = {**FACTORS, "factors": [{"name": "hat", "kind": "binary", "description": "a\x00b"}]}
    answer = await tenant.http.post("/v1/factor_sets", json=document)
    assert (answer.status_code, answer.json()["code"]) == (422, "unstorable_text")


async def test_unknown_sets_and_versions_are_404(tenant: Person) -> None:
    await tenant.post("/v1/factor_sets", FACTORS)
    for path in ("/v1/factor_sets/nothing", "/v1/factor_sets/avatars/versions/2"):
        answer = await tenant.http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_factor_set")
    for number in ("0", "-1", "x", "99999999999999999999"):
        assert (await tenant.http.get(f"/v1/factor_sets/avatars/versions/{number}")).status_code == 422


async def test_pages_of_sets(tenant: Person) -> None:
    for index in range(3):
        await tenant.post("/v1/factor_sets", {**FACTORS, "name": f"set{index}"})
    first = await tenant.get("/v1/factor_sets", params={"limit": 2})
    assert ([found["name"] for found in first["data"]], first["has_more"]) == (["set2", "set1"], True)
    second = await tenant.get("/v1/factor_sets", params={"limit": 2, "after": first["next_cursor"]})
    assert ([found["name"] for found in second["data"]], second["has_more"]) == (["set0"], False)
    for query in ({"limit": 0}, {"limit": 101}, {"limit": "x"}, {"after": "nonsense"}, {"after": "ds_" + "0" * 26}):
        assert (await tenant.http.get("/v1/factor_sets", params=query)).status_code == 422
