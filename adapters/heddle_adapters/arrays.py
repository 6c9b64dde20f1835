"""Names for the arrays that travel through this package, and the checks every entrance shares."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_platform.errors import InvalidInput

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

LARGEST_LATENT = 1e9  # standardised ones are about 1; their fourth powers and what float32 stores of them hold
_LARGEST = 1e100  # squares of more rows than there can be still add up below float64's end


def finite_matrix(values: NDArray[Any], what: str, largest: float = _LARGEST) -> Floats:
    """Return `values` as a float64 matrix.

    Args:
        values: rows x columns.
        what: name for the error sentence, plural ("latents").
        largest: magnitude that is still taken.

    Raises:
        InvalidInput: code `wrong_shape` (not two axes, or an empty one), `not_numbers` (text, dates, complex numbers,
            what NumPy cannot read) or `not_finite` (NaN, infinite, masked, beyond `largest`).
    """
    matrix = _floats(values, what)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InvalidInput(
            f"{what} must be a table of rows x columns, none of them 0; got shape {matrix.shape}",
            code="wrong_shape",
            param=what,
        )
    fault_RC = ~(np.abs(matrix) <= largest)
    faults = int(np.count_nonzero(fault_RC))
    if faults:
        row, column = np.argwhere(fault_RC)[0]
        large = np.isfinite(matrix[fault_RC]).all()
        told = f"larger than {largest:.0e}; scale the column" if large else "not finite numbers; remove those rows"
        raise InvalidInput(
            f"{what} hold {faults} of {matrix.size} values, the first in row {row}, column {column}, that are {told}",
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
    except (TypeError, RuntimeError) as error:  # such as a tensor on a GPU, or one that a gradient is kept of
        raise InvalidInput(f"{what} cannot be read as an array: {error}", code="not_numbers", param=what) from error
    if array.ndim == 0:
        raise InvalidInput(
            f"{what} must be a table of rows x columns, got {values!r:.60}", code="wrong_shape", param=what
        )
    return array


def _floats(values: NDArray[Any], what: str) -> Floats:
    given = rows_of(values, what)
    masked = int(np.count_nonzero(np.ma.getmaskarray(given))) if isinstance(given, np.ma.MaskedArray) else 0
    if masked:
        raise InvalidInput(f"{what} hold {masked} masked values; remove those rows", code="not_finite", param=what)
    return numbers_of(given, what)


def numbers_of(given: NDArray[Any], what: str) -> Floats:
    """Return an array as float64, its NaN and infinite values too.

    Raises:
        InvalidInput: code `not_numbers`.
    """
    try:
        # what else NumPy would turn into numbers was meant otherwise, digits in words too
        if given.dtype.kind in "biufO" and not (given.dtype.kind == "O" and _holds_words(given)):
            with np.errstate(over="ignore"):  # a long double beyond float64 is infinite, and told as such
                return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InvalidInput(
        f"{what} must be numbers, not {given.dtype}; number the levels of text: numpy.unique(column, "
        "return_inverse=True)[1]",
        code="not_numbers",
        param=what,
    )


def _holds_words(objects: NDArray[Any]) -> bool:
    return any(isinstance(each, str | bytes) for each in objects.flat)


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only copy: adapters are shared between threads and addressed by their content."""
    copy = np.array(array, order="C")
    copy.setflags(write=False)
    return copy


def rounded(value: float) -> float:
    """Return a figure as documents keep it: six digits after the point, so that noise in the last bit shows nowhere."""
    return round(float(value), 6)
