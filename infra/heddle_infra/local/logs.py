"""Log files of the stack, kept from growing without bound."""

import logging
import shutil
from pathlib import Path
from typing import Final

from heddle_platform.telemetry import configure_logging

LARGEST_BYTES: Final = 16 * 1024**2


def log_into(file: Path) -> None:
    """Send this process's own log to a file, where the terminal belongs to people or to JSON.

    Args:
        file: appended to; made with its folder if need be.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    configure_logging("supervisor")
    stream = file.open("a", buffering=1)  # a line at a time; open as long as the process lives
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(stream)


def trim_logs(folder: Path, largest_bytes: int = LARGEST_BYTES) -> None:
    """Move the content of every log that has grown too large to `<name>.log.1` and empty it.

    The processes hold their files open for appending, so a file is copied and cut, not renamed; lines
    written between the two are lost.

    Args:
        folder: holds `*.log`.
        largest_bytes: a log may have this many.
    """
    for log in folder.glob("*.log"):
        if log.stat().st_size > largest_bytes:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            with log.open("r+b") as file:
                file.truncate(0)


def last_lines(log: Path, *, most_bytes: int = 1500) -> str:
    """Return the end of a log, from the beginning of a line; empty if there is none."""
    try:
        with log.open("rb") as file:
            start = max(0, log.stat().st_size - most_bytes)
            file.seek(start)
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return (text.partition("\n")[2] if start else text).strip()
