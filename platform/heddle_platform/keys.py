"""Object-store keys: the only place that builds them.

Everything of a tenant lies under `tenants/<tenant id>/`; bases are shared. Immutable objects carry their
SHA-256 in the key, so that writing one twice is harmless and a half-written one is never pointed at.
"""

from heddle_platform.errors import InvalidInput


def _part(text: str) -> str:
    # SeaweedFS does not list keys with empty or trailing parts back as written, and ".." is refused
    if not text or "/" in text or text in {".", ".."}:
        raise InvalidInput(f"{text[:60]!r} cannot be a part of an object key", code="invalid_key_part")
    return text


def base_file(name: str, digest: str, file: str) -> str:
    """Return `bases/<name>/<digest>/<file>`."""
    return f"bases/{_part(name)}/{_part(digest)}/{_part(file)}"


def pretrain_prefix(job_id: str) -> str:
    """Return the prefix of a pretraining's checkpoints, with its closing slash."""
    return f"operator/pretrain/{_part(job_id)}/"


def pretrain_checkpoint(job_id: str, step: int) -> str:
    """Return the key of the checkpoint after so many steps; keys sort as steps do."""
    return f"{pretrain_prefix(job_id)}{step:012d}.pt"


def tenant_prefix(tenant_id: str) -> str:
    """Return the prefix below which everything of the tenant lies, with its closing slash."""
    return f"tenants/{_part(tenant_id)}/"


def upload(tenant_id: str, upload_id: str) -> str:
    """Return the key of the bytes a tenant uploads."""
    return f"{tenant_prefix(tenant_id)}uploads/{_part(upload_id)}"


def operator_upload(upload_id: str) -> str:
    """Return the key of the bytes an operator uploads (a base to publish)."""
    return f"operator/uploads/{_part(upload_id)}"


def dataset_manifest(tenant_id: str, digest: str) -> str:
    """Return the key of a labelled set's manifest: its rows, labels and image digests."""
    return f"{tenant_prefix(tenant_id)}datasets/{_part(digest)}/manifest.json"


def dataset_images(tenant_id: str, digest: str) -> str:
    """Return the key of a labelled set's images: the checked zip, content-addressed by its SHA-256."""
    return f"{tenant_prefix(tenant_id)}datasets/{_part(digest)}/images.zip"


def latents(tenant_id: str, images_digest: str, base_digest: str) -> str:
    """Return the key of an image set's latents under one base."""
    return f"{tenant_prefix(tenant_id)}latents/{_part(images_digest)}/{_part(base_digest)}.npz"


def adapter_file(tenant_id: str, digest: str, file: str) -> str:
    """Return the key of one file of an adapter version (`adapter.npz`, `adapter.onnx`, `card.json`, ...)."""
    return f"{tenant_prefix(tenant_id)}adapters/{_part(digest)}/{_part(file)}"


def probe(token: str) -> str:
    """Return the key of a short-lived object that a start-up check writes, rewrites and removes."""
    return f"probes/{_part(token)}"
