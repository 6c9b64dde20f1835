"""`heddle base shards` as a shell runs it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from heddle_api.cli.main import app
from heddle_platform import pixels
from heddle_platform.base.sources.place import LocalPlace
from heddle_platform.base.sources.shards import read_index

IMAGES = 60


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["base", "shards", *map(str, arguments)], env={"COLUMNS": "220"})


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["file,hat,taken_by"]
    for n in range(IMAGES):
        image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        (folder / f"{n}.png").write_bytes(pixels.encode(image, "image/png"))
        lines.append(f"{n}.png,{('cap', 'bowler')[n % 2]},me")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


def test_it_tells_what_it_wrote_and_what_it_left_out(photos: Path, tmp_path: Path) -> None:
    result = run(photos, tmp_path / "out", "--size", 32, "--grey")
    assert result.exit_code == 0, result.output
    assert "57 images in 1 shards, 3 held out. Factors: hat 2." in result.stdout
    assert "column taken_by: it has 1 different value(s)" in result.output
    index = read_index(LocalPlace(tmp_path / "out"))
    assert index is not None
    assert (index.size, index.channels) == (32, 1)


def test_faults_are_told_in_a_sentence(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photos / "7.png").write_bytes(b"broken")
    refused = run(photos, tmp_path / "out")
    assert refused.exit_code == 1
    assert "7.png" in refused.output
    skipped = run(photos, tmp_path / "out", "--skip-broken")
    assert skipped.exit_code == 0, skipped.output
    assert "1 image(s) that cannot be decoded" in skipped.output
    inside = run(photos, photos / "out")
    assert inside.exit_code == 1
    assert "lies in" in inside.output
    nowhere = run(tmp_path / "nowhere", tmp_path / "out")
    assert nowhere.exit_code == 1
    assert "there is no file at" in nowhere.output
    named = run(photos, tmp_path / "other", "--skip-broken", "--label", "beard")
    assert named.exit_code == 1
    assert "no sample has a label 'beard'" in named.output
    monkeypatch.delenv("HEDDLE_S3_ENDPOINT_URL", raising=False)
    stored = run(photos, "stored:photos")
    assert stored.exit_code == 1
    assert "HEDDLE_S3_ENDPOINT_URL" in stored.output


def test_reading_a_source_needs_no_pyarrow_and_no_torch(photos: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = sys.modules['torch'] = None\n"
        "from heddle_api.cli.main import app; app(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "base", "shards", str(photos), str(tmp_path / "out")]
    subprocess.run(command, check=True, capture_output=True)
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    command = [sys.executable, "-c", code, "base", "shards", str(tmp_path / "x.parquet"), str(tmp_path / "other")]
    refused = subprocess.run(command, check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "pyarrow" in refused.stderr
