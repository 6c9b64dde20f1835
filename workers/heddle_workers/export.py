"""An export: a version's matrices to the files that leave the platform, each checked. Computes, and writes nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import onnxruntime
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter
from heddle_adapters.artifact import unpack
from heddle_adapters.editor import Frame, to_editor
from heddle_adapters.editor_check import BATCHES, check_editor
from heddle_adapters.export import Arrays, check_parity, to_onnx
from heddle_platform.base.bundle import DECODER, ENCODER, BaseBundle
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.records import ExportFormat

_ENDINGS: Final[Mapping[ExportFormat, str]] = {"editor": "editor.onnx", "onnx": "onnx", "npz": "npz"}


@dataclass(frozen=True)
class VersionFiles:
    """What is exported of one version.

    Attributes:
        files: format -> bytes.
        parity: largest differences from the platform's own arithmetic, by what was checked; JSON.
    """

    files: Mapping[ExportFormat, bytes]
    parity: dict[str, Any]


def file_name(adapter: str, version: int, file_format: ExportFormat) -> str:
    """Return what a file is called, in an archive as well as where it is downloaded alone."""
    return f"{adapter}-{version}.{_ENDINGS[file_format]}"


def export_version(packed: bytes, bundle: BaseBundle, formats: Sequence[ExportFormat]) -> VersionFiles:
    """Make a version's files and hold the graphs among them against the platform, at batch 1, 2, 7 and 64.

    Args:
        packed: the version's matrices.
        bundle: the base that it was fitted on.
        formats: which files.

    Raises:
        DataCorrupt: `onnx.checker` refuses a graph, or it does not compute what the platform computes.
    """
    adapter = unpack(packed)
    files: dict[ExportFormat, bytes] = {}
    parity: dict[str, Any] = {"batches": list(BATCHES)}
    if "npz" in formats:
        files["npz"] = packed
    if "onnx" in formats:
        files["onnx"] = graph = to_onnx(adapter)
        parity["onnx"] = {"difference": check_parity(adapter, runner(graph))}
    if "editor" in formats:
        files["editor"], parity["editor"] = _editor(adapter, bundle)
    return VersionFiles(files, parity)


def _editor(adapter: Adapter, bundle: BaseBundle) -> tuple[bytes, dict[str, Any]]:
    base = BaseRuntime.from_bundle(bundle)
    frame = Frame(base.image_size, base.mean_L, base.std_L)
    editor = to_editor(adapter, frame, bundle.files[ENCODER], bundle.files[DECODER])
    found = check_editor(adapter, base, runner(editor))
    told = {
        "pixel_steps_of_255": found.pixel,
        "readings": found.readings,
        "pictures": found.pictures,
        "on_edge": found.on_edge,
    }
    return editor, told


def runner(graph: bytes) -> Callable[[Arrays], dict[str, NDArray[Any]]]:
    """Return what computes a graph's outputs by name from its inputs by name, on one thread of a processor."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))
