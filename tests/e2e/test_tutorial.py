"""The README's tutorial, letter for letter: six shell commands and ten lines of Python, each from folder to edit."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.e2e.wire import LabelledImages, Wire

README = Path(__file__).resolve().parents[2] / "README.md"
SECTION = README.read_text(encoding="utf-8").partition("## From a folder of images to an edit")[2].partition("\n## ")[0]


def block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)
    return str(found)


@pytest.fixture
def folder(tmp_path: Path, micah: LabelledImages) -> Path:
    """What the tutorial begins with: images and labels in a folder, a picture to edit, the factors."""
    faces = tmp_path / "faces"
    faces.mkdir()
    lines = ["file,glasses,background"]
    for row in range(400):
        (faces / f"{row}.png").write_bytes(micah.images[row])
        lines.append(f"{row}.png,{micah.labels[row]['glasses']},{micah.labels[row]['background']}")
    (faces / "labels.csv").write_text("\n".join(lines))
    without = next(row for row in range(900, 1000) if micah.labels[row]["glasses"] == "none")
    (tmp_path / "me.png").write_bytes(micah.images[without])
    (tmp_path / "factors.yaml").write_text(block("yaml"))
    return tmp_path


def environment(stack: Any, **more: str) -> Mapping[str, str]:
    # the command `heddle` is the one beside this interpreter, wherever it is installed
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "HEDDLE_DATA_DIR": str(stack.data_dir), **more}


def changed(folder: Path) -> float:
    """Return the share of pixels that differ visibly between the picture and its edit."""
    before, after = (
        np.asarray(Image.open(folder / name).convert("RGB")).astype(int) for name in ("me.png", "with-glasses.png")
    )
    assert before.shape == after.shape
    return float((np.abs(before - after).max(axis=2) > 40).mean())


def test_six_shell_commands(stack: Any, folder: Path) -> None:
    commands = block("sh").strip().splitlines()
    assert len(commands) == 6
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
        cwd=folder,
        env=environment(stack),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "faces@1 is served as faces@production." in done.stdout
    assert 0.005 < changed(folder) < 0.5


def test_ten_lines_of_python(stack: Any, folder: Path, tenant: Wire) -> None:
    lines = [line for line in block("python").splitlines() if line]
    assert len(lines) == 10
    key = tenant.control.headers["authorization"].removeprefix("Bearer ")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=folder,
        env=environment(stack, HEDDLE_CONTROL_URL=stack.control_url, HEDDLE_API_KEY=key),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 0.005 < changed(folder) < 0.5
