"""Publishing the base that ships with heddle, through the public API; `heddle up` does it at every start."""

import io
import os
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from heddle_api.client import ApiError, HeddleClient
from heddle_platform.base.bundle import BaseBundle, default_bundle_path, load_bundle, read_card_files

NAME: Final = "default"
ALIAS: Final = "default"
_FIXED_DATE: Final = (1980, 1, 1, 0, 0, 0)


def publish_default_base(
    control_url: str,
    admin_key: str,
    *,
    bundle_path: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> str:
    """Make sure the packaged base is published, and that the alias `default` points at some base.

    Called at every start, so it must not undo what an operator decided: a base that was published before is not
    uploaded again, and an alias that was moved away from it stays where it is.

    Args:
        control_url: address of the control plane.
        admin_key: an operator's key.
        bundle_path: a bundle's folder; None: the one that ships with heddle.
        on_progress: told bytes sent and bytes in all.

    Returns:
        The packaged base's digest.

    Raises:
        NotFound: there is no bundle.
        DataCorrupt: the bundle is damaged.
        ApiError: the control plane refused or failed.
    """
    bundle = load_bundle(bundle_path or default_bundle_path())
    with HeddleClient(control_url, api_key=admin_key) as client:
        if _exists(client, bundle.digest) and _exists(client, ALIAS):
            return bundle.digest
        packed = pack_bundle(bundle, read_card_files(bundle_path or default_bundle_path()))
        client.publish_base(packed, name=NAME, alias=ALIAS, on_progress=on_progress)
    return bundle.digest


def pack_bundle(bundle: BaseBundle, card: Mapping[str, bytes] | None = None) -> bytes:
    """Zip a bundle, and its model card if there is one, as POST /v1/bases takes it; equal bytes for equal bundles."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # weights do not compress
        for name, data in {**bundle.all_files(), **(card or {})}.items():
            archive.writestr(zipfile.ZipInfo(name, _FIXED_DATE), data)
    return buffer.getvalue()


def _exists(client: HeddleClient, reference: str) -> bool:
    try:
        client.base(reference)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


if __name__ == "__main__":  # for deployments, where no `heddle up` does it
    sys.stdout.write(publish_default_base(os.environ["HEDDLE_CONTROL_URL"], os.environ["HEDDLE_ADMIN_KEY"]) + "\n")
