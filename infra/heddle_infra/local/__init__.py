"""The embedded stack: real servers from wheels and our own processes, on this machine's loopback, supervised.

`run_stack` runs one in this process, `start_detached` in the background, `stop` ends it, `describe` looks at it.
Linux and macOS; on macOS a killed supervisor's children are ended at the next start, on Linux at once.
"""

from heddle_infra.local.config import SERVICES, StackBusy, StackConfig, StackFailed
from heddle_infra.local.info import StackInfo, stack_settings
from heddle_infra.local.launch import erase, start_detached, stop
from heddle_infra.local.state import ServiceRecord
from heddle_infra.local.status import (
    ListeningSocket,
    ProcessStatus,
    StackStatus,
    describe,
    listening_sockets,
    stack_processes,
)
from heddle_infra.local.supervisor import run_stack

__all__ = [
    "SERVICES",
    "ListeningSocket",
    "ProcessStatus",
    "ServiceRecord",
    "StackBusy",
    "StackConfig",
    "StackFailed",
    "StackInfo",
    "StackStatus",
    "describe",
    "erase",
    "listening_sockets",
    "run_stack",
    "stack_processes",
    "stack_settings",
    "start_detached",
    "stop",
]
