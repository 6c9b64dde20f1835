"""What an editor needs outside of Heddle: onnxruntime-web's files, a page to load them, the guide's snippets."""

import functools
import http.server
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "editor.md"
RUNTIME = ROOT / ".browser" / "node_modules" / "onnxruntime-web" / "dist"
_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_PAGE = "<!doctype html><html lang=en><meta charset=utf-8><link rel=icon href=data:,><title>Editor</title></html>"


def snippet(language: str) -> str:
    """Return the guide's only block of a language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


def put_runtime(folder: Path) -> None:
    """Copy onnxruntime-web's files beside a page; skip where it is not installed, fail in CI, where it must be."""
    missing = [name for name in _FILES if not (RUNTIME / name).is_file()]
    if missing:
        reason = f"onnxruntime-web is not here ({missing[0]}); `make browser` installs it, with npm, to test the editor"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    for name in _FILES:
        shutil.copy(RUNTIME / name, folder / name)


class _Handler(http.server.SimpleHTTPRequestHandler):
    # named here, for a machine's own table may call .mjs something a browser does not run
    extensions_map = {  # noqa: RUF012
        ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json",
        ".wasm": "application/wasm", "": "application/octet-stream",
    }  # fmt: skip

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder with an empty page in it; yield the page's address."""
    (folder / "index.html").write_text(_PAGE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/index.html"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
