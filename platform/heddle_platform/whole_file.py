"""Files that are whole at any moment, whenever the process or the machine stops."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file: whoever reads it finds all of the new one or all of the old one."""
    aside = path.with_name(path.name + ".writing")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
