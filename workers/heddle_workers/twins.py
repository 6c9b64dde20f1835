"""Twins: pictures that look the same though their files differ, as re-saved or scaled copies do.

Every picture is remembered as a thumbnail; two are twins when no cell of their thumbnails differs by more than a few
grey levels. A copy that lies in both the rows a fit learns from and those it is judged on flatters the scorecard.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

THUMBNAIL: Final = 8  # cells a side: 192 bytes a picture, 19 MB for 100,000
# Grey levels. Copies at JPEG quality 75 differ by 5 to 8 in their worst cell, scaled ones by 1 to 4; of 4,000 avatars
# that differ in a factor each, one in 200 has another within 10 of it.
NEAR: Final = 10
_PLANES: Final = 12
_NEIGHBOURS: Final = 8


class Thumbnails:
    """The thumbnails of a set's distinct files, in the order they were added."""

    def __init__(self) -> None:
        self._rows: list[NDArray[np.uint8]] = []
        self._known: set[str] = set()
        self._names: list[str] = []

    def add(self, name: str, sha256: str, image_HWC: NDArray[np.uint8]) -> None:
        """Remember a picture; byte-for-byte copies of one that is known are passed over.

        Args:
            name: of the file.
            sha256: of the file.
            image_HWC: uint8 [H, W, 3].
        """
        if sha256 not in self._known:
            self._known.add(sha256)
            self._names.append(name)
            small = Image.fromarray(image_HWC).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
            self._rows.append(np.asarray(small).reshape(-1))

    def twins(self) -> list[tuple[str, str]]:
        """Return (file, earlier file it looks like) of every file that looks like an earlier one, by its order."""
        if len(self._rows) < 2:
            return []
        thumbs_NP = np.stack(self._rows)
        return [(self._names[later], self._names[earlier]) for later, earlier in near_pairs(thumbs_NP)]


def near_pairs(thumbs_NP: NDArray[np.uint8]) -> Sequence[tuple[int, int]]:
    """Return (later, earlier) for every row that has an earlier one nowhere farther than `NEAR`.

    Neighbours are sought among projections on random orthonormal directions, which never lengthen a distance: a row's
    nearest `_NEIGHBOURS` there are compared in full. Rows of a large group of like ones may each name another of it.

    Args:
        thumbs_NP: uint8 [N, P].
    """
    from scipy.spatial import cKDTree  # as for all that the dispatcher imports by the way

    directions_PD, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((thumbs_NP.shape[1], _PLANES)))
    places_ND = (thumbs_NP.astype(np.float32) @ directions_PD.astype(np.float32)).astype(np.float64)
    reach = NEAR * float(np.sqrt(thumbs_NP.shape[1]))
    neighbours = min(_NEIGHBOURS, len(thumbs_NP))
    _, found = cKDTree(places_ND).query(places_ND, k=neighbours, distance_upper_bound=reach)
    found_NK = np.asarray(found)
    pairs: dict[int, int] = {}
    for column in range(1, neighbours):
        rows_M = np.flatnonzero(found_NK[:, column] < len(thumbs_NP))
        others_M = found_NK[rows_M, column]
        apart_M = np.abs(thumbs_NP[rows_M].astype(np.int16) - thumbs_NP[others_M]).max(axis=1, initial=0)
        for row, other in zip(rows_M[apart_M <= NEAR].tolist(), others_M[apart_M <= NEAR].tolist(), strict=True):
            later, earlier = max(row, other), min(row, other)
            pairs[later] = min(earlier, pairs.get(later, earlier))
    return sorted(pairs.items())
