"""The images of a labelled set by row, decoded when asked for: a set need not fit into memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from heddle_platform import pixels
from heddle_platform.archive import Archive, open_archive
from heddle_platform.errors import DataCorrupt, InvalidInput
from heddle_platform.labels import FaultReport
from heddle_platform.settings import LimitSettings

_SMALL_KEPT = 4_096  # 12 KB each at 64 x 64: 50 MB


class ImageSet:
    """Images of a checked upload, by row of its manifest.

    Attributes:
        files: path of each image in the upload.
    """

    def __init__(self, archive: Archive, files: Sequence[str], limits: LimitSettings) -> None:
        self._archive = archive
        self.files = files
        self._limits = limits
        self._small: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self.files)

    def file(self, row: int) -> bytes:
        """Return the file of image `row` as it was uploaded."""
        return self._archive.read(self.files[row], max_bytes=self._limits.image_max_bytes)

    def original(self, row: int) -> NDArray[np.uint8]:
        """Return image `row` at its own size, uint8 [H, W, 3]."""
        return pixels.decode(
            self.file(row), max_bytes=self._limits.image_max_bytes, max_pixels=self._limits.image_max_pixels
        )

    def small(self, rows: Sequence[int], size: int) -> NDArray[np.uint8]:
        """Return images as a base sees them, uint8 [B, size, size, 3]; recent ones are kept."""
        return np.stack([self._one(int(row), size) for row in rows])

    def _one(self, row: int, size: int) -> NDArray[np.uint8]:
        kept = self._small.get((row, size))
        if kept is None:
            kept = pixels.resize(self.original(row), size)
            if len(self._small) < _SMALL_KEPT:
                self._small[row, size] = kept
        return kept


class UnopenedSet(ImageSet):
    """A set whose zip was not fetched: names of its images, and no picture."""

    def __init__(self, files: Sequence[str]) -> None:
        self.files = files

    def file(self, row: int) -> bytes:
        """Refuse.

        Raises:
            InvalidInput: code `no_pictures`.
        """
        raise InvalidInput(
            f"image {self.files[row]!r} was asked for, but the set was not opened; fit with a full card",
            code="no_pictures",
        )

    def small(self, rows: Sequence[int], size: int) -> NDArray[np.uint8]:
        """Refuse; see `file`."""
        return np.stack([np.frombuffer(self.file(row), np.uint8) for row in rows])


@contextmanager
def open_image_set(source: BinaryIO, files: Sequence[str], limits: LimitSettings) -> Iterator[ImageSet]:
    """Open the zip of a set that was found valid.

    Args:
        source: the zip.
        files: paths of its images in the order of the manifest.
        limits: those of the validation.

    Raises:
        DataCorrupt: code `images_corrupt`: the zip is not the one that was validated.
    """
    faults = FaultReport()
    with open_archive(source, faults, max_images=limits.dataset_max_images) as archive:
        missing = len(set(files) - set(archive.images))
        if faults.count or missing:
            raise DataCorrupt(
                f"the stored images have {faults.count} fault(s) and lack {missing} of {len(files)} files; upload the "
                "set again",
                code="images_corrupt",
            )
        yield ImageSet(archive, files, limits)
