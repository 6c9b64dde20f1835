"""`heddle score` as a shell runs it."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from heddle_api.cli.main import app

RANDOM = np.random.default_rng(0)
FACTORS = np.stack([RANDOM.integers(levels, size=200) for levels in (2, 3)], axis=1)
CODES = np.hstack([FACTORS + 0.1 * RANDOM.normal(size=FACTORS.shape), RANDOM.normal(size=(200, 1))])


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["score", *map(str, arguments)], env={"COLUMNS": "220"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "codes.npz"
    np.savez(path, codes=CODES, codes_other=CODES, factors=FACTORS, kinds=np.array(["binary", "categorical"]))
    return path


def test_a_table_and_the_same_as_json(file: Path) -> None:
    table = run(file)
    assert table.exit_code == 0, table.output
    assert "modularity_explicitness" in table.stdout
    assert "with explicitness" in table.stdout
    machine = run(file, "--json", "--codes", "codes_other")
    lines = {line["name"]: line for line in json.loads(machine.stdout)["scores"]}
    assert lines["mig"]["value"] > 0.8
    assert len(lines["mig"]["interval"]) == 2
    assert lines["mig"]["protocol"]["bins"] == 20
    assert {"dci", "sap", "factor_vae", "beta_vae", "irs", "infomec", "lps", "probe"} <= set(lines)


def test_what_is_not_defined_is_a_line_with_its_reason(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", codes=CODES[:, :1], factors=FACTORS)
    lines = {each["name"]: each for each in json.loads(run(tmp_path / "one.npz", "--json").stdout)["scores"]}
    assert lines["mig"]["code"] == "one_latent"
    assert lines["irs"]["value"] is not None


def test_a_reason_is_told_once_and_eighty_columns_are_enough(tmp_path: Path) -> None:
    np.savez(tmp_path / "constant.npz", codes=CODES, factors=np.ones((200, 1)))
    told = CliRunner().invoke(app, ["score", str(tmp_path / "constant.npz")], env={"COLUMNS": "80"})
    assert told.exit_code == 0
    words = " ".join(told.stdout.split())
    assert words.count("factor 0 has 1") == 1
    assert words.count("as above") == 9
    assert max(map(len, told.stdout.splitlines())) <= 80


def test_bad_files_are_one_sentence(tmp_path: Path, file: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "objects.npz", codes=np.array([{}], dtype=object), factors=FACTORS)
    np.savez(tmp_path / "short.npz", codes=CODES[:5], factors=FACTORS)
    np.save(tmp_path / "single.npy", CODES)
    np.savez(tmp_path / "nan.npz", codes=np.where(CODES > 2, np.nan, CODES), factors=FACTORS)
    np.savez(tmp_path / "words.npz", codes=CODES, factors=np.array(["a", "b", "c"])[FACTORS])
    np.savez(tmp_path / "no_rows.npz", codes=CODES[:0], factors=FACTORS[:0])
    np.savez(tmp_path / "nothing.npz")
    np.savetxt(tmp_path / "table.csv", CODES)
    cases = (
        ((tmp_path / "none.npz",), "there is no file"),
        ((tmp_path / "text.npz",), "is not an .npz file of plain arrays"),
        ((tmp_path / "objects.npz",), "is not an .npz file of plain arrays"),
        ((tmp_path / "short.npz",), "codes has 5 rows, factors 200"),
        ((tmp_path / "single.npy",), "holds a single array"),
        ((file, "--codes", "latents"), "there is no array 'latents'; the file holds: codes"),
        ((file, "--codes", "kinds"), "must be a table of numbers"),
        ((file, "--kinds", "binary"), "there are 1 kinds and 2 factors"),
        ((file, "--kinds", "binary,colour"), "unknown kind 'colour'; known are: binary"),
        ((tmp_path / "nan.npz",), "rows of codes hold NaN or infinite values; remove those rows"),
        ((tmp_path / "words.npz",), "holds text; number its levels"),
        ((tmp_path / "no_rows.npz",), "codes has 0 rows"),
        ((tmp_path / "nothing.npz",), "the file holds: nothing"),
        ((tmp_path / "table.csv",), "is not an .npz file of plain arrays"),
    )
    for arguments, sentence in cases:
        result = run(*arguments)
        assert result.exit_code == 1
        assert sentence in result.stderr
