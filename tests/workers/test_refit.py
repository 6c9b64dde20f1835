"""Refitting on arrays: labelled rows, one with a missing label, and a pool image leave a real fit."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from heddle_adapters.artifact import unpack
from heddle_adapters.playbook import drawn_page
from heddle_adapters.statistics import unpack_statistics
from heddle_platform.digest import sha256_hex
from heddle_platform.manifest import Manifest, ManifestImage
from heddle_platform.settings import LimitSettings
from heddle_workers.fit import fit_set
from heddle_workers.fitted import Fitted
from heddle_workers.image_set import open_image_set
from heddle_workers.progress import silent
from heddle_workers.refit import Before, refit_without
from heddle_workers.trips import RoundTrips

from .conftest import packed, upload_of
from .study import LABELLED, Study
from .world import rendered

AT = datetime(2030, 1, 2, tzinfo=UTC)
GONE = (0, 5, LABELLED + 3)  # row 5 misses a label, the last is of the pool


def manifest_of(study: Study) -> Manifest:
    """Return the manifest the study's set would have."""
    images = []
    for row, file in enumerate(study.images.files):
        labels = {}
        if row < LABELLED:
            for factor, value in zip(study.factor_set.factors, study.table.values_NF[row], strict=True):
                if not np.isnan(value):
                    names = getattr(factor, "level_names", None)
                    labels[factor.name] = names[int(value)] if names else repr(float(value))
        images.append(ManifestImage(file=file, sha256=sha256_hex(rendered().images[row]), labels=labels))
    return Manifest(images="0" * 64, rows=tuple(images[:LABELLED]), unlabelled=tuple(images[LABELLED:]))


@contextmanager
def without(study: Study, rows: tuple[int, ...]) -> Iterator[RoundTrips]:
    """Open the set without some rows."""
    stays = np.setdiff1d(np.arange(len(study.images)), rows)
    files = [study.images.files[row] for row in stays]
    entries = {file: rendered().images[row] for file, row in zip(files, stays, strict=True)}
    archive = packed({"labels.csv": b"file\n", **entries})
    with upload_of(archive).file as source, open_image_set(source, files, LimitSettings()) as images:
        yield RoundTrips(study.trips.runtime, images, study.trips.latents_NL[stays], threads=2)


@pytest.mark.parametrize("statistics", ["stored", "unreadable"])
def test_labelled_and_pool_images_leave_together(study: Study, statistics: str) -> None:
    files = study.fitted.files
    stored = files["statistics.npz"] if statistics == "stored" else b"of another format"
    before = Before(files["adapter.npz"], stored, manifest_of(study), study.trips.latents_NL)
    assert np.array_equal(before.manifest.table(study.factor_set).values_NF, study.table.values_NF, equal_nan=True)
    gone = {sha256_hex(rendered().images[row]) for row in GONE}
    with without(study, GONE) as trips:
        found = refit_without(before, gone, study.factor_set, trips, AT, silent)
    assert found.refused is None
    assert found.fitted is not None
    assert found.certificate is not None
    left = unpack_statistics(found.fitted.files["statistics.npz"])
    assert (left.rows, left.pool.count) == (LABELLED - 2, 120 - LABELLED - 1)
    assert found.certificate["rows"] == {
        "removed": sorted(gone),
        "labelled_before": LABELLED,
        "labelled_after": LABELLED - 2,
        "unlabelled_before": 120 - LABELLED,
        "unlabelled_after": 120 - LABELLED - 1,
    }
    assert found.certificate["check"]["difference"] < 1e-8
    assert found.certificate["adapter"] == {"before": study.fitted.digest, "after": found.fitted.digest}
    assert found.certificate["at"] == "2030-01-02T00:00:00+00:00"
    with np.load(io.BytesIO(found.fitted.files["adapter.npz"])) as arrays:
        assert np.array_equal(arrays["read_LC"], unpack(found.fitted.files["adapter.npz"]).read_LC)


def test_what_cannot_be_fitted_is_said(study: Study) -> None:
    files = study.fitted.files
    before = Before(files["adapter.npz"], files["statistics.npz"], manifest_of(study), study.trips.latents_NL)
    gone = {sha256_hex(image) for image in rendered().images[: LABELLED - 3]}
    found = refit_without(before, gone, study.factor_set, study.trips, AT, silent)
    assert (found.fitted, found.certificate) == (None, None)
    assert found.refused is not None
    assert found.refused["code"] == "too_few_labels"


def page_of(brief: Fitted) -> str:
    return drawn_page("card.html", brief.files["adapter.npz"], brief.files["card.json"]).decode()


def test_rows_leave_a_weighted_set_with_their_weights(study: Study) -> None:
    weight_N = np.random.default_rng(3).uniform(0.2, 4.0, LABELLED).round(3)
    table = replace(study.table, weight_N=weight_N)
    fitted = fit_set(table, study.factor_set, study.trips, silent, kind="brief")
    plain = fit_set(study.table, study.factor_set, study.trips, silent, kind="brief")
    assert fitted.digest != plain.digest
    effective = round(float(weight_N.sum() ** 2 / np.square(weight_N).sum()), 1)
    assert fitted.card["protocol"]["weights"]["rows"] == LABELLED
    assert fitted.card["protocol"]["weights"]["effective_rows"] == effective
    assert f"as evidence they amount to {effective}" in page_of(fitted)
    assert "weights" not in plain.card["protocol"]
    assert "as evidence" not in page_of(plain)
    manifest = manifest_of(study)
    rows = [
        row.model_copy(update={"labels": {**row.labels, "weight": repr(float(weight))}})
        for row, weight in zip(manifest.rows, weight_N, strict=True)
    ]
    weighted = manifest.model_copy(update={"rows": tuple(rows)})
    gone = {sha256_hex(rendered().images[row]) for row in GONE}
    for statistics in (fitted.files["statistics.npz"], b"of another format"):
        before = Before(fitted.files["adapter.npz"], statistics, weighted, study.trips.latents_NL)
        with without(study, GONE) as trips:
            found = refit_without(before, gone, study.factor_set, trips, AT, silent)
        assert found.certificate is not None
        assert found.certificate["check"]["difference"] < 1e-8
        assert found.fitted is not None
        left = unpack_statistics(found.fitted.files["statistics.npz"])
        assert left.weights is not None
        assert left.weights.total == pytest.approx(np.delete(weight_N, GONE[:2]).sum())
