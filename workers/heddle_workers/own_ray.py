"""A Ray that lives as long as one command, on loopback: for trainings without a stack."""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
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
