"""The environment of the stack's processes: built here, nothing but what is meant to be inherited is."""

import os
from collections.abc import Mapping
from typing import Final

# the launcher's surroundings that a program may need to run at all
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME", "LD_LIBRARY_PATH")
# and what decides which Python code it runs, or where it looks for certificates
_PASSED_TO_PYTHON: Final = ("PYTHONPATH", "VIRTUAL_ENV", "SSL_CERT_FILE")

_OWNERS: Final = "HEDDLE_DATABASE_OWNER_URL"

_QUIET_THREADS: Final = {
    # two numerical threads per process on a busy small machine are many times slower than one
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

_FEW_ARENAS: Final = {
    # glibc keeps eight heaps per core and what each once held: 195 MB over all processes after three fits
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_TRIM_THRESHOLD_": "1048576",
}

RAY_LOOPBACK: Final = {
    # makes every Ray process on Linux bind 127.0.0.1, as it does on macOS; asserted by the stack's test
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
}


def server_environment(launcher: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a server that is not ours: no `HEDDLE_*`, no cloud credentials, no proxies."""
    launcher = os.environ if launcher is None else launcher
    return {name: launcher[name] for name in _PASSED_ON if name in launcher}


def python_environment(launcher: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a Python program without any secret in it: Ray's workers inherit this one."""
    launcher = os.environ if launcher is None else launcher
    own = {name: launcher[name] for name in _PASSED_TO_PYTHON if name in launcher}
    # nothing is imported from whatever folder the launcher stands in
    fixed = {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1", **_QUIET_THREADS, **_FEW_ARENAS, **_no_proxy(launcher)}
    return {**server_environment(launcher), **own, **fixed}


def application_environment(settings: Mapping[str, str], launcher: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a plane or the dispatcher: the launcher's `HEDDLE_*`, and over them the stack's.

    None of them is told how the owner of the tables gets in.

    Args:
        settings: the `HEDDLE_*` variables that this stack decides.
        launcher: None takes this process's own environment.
    """
    launcher = os.environ if launcher is None else launcher
    given = {name: value for name, value in launcher.items() if name.startswith("HEDDLE_") and name != _OWNERS}
    return {**python_environment(launcher), **given, **settings}


def _no_proxy(launcher: Mapping[str, str]) -> dict[str, str]:
    kept = [launcher.get("NO_PROXY") or launcher.get("no_proxy") or "", "127.0.0.1", "localhost"]
    hosts = ",".join(filter(None, kept))
    return {"NO_PROXY": hosts, "no_proxy": hosts}
