"""How a running stack is reached, for people and programs."""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from heddle_infra.local.config import StackFailed, StackPaths, stack_paths
from heddle_infra.local.credentials import write_private


class StackInfo(BaseModel, frozen=True):
    """Where a stack is and how to get in; holds its admin key, so mind where it is written."""

    control_url: str
    edge_url: str
    studio_url: str
    admin_key: str
    data_dir: str
    supervisor_pid: int


def keep_settings(paths: StackPaths, settings: Mapping[str, str]) -> None:
    """Write down the settings of a stack's processes, readable by its owner only."""
    write_private(paths.settings, json.dumps(dict(settings), indent=2))


def stack_settings(data_dir: Path) -> dict[str, str]:
    """Return the `HEDDLE_*` variables with which a program of the owner's reaches the stack's servers.

    Raises:
        StackFailed: the stack was never started.
    """
    path = stack_paths(data_dir).settings
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StackFailed(f"{path} cannot be read; start the stack with `heddle up --data-dir {data_dir}`") from error
    return {str(name): str(value) for name, value in found.items()}


def stack_info(paths: StackPaths, settings: Mapping[str, str], supervisor_pid: int) -> StackInfo:
    """Put together how a stack is reached from the settings its own processes are given."""
    return StackInfo(
        control_url=settings["HEDDLE_CONTROL_URL"],
        edge_url=settings["HEDDLE_EDGE_URL"],
        studio_url=f"{settings['HEDDLE_CONTROL_URL']}/",  # the control plane serves the page at its root
        admin_key=settings["HEDDLE_ADMIN_KEY"],
        data_dir=str(paths.data),
        supervisor_pid=supervisor_pid,
    )
