"""A fitted version against the one in production, in a real database."""

from dataclasses import replace

from heddle_adapters.gate import Verdict
from heddle_adapters.report import Card
from heddle_infra.database import adapters
from heddle_platform.records import AdapterVersion
from heddle_workers.fitted import Fitted
from heddle_workers.production import Production

from .world import World, avatar_zip, running


def worse(version: AdapterVersion) -> Fitted:
    card = Card.model_validate(version.card)
    factors = []
    for factor in card.factors:
        low = {
            mode: found.model_copy(update={"effect_interval": (0.6, 0.64)})
            for mode, found in factor.effect_by_detail.items()
        }
        factors.append(factor.model_copy(update={"effect": 0.62, "effect_by_detail": low}))
    document = card.model_copy(update={"factors": tuple(factors)}).document()
    verdict = Verdict.model_validate(version.gate).model_copy(update={"verdict": "pass"})
    return Fitted("0" * 64, "pass", verdict.model_dump(mode="json"), document, {}, {})


async def test_a_version_is_held_against_production_once_there_is_one(world: World) -> None:
    dataset, _ = await world.upload(avatar_zip())
    fit = await world.queue_fit(dataset, waiting=True)
    async with running(world.dispatcher()):
        await world.until(fit.id)
    [version] = await world.versions()
    fitted = worse(version)
    tenant_id, production = world.tenant.id, Production(world.database)
    assert await production.held_against(tenant_id, "avatars", fitted) is fitted, "nothing is served yet"
    assert await production.held_against(tenant_id, "unheard_of", fitted) is fitted
    async with world.database.platform_transaction() as session:
        await adapters.decide(session, tenant_id, version.adapter_id, 1, decision="approve", comment="", key_id="key_x")
    found = await production.held_against(tenant_id, "avatars", fitted)
    assert found.verdict != "pass"
    assert found.gate["compared"]["version"] == 1
    assert found.card["gate"] == found.gate
    assert any("in production" in reason for reason in found.gate["reasons"])
    same = replace(fitted, digest=version.digest)
    assert await production.held_against(tenant_id, "avatars", same) is same, "a refit of equal data"
