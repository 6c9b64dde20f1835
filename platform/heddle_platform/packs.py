"""Packs: several small files of an adapter version in one object, written by fits with brief cards."""

import io
import zipfile
from typing import Final

from heddle_platform.errors import DataCorrupt, NotFound

PACK_FILE: Final = "files.zip"


def unpacked(pack: bytes, file: str) -> bytes:
    """Return one file of a pack.

    Args:
        pack: the object's bytes, checked against their digest already.
        file: its name.

    Raises:
        NotFound: code `unknown_file`.
        DataCorrupt: the pack is no zip.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(pack)) as archive:
            return archive.read(file)
    except KeyError as error:
        raise NotFound(f"the version has no file {file}", code="unknown_file") from error
    except zipfile.BadZipFile as error:
        raise DataCorrupt(f"the stored {PACK_FILE} ({len(pack)} bytes) is no zip") from error
