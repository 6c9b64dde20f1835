"""Reading image files: a folder or zips of them, with or without a `labels.csv` (column `file`, then any columns)."""

from collections.abc import Iterator, Mapping

from heddle_platform.archive import IMAGE_SUFFIXES, LABELS_FILE, LABELS_MAX_BYTES, open_archive
from heddle_platform.base.sources.place import Entry, Place
from heddle_platform.base.sources.sample import IMAGE_MAX_BYTES, Sample, standing_at
from heddle_platform.errors import InvalidInput, TooLarge
from heddle_platform.labels import FaultReport, read_csv

_ZIP_MAX_IMAGES = 500_000

Table = dict[str, dict[str, str]]


def read_folder(place: Place) -> Iterator[Sample]:
    """Read the images of a folder in the order of their names; other files are passed over.

    Raises:
        InvalidInput: there is no image; `labels.csv` cannot be read or names an image that is not there.
    """
    entries = place.entries()
    images = [entry for entry in entries if entry.suffix in IMAGE_SUFFIXES]
    if not images:
        raise InvalidInput(
            f"{place} holds {len(entries)} file(s) and no PNG, JPEG or WebP image among them",
            code="no_images",
        )
    table: Table = {}
    for entry in entries:
        if entry.name == LABELS_FILE:
            table = _table(_whole(place, entry, LABELS_MAX_BYTES), {image.name for image in images}, str(place))
    for index, entry in enumerate(images):
        data = _whole(place, entry, IMAGE_MAX_BYTES)
        yield Sample(f"{place}: {entry.name}", data, (index + 1) / len(images), table.get(entry.name, {}))


def read_zips(place: Place, zips: tuple[Entry, ...]) -> Iterator[Sample]:
    """Read the images of zips, each with its own `labels.csv` if it has one.

    Raises:
        InvalidInput: a zip is damaged or hostile; its labels cannot be read.
    """
    for index, entry in enumerate(zips):
        report = FaultReport()
        where = f"{place}: {entry.name}"
        with (
            standing_at(where),
            place.open(entry.name) as file,
            open_archive(file, report, max_images=_ZIP_MAX_IMAGES, labels_needed=False) as archive,
        ):
            report.raise_if_any(where)
            table: Table = {}
            if archive.labelled:
                table = _table(archive.read(LABELS_FILE, max_bytes=LABELS_MAX_BYTES), set(archive.images), where)
            for done, name in enumerate(archive.images):
                share = (index + (done + 1) / len(archive.images)) / len(zips)
                with standing_at(f"{where}: {name}"):
                    data = archive.read(name, max_bytes=IMAGE_MAX_BYTES)
                yield Sample(f"{where}: {name}", data, share, table.get(name, {}))


def _whole(place: Place, entry: Entry, max_bytes: int) -> bytes:
    if entry.size > max_bytes:
        raise TooLarge(
            f"{place}: {entry.name} has {entry.size} bytes, at most {max_bytes} are taken; make it smaller",
            code="file_too_large",
        )
    data = place.read(entry.name)
    if data is None:
        raise InvalidInput(f"{place}: {entry.name} went away while the corpus was read", code="corpus_changed")
    return data


def _table(data: bytes, images: set[str], where: str) -> Table:
    header, rows = read_csv(data)
    report = FaultReport()
    for name in {name for name in header if header.count(name) > 1}:
        report.add("duplicate_column", f"the column {name[:60]!r} appears twice", row=1, column=name[:60])
    if "file" not in header:
        report.add("missing_column", "there is no column 'file'; it names each row's image", row=1, column="file")
    report.raise_if_any(f"{where}: {LABELS_FILE}")
    at = header.index("file")
    table: Table = {}
    for line, cells in rows:
        if len(cells) != len(header):
            report.add("wrong_cell_count", f"this row has {len(cells)} cells, the header {len(header)}", row=line)
        elif (name := cells[at].strip()) not in images:
            report.add("missing_file", f"there is no image {name[:100]!r}", row=line, column="file")
        elif name in table:
            report.add("duplicate_file", f"{name[:100]!r} stands in an earlier row already", row=line, column="file")
        else:
            table[name] = _labels(header, cells)
    report.raise_if_any(f"{where}: {LABELS_FILE}")
    return table


def _labels(header: list[str], cells: list[str]) -> dict[str, str]:
    row: Mapping[str, str] = dict(zip(header, cells, strict=True))
    return {column: cell for column, cell in row.items() if column != "file"}
