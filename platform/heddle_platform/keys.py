"""Object-store keys, and the prefix of cache keys: the only place that builds them.

Everything of a tenant lies under `tenants/<tenant id>/`; bases and corpora are shared. Immutable objects carry their
SHA-256 in the key, so that writing one twice is harmless and a half-written one is never pointed at.
"""

from heddle_platform.errors import InvalidInput

TENANTS = "tenants/"
BASES = "bases/"
OPERATOR = "operator/"
PROBES = "probes/"
_EVALUATION = "evaluation-"
_ADDRESSED = frozenset({"datasets", "latents", "adapters", "edit_batches", "exports"})


def _part(text: str) -> str:
    # SeaweedFS does not list keys with empty or trailing parts back as written, and ".." is refused
    if not text or "/" in text or text in {".", ".."}:
        raise InvalidInput(f"{text[:60]!r} cannot be a part of an object key", code="invalid_key_part")
    return text


def base_file(name: str, digest: str, file: str) -> str:
    """Return `bases/<name>/<digest>/<file>`."""
    return base_folder(name, digest) + _part(file)


def base_folder(name: str, digest: str) -> str:
    """Return the prefix of a base's files, with its closing slash."""
    return f"bases/{_part(name)}/{_part(digest)}/"


def corpus_prefix(name: str) -> str:
    """Return the prefix below which a corpus's files lie, with its closing slash."""
    return f"corpora/{_part(name)}/"


def corpus_file(name: str, path: str) -> str:
    """Return the key of one file of a corpus; `path` may have folders (`images/0001.png`)."""
    return corpus_prefix(name) + "/".join(_part(step) for step in path.split("/"))


def pretrain_prefix(job_id: str) -> str:
    """Return the prefix of a pretraining's checkpoints, with its closing slash."""
    return f"operator/pretrain/{_part(job_id)}/"


def pretrain_checkpoint(job_id: str, step: int) -> str:
    """Return the key of the checkpoint after so many steps; keys sort as steps do."""
    return f"{pretrain_prefix(job_id)}{step:012d}.pt"


def sweep_prefix(job_id: str) -> str:
    """Return the prefix of what a sweep goes on from, with its closing slash."""
    return f"operator/sweep/{_part(job_id)}/"


def sweep_index(job_id: str, attempt: int) -> str:
    """Return the key of an attempt's list of the sweep's files; keys sort as attempts do."""
    return f"{sweep_prefix(job_id)}index-{attempt:06d}.json"


def sweep_file(job_id: str, attempt: int, sha256: str) -> str:
    """Return the key of a file with this SHA-256 that an attempt stored."""
    return f"{sweep_prefix(job_id)}files/{attempt:06d}-{_part(sha256)}"


def sweep_report_prefix(job_id: str) -> str:
    """Return the prefix of what a sweep found, with its closing slash."""
    return f"operator/sweep_reports/{_part(job_id)}/"


def sweep_report(job_id: str, sha256: str, kind: str) -> str:
    """Return the key of what a sweep found, a file of this SHA-256 and kind (`html`, `json`)."""
    return f"{sweep_report_prefix(job_id)}{_part(sha256)}.{_part(kind)}"


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


def evaluation(tenant_id: str, images_digest: str, adapter_digest: str, sha256: str) -> str:
    """Return the key of what an evaluation of an adapter on a labelled set found, a document with this SHA-256."""
    name = f"{_EVALUATION}{_part(adapter_digest)}-{_part(sha256)}.json"
    return f"{tenant_prefix(tenant_id)}datasets/{_part(images_digest)}/{name}"


def evaluated(key: str) -> str | None:
    """Return the digest of the adapter that an evaluation is of; None for keys of anything else."""
    name = key.rpartition("/")[2]
    return name.removeprefix(_EVALUATION).partition("-")[0] if name.startswith(_EVALUATION) else None


def latents(tenant_id: str, images_digest: str, base_digest: str) -> str:
    """Return the key of an image set's latents under one base."""
    return f"{tenant_prefix(tenant_id)}latents/{_part(images_digest)}/{_part(base_digest)}.npz"


def latents_of(tenant_id: str, images_digest: str) -> str:
    """Return the prefix of an image set's latents under all bases, with its closing slash."""
    return f"{tenant_prefix(tenant_id)}latents/{_part(images_digest)}/"


def adapter_file(tenant_id: str, digest: str, file: str) -> str:
    """Return the key of one file of an adapter version (`adapter.npz`, `adapter.onnx`, `card.json`, ...)."""
    return f"{tenant_prefix(tenant_id)}adapters/{_part(digest)}/{_part(file)}"


def export_prefix(tenant_id: str, job_id: str) -> str:
    """Return the prefix of what an export made, with its closing slash."""
    return f"{tenant_prefix(tenant_id)}exports/{_part(job_id)}/"


def export(tenant_id: str, job_id: str, sha256: str) -> str:
    """Return the key of the archive that an export made, a zip with this SHA-256."""
    return f"{export_prefix(tenant_id, job_id)}{_part(sha256)}.zip"


def edit_batch_prefix(tenant_id: str, batch_id: str) -> str:
    """Return the prefix of a batch's images, given and edited, with its closing slash."""
    return f"{tenant_prefix(tenant_id)}edit_batches/{_part(batch_id)}/"


def edit_batch_file(tenant_id: str, batch_id: str, file: str) -> str:
    """Return the key of one image of a batch of edits."""
    return edit_batch_prefix(tenant_id, batch_id) + _part(file)


def cache_prefix(tenant_id: str) -> str:
    """Return what every key of the cache begins with that holds something of the tenant."""
    return f"heddle:{_part(tenant_id)}:"


def rate_key(tenant_id: str, plane: str) -> str:
    """Return the key of the bucket that a tenant's requests to a plane are taken out of.

    It holds nothing of the tenant and does not stand under its prefix: an erasure must neither count nor empty it.
    """
    return f"heddle:rate:{_part(tenant_id)}:{_part(plane)}"


def addressed(tenant_id: str, key: str) -> tuple[str, str] | None:
    """Return the folder ("datasets", "latents", "adapters", "edit_batches", "exports") that a key of the tenant stands
    in, and the digest, of a batch or an export the id, that it stands under there.

    None for other keys: what lies there is named one by one.
    """
    folder, _, rest = key.removeprefix(tenant_prefix(tenant_id)).partition("/")
    digest, _, file = rest.partition("/")
    return (folder, digest) if folder in _ADDRESSED and file else None


def is_known(tenant_id: str, key: str) -> bool:
    """Tell whether a key of the tenant is of a kind that this version of the code writes.

    Others were written by a newer one, which knows whether they are needed.
    """
    return addressed(tenant_id, key) is not None or key.startswith(f"{tenant_prefix(tenant_id)}uploads/")


def probe(token: str) -> str:
    """Return the key of a short-lived object that a start-up check writes, rewrites and removes."""
    return f"probes/{_part(token)}"
