"""The one-file editor as its user has it: downloaded from the real stack, run by the guide's own snippets, in Python
and in real Chromium with onnxruntime-web, and held against native ONNX Runtime.
"""

import base64
import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.conftest import HEDDLE, clean_environment
from tests.e2e.editor_page import put_runtime, served, snippet
from tests.e2e.studio_page import launch
from tests.e2e.wire import LabelledImages, Wire

IMAGES = 300
HELD_OUT = 900
READINGS = ("values", "confidence", "extrapolation")
Found = dict[str, NDArray[Any]]
pytestmark = pytest.mark.timeout(240)
_EDIT = """async ([pictures, wanted]) => {
  const [{ openEditor }, columns] = await Promise.all([import("/editor.js"), (await fetch("/columns.json")).json()]);
  globalThis.edit ??= await openEditor("/avatars.onnx", columns);
  const bytes = Uint8Array.from(atob(pictures), (letter) => letter.charCodeAt(0));
  const found = Object.entries(await globalThis.edit(bytes, wanted));
  return Object.fromEntries(found.map(([name, data]) => [name, Array.from(data)]));
}"""


def another_sky(micah: LabelledImages) -> int:
    """Return an avatar that no fit has seen, its background not the one that the guide asks for."""
    return next(row for row in range(HELD_OUT, len(micah.labels)) if micah.labels[row]["background"] != "sky")


@pytest.fixture(scope="module")
def folder(module_tenant: Wire, micah: LabelledImages, stack: Any, tmp_path_factory: Any) -> Path:
    """A user's folder: the editor as the command line downloads it, a picture, and what the Python snippet made."""
    dataset = module_tenant.dataset(micah.archive(range(IMAGES)), micah.factor_set)
    job = module_tenant.wait(module_tenant.queue_fit(dataset["id"], "avatars"))
    assert job["status"] in ("succeeded", "awaiting_approval"), job
    folder: Path = tmp_path_factory.mktemp("editor")
    (folder / "me.png").write_bytes(micah.images[another_sky(micah)])
    key = module_tenant.control.headers["Authorization"].removeprefix("Bearer ")
    settings = clean_environment() | {"HEDDLE_CONTROL_URL": stack.control_url, "HEDDLE_API_KEY": key}
    settings |= {"PYTHONPATH": os.pathsep.join(sys.path)}
    program, *arguments = shlex.split(snippet("sh"))
    assert program == "heddle"
    for command in ([*HEDDLE, *arguments], [sys.executable, "-c", snippet("python")]):
        ran = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


@pytest.fixture(scope="module")
def pictures(micah: LabelledImages) -> NDArray[np.uint8]:
    """Seven avatars that no fit has seen, at the base's size."""
    files = micah.images[HELD_OUT : HELD_OUT + 7]
    return np.stack([np.asarray(Image.open(io.BytesIO(one)).convert("RGB").resize((64, 64))) for one in files])


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Page]:
    """The folder, served with onnxruntime-web and the JavaScript snippet, and open in Chromium."""
    put_runtime(folder)
    (folder / "editor.js").write_text(snippet("js"))
    with sync_playwright() as playwright, served(folder) as address:
        browser = launch(playwright)
        page, faults, asked = browser.new_page(), list[str](), set[str]()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: asked.add(request.url.rpartition("/")[0]))
        page.goto(address)
        yield page
        browser.close()
    assert faults == []
    assert asked == {address.rpartition("/")[0]}, "an editor calls nobody"


def native(folder: Path, pictures: NDArray[np.uint8], wanted: list[dict[str, str]]) -> Found:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "avatars.onnx", options, providers=["CPUExecutionProvider"])
    columns = json.loads((folder / "columns.json").read_text())
    rows = np.zeros((len(wanted), len(columns)), np.float32)
    for row, edit in zip(rows, wanted, strict=True):
        for at, column in enumerate(columns):
            if column["holds"] == "value" and column["factor"] in edit:
                row[at - 1 : at + 1] = 1, column["levels"].index(edit[column["factor"]])
    names = ["edited", *READINGS]
    return dict(zip(names, session.run(names, {"image": pictures, "edit": rows}), strict=True))


def edits(micah: LabelledImages, count: int) -> list[dict[str, str]]:
    """Return edits of the pictures to other levels than theirs: one factor, two together, none, the next one ..."""
    factors = micah.factor_set["factors"]

    def another(row: int, factor: dict[str, Any]) -> str:
        own = micah.labels[HELD_OUT + row][factor["name"]]
        return next(str(level) for level in factor["levels"] if level != own)

    chosen = [((row,), (row, row + 2), ())[row % 3] for row in range(count)]
    return [
        {factor["name"]: another(row, factor) for factor in (factors[at % len(factors)] for at in places)}
        for row, places in enumerate(chosen)
    ]


def test_the_downloads_are_one_file_whoever_asks(module_tenant: Wire, folder: Path) -> None:
    path = "/v1/adapters/avatars/versions/1/download"
    assert (
        module_tenant.control.get(path, params={"format": "editor"}).content == (folder / "avatars.onnx").read_bytes()
    )


def test_the_python_snippet_edits_a_picture(folder: Path) -> None:
    with Image.open(folder / "me.png") as given:
        picture = np.asarray(given.convert("RGB").resize((64, 64)))
    edited = np.asarray(Image.open(folder / "edited.png"))
    assert np.array_equal(edited, native(folder, picture[None], [{"background": "sky"}])["edited"][0])
    assert np.abs(edited[:4, :4].astype(float) - picture[:4, :4]).mean() > 16, "the corner is background"


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_browser_edits_and_reads_as_native_onnx_runtime_does(
    folder: Path, micah: LabelledImages, pictures: NDArray[np.uint8], page: Page, batch: int
) -> None:
    wanted = edits(micah, batch)
    sent = [base64.b64encode(pictures[:batch].tobytes()).decode(), wanted]
    found = {name: np.array(data) for name, data in page.evaluate(_EDIT, sent).items()}
    truth = native(folder, pictures[:batch], wanted)
    edited = found["edited"].reshape(truth["edited"].shape)
    assert int(np.abs(edited - truth["edited"].astype(int)).max()) <= 1
    for name in READINGS:
        scale = max(1.0, float(np.abs(truth[name]).max()))
        assert float(np.abs(found[name] - truth[name].ravel()).max()) / scale <= 1e-5, name
    for picture, result, edit in zip(pictures, edited, wanted, strict=False):
        assert np.array_equal(picture, result) == (not edit)
