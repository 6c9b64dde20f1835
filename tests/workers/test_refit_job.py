"""Refits and evaluations through the dispatcher, on real stores and real Ray."""

import json
from typing import Any

import pytest
from sqlalchemy import update

from heddle_infra.database import adapters, factor_sets, jobs, refits
from heddle_infra.database.models import AdapterVersionRow, JobRow
from heddle_platform import keys
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import parse_factor_set
from heddle_platform.records import Dataset, Job

from .world import World, avatar_factors, avatar_zip, rendered, running


async def refit(world: World, **wanted: Any) -> Job:
    trigger = wanted.pop("trigger", refits.BY_HAND)
    async with world.database.platform_transaction() as session:
        parts = await refits.resolve_refit(session, world.tenant.id, "avatars", **wanted)
        return await refits.queue_refit(session, parts, trigger=trigger)


async def evaluation(world: World, dataset: Dataset, adapter: str = "avatars@1") -> Job:
    async with world.database.platform_transaction() as session:
        parts = await refits.resolve_evaluation(session, world.tenant.id, adapter, dataset.id)
        return await refits.queue_evaluation(session, parts)


async def test_a_version_is_scored_on_images_it_has_not_seen_and_held_against_its_card(world: World) -> None:
    first, _ = await world.upload(avatar_zip(without=range(40)))
    fit = await world.queue_fit(first, waiting=True)
    async with running(world.dispatcher()):
        await world.until(fit.id)
        whole, _ = await world.upload(avatar_zip())
        job = await evaluation(world, whole)  # waits for the validation as a fit does
        assert job.status == "validating"
        done = await world.until(job.id)
        own = await world.until((await evaluation(world, first)).id)
        again = await world.until((await evaluation(world, whole)).id)

    assert (done.status, done.error) == ("succeeded", None)
    assert done.result is not None
    found = done.result
    assert (found["adapter"], found["version"], found["dataset"]) == ("avatars", 1, whole.id)
    assert (found["labels"], found["seen"], found["scored"]) == (120, 80, 40)
    assert {factor["name"] for factor in found["factors"]} == {"hair_color", "background"}
    [version] = await world.versions()
    for factor in found["factors"]:
        low, high = factor["accuracy_interval"]
        assert low <= factor["accuracy"] <= high
        assert sum(factor["counts"].values()) == factor["labels"] == 40
        card = next(one for one in version.card["factors"] if one["name"] == factor["name"])
        assert factor["compared"]["before"] == card["accuracy"]
        assert factor["name"] in found[factor["compared"]["outcome"]]
    assert found["mig"]["value"] is not None
    assert found["dci"]["protocol"]["code"] == "too_few_rows", "forty images allow none, and that is said"
    assert {warning["code"] for warning in found["warnings"]} == {"some_seen", "few_images"}

    place = found["evaluation"]
    data = world.objects.get(keys.evaluation(world.tenant.id, place["set"], version.digest, place["sha256"]))
    assert sha256_hex(data) == place["sha256"]
    stored = json.loads(data)
    for factor in stored["factors"]:
        right = sum(row.get(level, 0) for level, row in factor["confusion"].items())
        assert right / factor["labels"] == pytest.approx(factor["accuracy"], abs=1e-6)

    assert own.result is not None
    assert (own.result["seen"], own.result["scored"]) == (80, 80)
    assert own.result["warnings"][0]["code"] == "all_seen"
    assert again.result is not None
    assert again.result["evaluation"]["sha256"] == place["sha256"], "the same question has the same answer, to the byte"
    assert world.cluster.ran.count("heddle_encode") == 2, "each set is encoded once"
    assert world.cluster.ran.count("heddle_evaluate") == 3
    assert len(await world.versions()) == 1
    assert await world.counted() == {"jobs": 4, "rows_fitted": 80, "images_encoded": 200}


async def test_what_an_erased_image_had_a_say_in_goes_from_evaluations(world: World) -> None:
    first, _ = await world.upload(avatar_zip(without=range(40)))
    fit = await world.queue_fit(first, waiting=True)
    async with running(world.dispatcher()):
        await world.until(fit.id)
        other, _ = await world.upload(avatar_zip(without=range(40, 120)))
        job = await evaluation(world, other)
        assert (await world.until(job.id)).status == "succeeded"
        assert [key for key in await world.stored() if keys.evaluated(key)]
        erasure = await world.queue_erasure(rendered().images[50])  # the version learnt from it
        assert (await world.until(erasure.id)).status == "succeeded"
        told = await world.job(job.id)
    assert told.result == {
        "adapter": "avatars",
        "adapter_id": (await world.versions())[0].adapter_id,
        "version": 1,
        "dataset": other.id,
        "erased_by": erasure.id,
    }
    assert not [key for key in await world.stored() if keys.evaluated(key)]


async def test_labels_that_the_version_does_not_know_fail_the_job_and_name_the_column(world: World) -> None:
    dataset, _ = await world.upload(avatar_zip())
    document = avatar_factors()
    async with world.database.platform_transaction() as session:
        narrow = parse_factor_set({"name": "narrow", "factors": document["factors"][:1]})
        factors = await factor_sets.register(session, world.tenant.id, narrow)
    async with running(world.dispatcher()):
        fit = await world.until((await world.queue_fit(dataset, waiting=True, factors=factors)).id)
        assert fit.status in ("succeeded", "awaiting_approval")
        other, _ = await world.upload(avatar_zip(without=range(10)))
        job = await evaluation(world, other)  # nothing is known of the labels yet
        failed = await world.until(job.id)
        with pytest.raises(InvalidInput) as refused:
            await evaluation(world, other)
    assert failed.error is not None
    assert (failed.error.code, failed.error.param) == ("labels_do_not_fit", "background")
    assert (refused.value.code, refused.value.param) == ("labels_do_not_fit", "dataset")
    assert [detail.column for detail in refused.value.details] == ["background"]


async def test_a_refit_of_what_has_not_changed_makes_no_version(world: World) -> None:
    dataset, _ = await world.upload(avatar_zip())
    fit = await world.queue_fit(dataset, waiting=True)
    async with running(world.dispatcher()):
        first = await world.until(fit.id)
        assert first.result is not None
        quick = await world.until((await refit(world)).id)
        assert world.cluster.ran.count("heddle_fit") == 1, "inputs and code are known to be the same"
        async with world.database.platform_transaction() as session:
            made = await session.get(JobRow, fit.id, with_for_update=True)
            assert made is not None
            made.result = {**first.result, "code_version": "0.0.1"}
        slow = await world.until((await refit(world)).id)
        assert world.cluster.ran.count("heddle_fit") == 2, "made by other code, it is fitted and compared"
        async with world.database.platform_transaction() as session:
            rollout = await jobs.create(session, None, job_type="rollout", spec={}, dataset_id=None, status="succeeded")
            await session.execute(update(AdapterVersionRow).values(job_id=rollout.id))
        rolled = await world.until((await refit(world)).id)
        assert world.cluster.ran.count("heddle_fit") == 3, "an operator's job does not tell tenants what it ran on"
    for done in (quick, slow, rolled):
        assert (done.status, done.error) == ("succeeded", None)
        assert done.result is not None
        assert (done.result["unchanged"], done.result["version"], done.result["trigger"]) == (True, 1, "by hand")
    assert len(await world.versions()) == 1


async def test_a_refit_of_a_small_fit_is_small_and_one_of_other_factors_is_read_with_them(world: World) -> None:
    dataset, _ = await world.upload(avatar_zip())
    fit = await world.queue_fit(dataset, waiting=True, card="brief")
    async with running(world.dispatcher()):
        await world.until(fit.id)
        document = avatar_factors()
        async with world.database.platform_transaction() as session:
            newer = {**document, "factors": document["factors"][:1]}
            await factor_sets.register(session, world.tenant.id, parse_factor_set(newer))
        done = await world.until((await refit(world, trigger="feedback")).id)
    new, old = await world.versions()
    assert done.spec["card"] == "brief"
    assert set(new.files) == set(old.files) == {"adapter.npz", "files.zip"}
    assert [factor["name"] for factor in new.card["factors"]] == ["hair_color"]
    assert (new.factor_set_version, new.card["refit"]) == (2, {"trigger": "feedback", "of": 1})
    assert world.cluster.ran.count("heddle_encode") == 1


async def test_a_refit_on_more_labels_is_gated_as_a_fit_is_and_says_why_it_was_made(world: World) -> None:
    few, _ = await world.upload(avatar_zip(without=range(60)))
    fit = await world.queue_fit(few, waiting=True)
    async with running(world.dispatcher()):
        await world.until(fit.id)
        [version] = await world.versions()
        async with world.database.platform_transaction() as session:
            await session.execute(update(AdapterVersionRow).values(status="approved"))
            await adapters.move_alias(
                session, world.tenant.id, version.adapter_id, "production", 1, if_match=None, checked=False
            )
        more, _ = await world.upload(avatar_zip())
        done = await world.until((await refit(world, dataset=more.id, trigger="drift")).id)
        fitted = await world.until((await world.queue_fit(more, "avatars")).id)
    new, refitted, old = await world.versions()
    assert (old.version, refitted.version, new.version) == (1, 2, 3)
    assert done.status in ("succeeded", "awaiting_approval", "failed")
    assert done.result is not None
    assert fitted.result is not None
    assert (done.result["trigger"], done.result["refit_of"], done.result["unchanged"]) == ("drift", 1, False)
    assert refitted.card["refit"] == {"trigger": "drift", "of": 1}
    assert refitted.digest == new.digest, "equal labels, images and base give equal bytes"
    assert (refitted.verdict, refitted.gate, done.status) == (new.verdict, new.gate, fitted.status)
    assert refitted.gate["compared"]["version"] == 1
    assert await world.events(done.id) == ["created", "queued", "started", done.status]
