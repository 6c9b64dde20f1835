"""The house stands as drawn: source roots, one package each, nothing that hides the standard library."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("platform", "adapters", "infra", "workers", "api")
CODE = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_source_root_holds_exactly_one_package(folder: str) -> None:
    packages = [path.parent.name for path in (ROOT / folder).glob("*/__init__.py")]
    assert packages == [f"heddle_{folder}"]


@pytest.mark.parametrize("folder", [*FOLDERS, "tests", *(f"tests/{name}" for name in FOLDERS)])
def test_no_source_root_is_importable(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()


def test_platform_is_the_standard_librarys_from_the_projects_root() -> None:
    done = python("-c", "import platform; print(platform.system())")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_two_planes_import_without_torch_ray_and_onnx() -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'ray', 'onnx', 'sklearn'): sys.modules[name] = None\n"
        "import heddle_api.control.app, heddle_api.edge.app, heddle_api.cli.main, heddle_api.client\n"
    )
    done = python("-c", program)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("folder", [*FOLDERS, "docker", "tests", "infra/deploy"])
def test_each_folder_has_a_readme_of_at_most_sixty_lines(folder: str) -> None:
    readme = ROOT / folder / "README.md"
    assert readme.exists()
    assert len(readme.read_text().splitlines()) <= 60


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_one_file_one_idea(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300, "split it"
    assert path.stem not in {"utils", "helpers", "common", "misc", "manager"}
    if path.stem != "__init__" or text.strip():
        assert text.lstrip().startswith('"""'), "a module opens by saying what it is for"


def test_code_asserts_nothing_about_its_input() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in CODE
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if line.strip().startswith("assert ")
    ]
    assert offenders == []


def test_the_wheel_holds_the_five_packages_the_base_and_the_migrations(tmp_path: Path) -> None:
    done = python("-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if "dist-info" not in name} == {f"heddle_{f}" for f in FOLDERS}
    wanted = (
        "heddle_platform/base/default/manifest.json",
        "heddle_platform/base/default/decoder.onnx",
        "heddle_infra/database/migrations/versions/v0001_main_job.py",
        "heddle_api/studio/index.html",
    )
    assert [name for name in wanted if name not in names] == []


def test_the_shipped_base_stays_within_fifteen_megabytes() -> None:
    folder = ROOT / "platform/heddle_platform/base/default"
    assert 0 < sum(path.stat().st_size for path in folder.iterdir()) <= 15 * 1024**2
