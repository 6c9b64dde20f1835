"""Tenants on the session's stack, and the demo's labelled images."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from heddle_infra.s3 import S3ObjectStore
from heddle_platform.settings import ObjectStoreSettings
from tests.e2e.studio_page import IMAGES, launch, opened
from tests.e2e.studio_stage import publish_turned
from tests.e2e.wire import LabelledImages, Wire


def create_tenant(stack: Any) -> Wire:
    answer = httpx.post(
        f"{stack.control_url}/v1/admin/tenants",
        json={"name": "acme"},
        headers={"Authorization": f"Bearer {stack.admin_key}"},
        timeout=30,
    )
    answer.raise_for_status()
    return Wire(stack.control_url, stack.edge_url, answer.json())


@pytest.fixture
def new_tenant(stack: Any) -> Iterator[Callable[[], Wire]]:
    made: list[Wire] = []

    def make() -> Wire:
        made.append(create_tenant(stack))
        return made[-1]

    yield make
    for wire in made:
        wire.close()


@pytest.fixture
def tenant(new_tenant: Callable[[], Wire]) -> Wire:
    return new_tenant()


@pytest.fixture(scope="module")
def module_tenant(stack: Any) -> Iterator[Wire]:
    wire = create_tenant(stack)
    yield wire
    wire.close()


@pytest.fixture(scope="session")
def stack_objects(stack: Any) -> S3ObjectStore:
    """The stack's object store, with the operator's credentials: what is really there."""
    return S3ObjectStore(ObjectStoreSettings(**stack.object_store))


@pytest.fixture(scope="session")
def micah() -> LabelledImages:
    """1,000 rendered avatars with six labelled factors, as the demo makes them."""
    from heddle_platform.base import rendered  # renders with packages of the demo extra

    made = rendered.labelled_set(style="micah", n=1000, seed=20261122)
    factors = [
        {"name": name, "kind": "categorical", "levels": list(levels)}
        for name, levels in zip(made.factors, made.levels, strict=True)
    ]
    labels = [
        {name: levels[level] for name, levels, level in zip(made.factors, made.levels, row, strict=True)}
        for row in made.labels
    ]
    return LabelledImages(tuple(made.images), tuple(labels), {"name": "avatars", "factors": factors})


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture(scope="session")
def fitted(stack: Any, micah: LabelledImages) -> Iterator[Wire]:
    """A tenant whose first version is fitted and waits for a person; all tests of the studio share it."""
    wire = create_tenant(stack)
    dataset = wire.dataset(micah.archive(range(IMAGES)), micah.factor_set)
    job = wire.wait(wire.queue_fit(dataset["id"], "avatars"))
    assert job["status"] in ("succeeded", "awaiting_approval"), job
    yield wire
    wire.close()


@pytest.fixture(scope="session")
def approved(fitted: Wire) -> Wire:
    """The same tenant, its first version in production."""
    fitted.approve("avatars", 1)
    return fitted


@pytest.fixture(scope="session")
def two_versions(approved: Wire) -> Wire:
    """The same tenant with a second version that passed, which is not in production."""
    dataset = approved.call("GET", "/v1/datasets")["data"][-1]["id"]
    job = approved.wait(approved.queue_fit(dataset, "avatars", card="brief"))
    assert job["result"]["version"] > 1, job
    return approved


@pytest.fixture(scope="session")
def turned(stack: Any) -> str:
    """Id of a second base, which no tenant stands on."""
    return publish_turned(stack)


@pytest.fixture
def open_studio(browser: Browser, stack: Any) -> Callable[..., Any]:
    return lambda wire, **options: opened(browser, stack.control_url, key_of(wire), **options)


def key_of(wire: Wire) -> str:
    return wire.control.headers["Authorization"].removeprefix("Bearer ")
