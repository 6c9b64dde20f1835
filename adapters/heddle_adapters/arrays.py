"""Names for the arrays that travel through this package, and the checks every entrance shares."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_platform.errors import InvalidInput

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_LARGEST = 1e100  # squares of more rows than there can be still add up below float64's end


def finite_matrix(values: NDArray[Any], what: str) -> Floats:
    """Return `values` as a float64 matrix.

    Args:
        values: rows x columns.
        what: name for the error sentence, plural ("latents").

    Raises:
        InvalidInput: code `wrong_shape` (not two axes, or an empty one), `not_numbers` (text, dates, complex numbers)
            or `not_finite` (NaN, infinite, masked, beyond 1e100).
    """
    matrix = _floats(values, what)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InvalidInput(
            f"{what} must be a table of rows x columns, none of them 0; got shape {matrix.shape}",
            code="wrong_shape",
            param=what,
        )
    faults = int(np.count_nonzero(~(np.abs(matrix) <= _LARGEST)))
    if faults:
        raise InvalidInput(
            f"{what} hold {faults} of {matrix.size} values that are not finite numbers; remove those rows",
            code="not_finite",
            param=what,
        )
    return matrix


def rows_of(values: NDArray[Any], what: str) -> NDArray[Any]:
    """Return what can be cut into rows, as it is.

    Raises:
        InvalidInput: code `wrong_shape`.
    """
    try:
        array = np.asanyarray(values)  # with its mask, if it has one
    except ValueError as error:  # NumPy's word for rows of unequal length
        raise InvalidInput(f"{what} have rows of unequal length", code="wrong_shape", param=what) from error
    if array.ndim == 0:
        raise InvalidInput(f"{what} must be a table of rows x columns, got {values!r}", code="wrong_shape", param=what)
    return array


def _floats(values: NDArray[Any], what: str) -> Floats:
    given = rows_of(values, what)
    masked = int(np.count_nonzero(np.ma.getmaskarray(given))) if isinstance(given, np.ma.MaskedArray) else 0
    if masked:
        raise InvalidInput(f"{what} hold {masked} masked values; remove those rows", code="not_finite", param=what)
    try:
        if given.dtype.kind in "biufO":  # what else NumPy would turn into numbers was meant otherwise
            return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InvalidInput(
        f"{what} must be numbers, not {given.dtype}; number the levels of text: numpy.unique(column, "
        "return_inverse=True)[1]",
        code="not_numbers",
        param=what,
    )


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only copy: adapters are shared between threads and addressed by their content."""
    copy = np.array(array, order="C")
    copy.setflags(write=False)
    return copy


def rounded(value: float) -> float:
    """Return a figure as documents keep it: six digits after the point, so that noise in the last bit shows nowhere."""
    return round(float(value), 6)
