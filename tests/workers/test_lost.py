"""What the loss of a task is laid to: the task itself, or the node it ran on."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from ray.exceptions import LocalRayletDiedError, NodeDiedError, RayError, WorkerCrashedError

from heddle_platform.settings import RaySettings
from heddle_workers.cluster import Cluster, NodeLost, WorkerLost
from heddle_workers.dispatch import not_its_fault
from heddle_workers.progress import silent
from heddle_workers.tasks import heddle_warm


@pytest.mark.parametrize(
    ("raised", "lost", "blameless"),
    [
        (NodeDiedError("it died"), NodeLost, True),  # type: ignore[no-untyped-call]
        (LocalRayletDiedError(), NodeLost, True),
        (WorkerCrashedError(), WorkerLost, False),
    ],
)
async def test_a_node_that_dies_is_no_fault_of_its_tasks(
    monkeypatch: pytest.MonkeyPatch, raised: RayError, lost: type[WorkerLost], blameless: bool
) -> None:
    async def stream() -> AsyncIterator[Any]:
        raise raised
        yield

    cluster = Cluster(RaySettings(ray_address="127.0.0.1:1"))
    monkeypatch.setattr(cluster, "_submit", lambda *_: stream())
    with pytest.raises(WorkerLost) as found:
        await cluster.run(heddle_warm, 0.0, silent)
    assert type(found.value) is lost
    assert not_its_fault(found.value) is blameless
