"""Ray for one command: its own on loopback, for trainings without a stack, or a cluster that it joins as a driver."""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from heddle_infra.local.environment import RAY_LOOPBACK
from heddle_platform.errors import Unavailable

_OBJECT_STORE_BYTES: Final = 400 * 1024**2


@contextmanager
def own_ray(cpus: int) -> Iterator[None]:
    """Start Ray, and stop it at the end.

    Args:
        cpus: CPUs it is told to have, at least those of the machine.
    Raises:
        Unavailable: it did not start.
    """
    os.environ.update({**RAY_LOOPBACK, "OMP_NUM_THREADS": "1", "RAY_AUTH_TOKEN": secrets.token_hex(24)})
    import ray  # after the environment, which it reads when it is imported

    for last in (False, False, True):
        try:
            ray.init(
                num_cpus=max(cpus, os.cpu_count() or 1),
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                object_store_memory=_OBJECT_STORE_BYTES,
            )
        except Exception as error:  # a bare one: its processes give each other half a minute at most
            ray.shutdown()
            if last:
                raise Unavailable(
                    f"Ray did not start ({str(error)[:200]}); on a busy machine try again when it is calmer"
                ) from error
        else:
            break
    try:
        yield
    finally:
        ray.shutdown()


@dataclass(frozen=True)
class JoinedNode:
    """The node of a cluster that a process runs on.

    Attributes:
        cpus: it has, at least 1.
        resource: of which whoever asks for a little is put on this node.
    """

    cpus: int
    resource: str


@contextmanager
def joined_ray(address: str) -> Iterator[JoinedNode]:
    """Join a cluster; at the end, whatever ends the process, Ray ends what it started there.

    Args:
        address: host:port of the cluster's head.
    Raises:
        Unavailable: it cannot be joined.
    """
    import ray

    from heddle_workers.nodes import view_of

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except Exception as error:
        raise Unavailable(f"Ray at {address} cannot be joined: {str(error)[:200]}") from error
    try:
        own_id = ray.get_runtime_context().get_node_id()
        node = next(each for each in view_of(address)["nodes"] if own_id.startswith(each["id"]))
        yield JoinedNode(max(1, int(node["cpus"])), f"node:{node['address']}")
    finally:
        ray.shutdown()
