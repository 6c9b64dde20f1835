"""What is attested when rows were unlearned: a plain document, signed where the platform's key lives."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from heddle_adapters.artifact import pack
from heddle_adapters.statistics import Statistics, pack_statistics
from heddle_adapters.unlearn import Unlearned
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import InvalidInput

KIND: Final = "heddle.unlearning.v1"
TOLERANCE: Final = 1e-8


def unlearning_certificate(
    before: bytes,
    statistics: Statistics,
    done: Unlearned,
    row_digests: Sequence[str],
    at: datetime,
    *,
    difference: float | None = None,
) -> dict[str, Any]:
    """Return the document of one unlearning.

    Args:
        before: the packed adapter that held the rows.
        statistics: its statistics.
        done: what `unlearn` returned.
        row_digests: SHA-256 of each image that went, labelled or not; the certificate names no file.
        at: when, with a time zone.
        difference: what `unlearn_check.refit_difference` measured; None: the rows that stay were not at hand.

    Raises:
        InvalidInput: code `row_count_mismatch`: there is not one digest per row that went.
    """
    gone = statistics.rows - done.statistics.rows + statistics.pool.count - done.statistics.pool.count
    if len(row_digests) != gone:
        raise InvalidInput(
            f"{gone} rows were unlearned and {len(row_digests)} digests given; name each row once",
            code="row_count_mismatch",
        )
    return {
        "kind": KIND,
        "at": at.isoformat(timespec="seconds"),
        "base_digest": done.adapter.base_digest,
        "adapter": {"before": sha256_hex(before), "after": sha256_hex(pack(done.adapter))},
        "statistics": {
            "before": sha256_hex(pack_statistics(statistics)),
            "after": sha256_hex(pack_statistics(done.statistics)),
        },
        "rows": {
            "removed": sorted(row_digests),
            "labelled_before": statistics.rows,
            "labelled_after": done.statistics.rows,
            "unlabelled_before": statistics.pool.count,
            "unlabelled_after": done.statistics.pool.count,
        },
        "check": {
            "difference": difference,
            "tolerance": TOLERANCE,
            "of": "closed-form matrices in float64: statistics less these rows, against a solve of the rows that stay",
        },
        "parts": dict(sorted(done.parts.items())),
        "meaning": {
            "exact": f"equals a refit without the rows, in float64 to {TOLERANCE:g}, stored as float32",
            "replaced": "holds nothing of the rows, and is not what a refit would choose",
            "refitted": "fitted anew on the rows that stay and on nothing else",
            "kept": "chosen when the rows were still there; a strength or a switch, no direction",
        },
    }
