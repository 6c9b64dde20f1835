"""Tenants on the session's stack, and the demo's labelled images."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from heddle_infra.s3 import S3ObjectStore
from heddle_platform.settings import ObjectStoreSettings
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
