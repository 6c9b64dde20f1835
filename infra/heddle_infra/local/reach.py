"""Which folders another user can get to: asked before PostgreSQL, started by root, becomes somebody else."""

import os
import stat
from pathlib import Path
from typing import Final

from heddle_infra.local.service import OsUser

_ROOT_FOLDER: Final = Path("/var/lib/heddle")


def can_pass(user: OsUser, folder: Path) -> bool:
    """Tell whether the user can get into a folder, through every folder above it.

    Args:
        user: whose rights are asked about; only its primary group counts.
        folder: an absolute path that exists.
    """
    return all(_allows(user, step, stat.S_IXUSR) for step in (folder, *folder.parents))


def can_read(user: OsUser, file: Path) -> bool:
    """Tell whether the user could read the file, were the folders above it open."""
    return _allows(user, file, stat.S_IRUSR)


def folder_of_root() -> Path:
    """Return (and make) the folder where root keeps what its other users must reach."""
    _ROOT_FOLDER.mkdir(mode=0o711, parents=True, exist_ok=True)
    return _ROOT_FOLDER


def _allows(user: OsUser, path: Path, owner_bit: int) -> bool:
    found = os.stat(path)
    if found.st_uid == user.uid:
        bit = owner_bit
    elif found.st_gid == user.gid:
        bit = owner_bit >> 3
    else:
        bit = owner_bit >> 6
    return bool(found.st_mode & bit)
