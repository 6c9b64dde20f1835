"""Reading `.npz` files of images and factors, row by row: `images` uint8 [N, H, W, C]; optionally `factors` int [N, F],
`factor_names` [F] and `factor_values`, a JSON list of each factor's level names. Nothing is unpickled.
"""

import json
import math
import zipfile
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from heddle_platform.base.sources.place import Entry, Place
from heddle_platform.base.sources.sample import IMAGE_MAX_PIXELS, Sample
from heddle_platform.errors import InvalidInput

_LABELS_MAX_BYTES: Final = 256 * 1024**2


def read_arrays(place: Place, files: tuple[Entry, ...]) -> Iterator[Sample]:
    """Read `.npz` files in the order of their names.

    Raises:
        InvalidInput: a file is damaged or of another layout; the sentence names the array.
    """
    for index, entry in enumerate(files):
        where = f"{place}: {entry.name}"
        with place.open(entry.name) as file:
            for sample in _read_file(file, where):
                yield Sample(sample.where, sample.image, (index + sample.share) / len(files), sample.labels)


def _read_file(file: BinaryIO, where: str) -> Iterator[Sample]:
    try:
        with zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
            if "images.npy" not in names:
                raise _wrong(
                    where, f"it holds {', '.join(sorted(names))[:200] or 'nothing'}; an array `images` is read"
                )
            labels, levels = _labels(archive, names, where)
            with archive.open("images.npy") as stream:
                yield from _rows(stream, labels, levels, where)
    except InvalidInput:
        raise
    except Exception as error:  # zipfile and numpy raise half a dozen types on damaged bytes
        raise _wrong(where, f"it cannot be read ({str(error)[:100] or type(error).__name__})") from error


def _rows(
    stream: IO[bytes], factors_NF: NDArray[np.int64] | None, levels: dict[str, list[str]], where: str
) -> Iterator[Sample]:
    shape, fortran, dtype = _header(stream)
    if dtype != np.uint8 or fortran or len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        raise _wrong(where, f"`images` is {dtype} {list(shape)}; uint8 [N, H, W], [N, H, W, 1] or [N, H, W, 3] is read")
    count, row_shape = shape[0], shape[1:]
    if min(row_shape) < 1 or row_shape[0] * row_shape[1] > IMAGE_MAX_PIXELS:
        raise _wrong(where, f"an image has {row_shape[0]} x {row_shape[1]} pixels, 1 to {IMAGE_MAX_PIXELS} are taken")
    if factors_NF is not None and len(factors_NF) != count:
        raise _wrong(where, f"`factors` has {len(factors_NF)} rows, `images` {count}; they must be equal")
    size = math.prod(row_shape)
    for row in range(count):
        data = stream.read(size)
        if len(data) < size:
            raise _wrong(where, f"`images` ends in row {row} of {count}")
        image = np.frombuffer(data, dtype=np.uint8).reshape(row_shape)
        yield Sample(f"{where}: row {row}", image, (row + 1) / count, _row_labels(factors_NF, levels, row, where))


def _row_labels(
    factors_NF: NDArray[np.int64] | None, levels: dict[str, list[str]], row: int, where: str
) -> dict[str, object]:
    if factors_NF is None:
        return {}
    labels: dict[str, object] = {}
    for (name, names), value in zip(levels.items(), factors_NF[row].tolist(), strict=True):
        if value >= len(names):
            raise _wrong(where, f"`factors` row {row}, column {name!r} is {value}; it has {len(names)} levels")
        labels[name] = names[value] if value >= 0 else None
    return labels


def _labels(
    archive: zipfile.ZipFile, names: set[str], where: str
) -> tuple[NDArray[np.int64] | None, dict[str, list[str]]]:
    if "factors.npy" not in names:
        return None, {}
    factors_NF = _small(archive, "factors.npy", where)
    if factors_NF.ndim != 2 or not np.issubdtype(factors_NF.dtype, np.integer):
        raise _wrong(where, f"`factors` is {factors_NF.dtype} {list(factors_NF.shape)}; integers [N, F] are read")
    titles = [str(name) for name in _small(archive, "factor_names.npy", where)]
    values = json.loads(str(_small(archive, "factor_values.npy", where)))
    if not len(titles) == len(set(titles)) == len(values) == factors_NF.shape[1]:
        raise _wrong(
            where,
            f"`factors` has {factors_NF.shape[1]} columns, `factor_names` {len(set(titles))} different names, "
            f"`factor_values` {len(values)} lists; they must be equal",
        )
    return factors_NF.astype(np.int64), {
        title: [str(value) for value in each] for title, each in zip(titles, values, strict=True)
    }


def _small(archive: zipfile.ZipFile, name: str, where: str) -> NDArray[Any]:
    if name not in archive.namelist():
        raise _wrong(where, f"it holds `factors` but no `{name.removesuffix('.npy')}`")
    title, size = name.removesuffix(".npy"), archive.getinfo(name).file_size
    if size > _LABELS_MAX_BYTES:
        raise _wrong(where, f"`{title}` has {size} bytes, at most {_LABELS_MAX_BYTES} are read")
    with archive.open(name) as stream:
        shape, _, dtype = _header(stream)
    # numpy allocates what the header declares before it reads a byte.
    if (declared := math.prod(shape) * dtype.itemsize) > size:
        raise _wrong(where, f"`{title}` declares {declared} bytes and has {size}")
    with archive.open(name) as stream:
        return np.asarray(npy.read_array(stream, allow_pickle=False))


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return read(stream)


def _wrong(where: str, found: str) -> InvalidInput:
    return InvalidInput(f"{where} is no array file of images: {found}", code="invalid_arrays")
