"""The labelled slice: what of a part of the corpus scores can be measured on."""

import numpy as np
from numpy.typing import NDArray

from heddle_platform.base.corpus import UNKNOWN, Part
from heddle_platform.base.readings import Reading, Score

SLICE_ROWS = 1000

# A forest per factor and part takes about a second: scores shall not take more time than the training.
SLICE_PARTS = 3
_LEAST_ROWS = 50


def labelled_slice(part: Part, rows: int | None = SLICE_ROWS) -> NDArray[np.int16] | None:
    """Labels of a part's first images, of those factors that all of them are labelled with and that vary.

    Args:
        part: images and labels [N, F], -1 where unknown.
        rows: take the first so many images; None: all.
    Returns:
        Labels [n, chosen factors]; None where there are under 50 images or no such factor.
    """
    labels_NF = part.labels[:rows]
    if len(labels_NF) < _LEAST_ROWS:
        return None
    known_F = (labels_NF != UNKNOWN).all(axis=0) & (labels_NF.min(axis=0) < labels_NF.max(axis=0))
    return labels_NF[:, known_F] if known_F.any() else None


def scored_slices(parts: tuple[Part, ...]) -> dict[str, NDArray[np.int16]]:
    """Labelled slices of the first three parts that have one, by name."""
    found = ((part.name, labelled_slice(part)) for part in parts)
    return dict([(name, labels) for name, labels in found if labels is not None][:SLICE_PARTS])


def score_parts(
    parts: tuple[Part, ...], codes: dict[str, NDArray[np.float32]], score: Score
) -> dict[str, dict[str, Reading]]:
    """Score the first three labelled parts.

    Args:
        parts: held-out images with labels.
        codes: part -> codes of all its images, [N, L].
        score: computes the scores.
    """
    return {name: score(codes[name][: len(labels)], labels) for name, labels in scored_slices(parts).items()}


def with_labels(score: Score, parts: tuple[Part, ...], labels: int) -> Score:
    """Return a score that sees no more than `labels` labelled images of all parts together, evenly shared."""
    rows = max(1, labels // max(1, len(scored_slices(parts))))
    return lambda codes_NL, labels_NF: score(codes_NL[:rows], labels_NF[:rows])
