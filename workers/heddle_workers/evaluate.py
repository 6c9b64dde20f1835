"""An evaluation: a version's files and a set's labels and latents to a document. Computes, and writes nothing."""

from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray
from pydantic import ValidationError

from heddle_adapters.artifact import unpack
from heddle_adapters.evaluate import evaluate
from heddle_adapters.report import Card
from heddle_platform.labels import WEIGHT_COLUMN
from heddle_platform.manifest import Manifest
from heddle_platform.other_labels import check_columns

log = structlog.get_logger()


def evaluate_set(
    adapter: bytes,
    card: dict[str, Any],
    manifest: Manifest,
    latents_ML: NDArray[np.float32],
    fitted_on: Manifest | None,
) -> dict[str, Any]:
    """Score a version on a set.

    Args:
        adapter: its matrices, packed.
        card: its card's document; of a format that is read no more, nothing is held against it.
        manifest: of the set.
        latents_ML: of all its images, labelled ones first.
        fitted_on: the manifest of the set that the version was fitted on, where it is known.

    Raises:
        InvalidInput: code `labels_do_not_fit`, `param` names the column; code `too_few_labels`.
    """
    found = unpack(adapter)
    check_columns({name for row in manifest.rows for name in row.labels} - {WEIGHT_COLUMN}, found.factor_set)
    table = manifest.table(found.factor_set)
    seen_N = None
    if fitted_on is not None:
        known = {image.sha256 for image in fitted_on.rows}
        seen_N = np.array([image.sha256 in known for image in manifest.rows], dtype=bool)
    latents_NL = latents_ML[: len(table.files)].astype(np.float64)
    scored = evaluate(found, latents_NL, table.values_NF, _card(card), seen_N, weight_N=table.weight_N)
    return scored.document()


def _card(document: dict[str, Any]) -> Card | None:
    try:
        return Card.model_validate(document)
    except ValidationError:
        log.warning("card_not_comparable")
        return None
