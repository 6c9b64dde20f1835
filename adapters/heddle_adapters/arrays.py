"""Names for the arrays that travel through this package, and the checks every entrance shares."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_platform.errors import InvalidInput

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


def finite_matrix(values: NDArray[Any], what: str) -> Floats:
    """Return `values` as a float64 matrix.

    Args:
        values: rows x columns.
        what: name for the error sentence, plural ("latents").

    Raises:
        InvalidInput: code `wrong_shape` (not two axes, or an empty one) or `not_finite`.
    """
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InvalidInput(
            f"{what} must be a table of rows x columns, none of them 0; got shape {matrix.shape}",
            code="wrong_shape",
            param=what,
        )
    faults = int(np.count_nonzero(~np.isfinite(matrix)))
    if faults:
        raise InvalidInput(
            f"{what} hold {faults} of {matrix.size} values that are not finite numbers; remove those rows",
            code="not_finite",
            param=what,
        )
    return matrix


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only copy: adapters are shared between threads and addressed by their content."""
    copy = np.array(array, order="C")
    copy.setflags(write=False)
    return copy


def rounded(value: float) -> float:
    """Return a figure as documents keep it: six digits after the point, so that noise in the last bit shows nowhere."""
    return round(float(value), 6)
