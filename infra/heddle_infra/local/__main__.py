"""The supervisor as a program of its own: forks into the background, says its pid, runs the stack.

python -m heddle_infra.local --data-dir DIR
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import structlog

from heddle_infra.local.config import SERVICES, StackConfig
from heddle_infra.local.supervisor import run_stack
from heddle_platform.errors import HeddleError
from heddle_platform.telemetry import configure_logging


def main(arguments: list[str]) -> int:
    """Fork; in the child run a stack until it is told to stop.

    Args:
        arguments: the command line without the program's name.

    Returns:
        0 after an orderly end, 1 if the stack could not be started.
    """
    parser = argparse.ArgumentParser(prog="python -m heddle_infra.local", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--services", default=",".join(SERVICES))
    parser.add_argument("--ray-cpus", type=int, default=StackConfig.ray_cpus)
    parser.add_argument("--ray-object-store-bytes", type=int, default=StackConfig.ray_object_store_bytes)
    parser.add_argument("--cache-bytes", type=int, default=StackConfig.cache_bytes)
    given = parser.parse_args(arguments)
    config = StackConfig(
        data_dir=given.data_dir,
        services=tuple(given.services.split(",")),
        ray_cpus=given.ray_cpus,
        ray_object_store_bytes=given.ray_object_store_bytes,
        cache_bytes=given.cache_bytes,
    )
    if pid := os.fork():
        os.write(sys.stdout.fileno(), f"{pid}\n".encode())
        return 0
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, sys.stdout.fileno())  # the starter reads standard output to its end
    configure_logging("supervisor")
    try:
        asyncio.run(run_stack(config))
    except HeddleError as error:
        structlog.get_logger(__name__).error("stack_failed", code=error.code, why=error.message)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
