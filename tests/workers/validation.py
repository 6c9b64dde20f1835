"""What the tests of validation share: a set in, its report out."""

from typing import Any, BinaryIO

from heddle_platform.factors import FactorSet
from heddle_platform.ports import Part
from heddle_platform.settings import LimitSettings
from heddle_workers.progress import silent
from heddle_workers.validate import Announced, Validation, validate_set

from .conftest import upload_of

LIMITS = LimitSettings(dataset_max_images=50)
KEPT: list[bytes] = []


def kept(plain: BinaryIO, size: int) -> tuple[Part, ...]:
    """Take a set that is written anew, as a task sends it to the store."""
    plain.seek(0)
    KEPT.append(plain.read())
    assert len(KEPT[-1]) == size
    return (Part(1, "etag"),)


def validated(data: bytes, factor_set: FactorSet, limits: LimitSettings = LIMITS) -> Validation:
    """Validate a zip that is what was announced."""
    upload = upload_of(data)
    return validate_set(upload, Announced(upload.size, upload.sha256), factor_set, limits, silent, kept)


def faults(data: bytes, factor_set: FactorSet, limits: LimitSettings = LIMITS) -> list[tuple[str, Any, Any]]:
    """Return code, row and column of every fault of a zip that must have some."""
    found = validated(data, factor_set, limits)
    assert found.manifest is None
    assert found.report["valid"] is False
    assert found.report["fault_count"] >= len(found.report["errors"]) > 0
    return [(fault["code"], fault.get("row"), fault.get("column")) for fault in found.report["errors"]]
