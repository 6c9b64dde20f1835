"""Artifacts: adapters and bases out of the object store, held against their digests before anything is served."""

from typing import Final

import numpy as np

from heddle_adapters import artifact
from heddle_adapters.adapter import Adapter
from heddle_adapters.bank import AdapterBank
from heddle_api.edge.serving import LoadedBase
from heddle_platform import keys
from heddle_platform.base.bundle import FILES, MANIFEST, parse_bundle
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import DataCorrupt
from heddle_platform.ports import ObjectStore

ADAPTER_FILE: Final = "adapter.npz"
_WARM_BATCHES: Final = (1, 2, 8)


def fetch_adapter(objects: ObjectStore, tenant_id: str, digest: str, base_digest: str) -> Adapter:
    """Read one adapter. Blocking.

    Args:
        objects: where it lies.
        tenant_id: whose it is.
        digest: SHA-256 of its bytes.
        base_digest: the base it must have been fitted on.

    Raises:
        DataCorrupt: the bytes are not those of the digest, or it belongs to another base.
        NotFound: there is no such object.
        Unavailable: the store cannot be reached.
    """
    data = objects.get(keys.adapter_file(tenant_id, digest, ADAPTER_FILE))
    if (found := sha256_hex(data)) != digest:
        raise DataCorrupt(f"adapter {digest[:12]} has digest {found[:12]}; its stored bytes are damaged")
    adapter = artifact.unpack(data)
    if adapter.base_digest != base_digest:
        raise DataCorrupt(
            f"adapter {digest[:12]} was fitted on base {adapter.base_digest[:12]}, its row says {base_digest[:12]}",
            code="base_mismatch",
        )
    return adapter


def fetch_base(objects: ObjectStore, name: str, digest: str, *, threads: int) -> LoadedBase:
    """Read one base, make its sessions and run them warm. Blocking, some hundred milliseconds.

    Args:
        objects: where it lies.
        name: the base's name.
        digest: digest of its manifest.
        threads: ONNX Runtime threads of its sessions.

    Raises:
        DataCorrupt: a file is not the one its digest names.
        NotFound: a file is missing.
        Unavailable: the store cannot be reached.
    """
    bundle = parse_bundle({file: objects.get(keys.base_file(name, digest, file)) for file in (*FILES, MANIFEST)})
    if bundle.digest != digest:
        raise DataCorrupt(f"the manifest of base {name!r} has digest {bundle.digest[:12]}, not {digest[:12]}")
    runtime = BaseRuntime.from_bundle(bundle, threads=threads)
    for batch in _WARM_BATCHES:  # the first run of each shape allocates; no request should pay for it
        blank_BHWC = np.zeros((batch, runtime.image_size, runtime.image_size, 3), np.uint8)
        runtime.decode(runtime.encode(blank_BHWC))
    return LoadedBase(name, digest, runtime, AdapterBank(runtime.latents))
