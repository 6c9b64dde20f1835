"""Labelled sets: registered with their validation, reported on, paged through, deleted."""

from heddle_platform import keys
from heddle_platform.digest import sha256_hex
from heddle_platform.ids import derived_id
from tests.api.control_world import FACTORS, Person, World, claim_all, upload


async def test_registering_queues_the_validation_in_the_same_transaction(world: World, tenant: Person) -> None:
    factor_set = await tenant.post("/v1/factor_sets", FACTORS)
    upload_id = await tenant.upload()
    answer = await tenant.http.post(
        "/v1/datasets", json={"name": "spring", "factor_set": "avatars@1", "upload": upload_id}
    )
    made = answer.json()
    assert (answer.status_code, made["status"]) == (202, "validating")
    assert made["factor_set"] == {"id": factor_set["id"], "version": 1}
    assert answer.headers["location"] == f"/v1/datasets/{made['id']}"
    listed = await tenant.get("/v1/jobs", params={"type": "validate"})
    assert [job["dataset"] for job in listed["data"]] == [made["id"]]
    assert (await tenant.get("/v1/jobs"))["data"] == []  # validations are shown only where asked for
    job = next(job for job in await claim_all(world) if job.tenant_id == tenant.id)
    assert job.spec == {
        "dataset_id": made["id"],
        "upload_id": upload_id,
        "factor_set_id": factor_set["id"],
        "factor_set_version": 1,
    }
    report = await tenant.get(f"/v1/datasets/{made['id']}/validation")
    assert (report["status"], report["valid"], report["errors"]) == ("validating", None, [])


async def test_a_valid_set_becomes_ready_and_its_images_can_be_paged(tenant: Person) -> None:
    dataset = await tenant.ready_dataset(b"zip bytes")
    found = await tenant.get(f"/v1/datasets/{dataset}")
    assert (found["status"], found["images"], found["digest"]) == ("ready", 3, sha256_hex(b"zip bytes"))
    report = await tenant.get("/v1/datasets/spring/validation")  # by name as well
    assert (report["valid"], report["fault_count"], report["levels"]) == (True, 0, {"smile": {"off": 2, "on": 1}})
    first = await tenant.get(f"/v1/datasets/{dataset}/items", params={"limit": 3})
    assert [item["file"] for item in first["data"]] == ["0.png", "1.png", "2.png"]
    item = derived_id("itm", "1.png")
    assert first["data"][1] == {"id": item, "file": "1.png", "sha256": sha256_hex(b"1"), "labels": {"smile": "1"}}
    rest = await tenant.get(f"/v1/datasets/{dataset}/items", params={"limit": 3, "after": first["next_cursor"]})
    assert ([item["labels"] for item in rest["data"]], rest["has_more"]) == ([{}], False)
    gone = await tenant.http.get(f"/v1/datasets/{dataset}/items", params={"after": derived_id("itm", "gone.png")})
    assert (gone.status_code, gone.json()["code"]) == (422, "invalid_cursor")


async def test_a_rejected_set_reports_row_and_column_and_leaves_earlier_sets_alone(tenant: Person) -> None:
    good = await tenant.ready_dataset(b"good", name="good")
    bad = await tenant.dataset(b"bad", name="bad")
    await tenant.validated(bad, None)
    report = await tenant.get(f"/v1/datasets/{bad}/validation")
    assert (report["status"], report["valid"], report["fault_count"]) == ("rejected", False, 1)
    fault = report["errors"][0]
    assert (fault["code"], fault["row"], fault["column"]) == ("unknown_level", 3, "glasses")
    items = await tenant.http.get(f"/v1/datasets/{bad}/items")
    assert (items.status_code, items.json()["code"]) == (409, "dataset_not_ready")
    assert (await tenant.get(f"/v1/datasets/{good}"))["status"] == "ready"
    assert (await tenant.http.get("/v1/datasets/bad")).status_code == 404  # a name means a set that may be used


async def test_an_upload_makes_one_set_only(tenant: Person) -> None:
    await tenant.post("/v1/factor_sets", FACTORS)
    body = {"name": "spring", "factor_set": "avatars", "upload": await tenant.upload()}
    await tenant.post("/v1/datasets", body)
    answer = await tenant.http.post("/v1/datasets", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_not_complete")


async def test_an_unfinished_upload_makes_none(tenant: Person) -> None:
    await tenant.post("/v1/factor_sets", FACTORS)
    begun = await tenant.post("/v1/uploads", {"filename": "x", "bytes": 1, "sha256": "0" * 64})
    body = {"name": "spring", "factor_set": "avatars", "upload": begun["id"]}
    answer = await tenant.http.post("/v1/datasets", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_not_complete")
    assert (await tenant.get("/v1/datasets"))["data"] == []


async def test_references_are_checked(world: World, tenant: Person, other: Person) -> None:
    await tenant.post("/v1/factor_sets", FACTORS)
    theirs = await upload(world, other.http, b"theirs")
    good = {"name": "spring", "factor_set": "avatars", "upload": await tenant.upload()}
    for change, status, code in (
        ({"factor_set": "nothing"}, 404, "unknown_factor_set"),
        ({"factor_set": "avatars@2"}, 404, "unknown_factor_set"),
        ({"factor_set": "avatars@x"}, 422, "invalid_reference"),
        ({"upload": "up_nothing"}, 404, "unknown_upload"),
        ({"upload": theirs}, 404, "unknown_upload"),
        ({"upload": "a\x00b"}, 422, "invalid_request"),
        ({"name": ""}, 422, "invalid_request"),
        ({"more": 1}, 422, "invalid_request"),
    ):
        answer = await tenant.http.post("/v1/datasets", json={**good, **change})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await tenant.http.post("/v1/datasets", json=good)).status_code == 202


async def test_deleting_a_set_takes_its_objects_unless_an_equal_set_needs_them(world: World, tenant: Person) -> None:
    first = await tenant.ready_dataset(b"same", name="first")
    second = await tenant.ready_dataset(b"same", name="second")
    key = keys.dataset_images(tenant.id, sha256_hex(b"same"))
    assert (await tenant.http.delete(f"/v1/datasets/{first}")).status_code == 204
    assert (await tenant.http.get(f"/v1/datasets/{first}")).status_code == 404
    assert world.objects.head(key) is not None
    waiting = await tenant.dataset(b"same", name="third")
    assert (await tenant.http.delete(f"/v1/datasets/{second}")).status_code == 204
    assert world.objects.head(key) is not None  # the third will have these images
    busy = await tenant.http.delete(f"/v1/datasets/{waiting}")
    assert (busy.status_code, busy.json()["code"]) == (409, "dataset_in_use")
    await tenant.validated(waiting, b"same")
    assert (await tenant.http.delete(f"/v1/datasets/{waiting}")).status_code == 204
    assert list(world.objects.list(keys.tenant_prefix(tenant.id) + "datasets/")) == []


async def test_a_set_that_a_job_uses_is_kept(world: World, tenant: Person) -> None:
    await world.publish_base()
    dataset = await tenant.ready_dataset()
    job = await tenant.queue_fit(dataset)
    answer = await tenant.http.delete(f"/v1/datasets/{dataset}")
    assert (answer.status_code, answer.json()["code"]) == (409, "dataset_in_use")
    assert job in answer.json()["detail"]


async def test_lists_are_newest_first(tenant: Person) -> None:
    made = [await tenant.dataset(bytes([index]), name=f"set {index}") for index in range(3)]
    page = await tenant.get("/v1/datasets", params={"limit": 2})
    assert [found["id"] for found in page["data"]] == made[:0:-1]
    rest = await tenant.get("/v1/datasets", params={"limit": 2, "after": page["next_cursor"]})
    assert [found["id"] for found in rest["data"]] == made[:1]
