"""Fixtures of the control plane's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.api.control_world import Person, World, open_world
from tests.api.live import Live, open_live


@pytest.fixture
async def world(postgres_url: str) -> AsyncIterator[World]:
    """A control plane of its own for each test; the database is shared."""
    async with open_world(postgres_url) as opened:
        yield opened


@pytest.fixture
async def tenant(world: World) -> Person:
    """A fresh tenant."""
    return await world.tenant("acme")


@pytest.fixture
async def other(world: World) -> Person:
    """Somebody else."""
    return await world.tenant("rival")


@pytest.fixture
async def live(postgres_url: str) -> AsyncIterator[Live]:
    """A control plane on a loopback port."""
    async with open_live(postgres_url) as opened:
        yield opened
