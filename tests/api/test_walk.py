"""The whole API walked with another tenant's ids: each answers exactly as an id that does not exist."""

import json
import re

import httpx

from heddle_platform.ids import new_id
from tests.api.control_world import FACTORS, Person, World
from tests.api.test_control_isolation import things_of
from tests.api.walk import ID_PROVIDERS, Place, places


def _without_ids(answer: httpx.Response) -> str:
    told = {name: value for name, value in answer.json().items() if name not in ("request_id", "instance")}
    # an edit id is longer, and quoted by its beginning
    return re.sub(r"[a-z]+_[0-9a-hjkmnp-tv-z]{26}|edt_[\w-]+", "<id>", json.dumps(told))


async def same_answer(caller: Person, place: Place, mine: dict[str, str], theirs: dict[str, str]) -> str | None:
    """Return what is wrong with the answers to a foreign and to an invented id; None: nothing."""
    invented = {kind: new_id(kind) for kind in theirs}  # type: ignore[arg-type]
    answers = []
    for other in (theirs, invented):
        method, path, body, query = place.request(mine, other)
        answers.append(await caller.http.request(method, path, json=body, params=query))
    foreign, missing = answers
    where = f"{place.method.upper()} {place.path} with another's {', '.join(place.swapped)}"
    for_operators = foreign.status_code == 403 and foreign.json()["code"] == "missing_scope"
    # a filter of a list may answer with nothing but what is the caller's anyway
    filtered = foreign.status_code == 200 and set(place.swapped) <= set(place.query)
    told = filtered and any(theirs[ID_PROVIDERS[name]] in foreign.text for name in place.swapped)
    if told or not (foreign.status_code == 404 or for_operators or filtered):
        return f"{where}: {foreign.status_code} {foreign.text[:200]}"
    if (foreign.status_code, _without_ids(foreign)) != (missing.status_code, _without_ids(missing)):
        return f"{where}: {foreign.text[:200]} unlike {missing.text[:200]}"
    return None


async def test_no_route_tells_anothers_id_from_one_that_does_not_exist(
    world: World, tenant: Person, other: Person
) -> None:
    theirs = {**await things_of(other), "ten": other.id}
    mine = {**await things_of(tenant), "ten": tenant.id}
    await tenant.post("/v1/factor_sets", FACTORS)
    # an item is named by its set and its bytes, and these two sets hold the same bytes: another's item is one of no set
    theirs["itm"] = new_id("itm")
    before = await kept(other, theirs)
    walked = list(places(world.app.openapi()))
    wrong = [fault for place in walked if (fault := await same_answer(tenant, place, mine, theirs)) is not None]
    assert not wrong, "\n".join(wrong)
    assert len({(place.method, place.path) for place in walked}) >= 30
    assert await kept(other, theirs) == before


async def kept(owner: Person, things: dict[str, str]) -> list[object]:
    """Return what the walk might have changed."""
    paths = (
        f"/v1/adapters/{things['ada']}",
        f"/v1/adapters/{things['ada']}/versions/1",
        f"/v1/jobs/{things['job']}",
        f"/v1/datasets/{things['ds']}",
        f"/v1/api_keys/{things['key']}",
        f"/v1/erasure_requests/{things['era']}",
    )
    return [await owner.get(path) for path in paths]
