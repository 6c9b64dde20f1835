"""Fixtures: an edge in this process."""

from collections.abc import AsyncIterator

import pytest

from heddle_platform.base.bundle import BaseBundle, default_bundle_path, load_bundle
from heddle_platform.base.runtime import BaseRuntime
from tests.api.edge.edge_world import Edge, Fitted, World, fit_demo, make_world, running_edge


@pytest.fixture(scope="session")
def bundle() -> BaseBundle:
    return load_bundle(default_bundle_path())


@pytest.fixture(scope="session")
def runtime(bundle: BaseBundle) -> BaseRuntime:
    return BaseRuntime.from_bundle(bundle)


@pytest.fixture(scope="session")
def fitted(runtime: BaseRuntime) -> Fitted:
    return fit_demo(runtime)


@pytest.fixture
def world(bundle: BaseBundle, fitted: Fitted) -> World:
    """A world of the test's own, to break."""
    return make_world(bundle, fitted)


@pytest.fixture
async def edge(world: World) -> AsyncIterator[Edge]:
    """An edge of the test's own."""
    async with running_edge(world) as running:
        yield running


@pytest.fixture(scope="module")
async def shared_edge(bundle: BaseBundle, fitted: Fitted) -> AsyncIterator[Edge]:
    """An edge for tests that change nothing but its cache."""
    async with running_edge(make_world(bundle, fitted)) as running:
        yield running
