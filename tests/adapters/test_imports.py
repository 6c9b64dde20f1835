"""What the edge needs to serve edits must not drag in what only fitting needs."""

import subprocess
import sys

SERVED = ("adapter", "artifact", "bank", "edit", "read")


def test_serving_needs_neither_scikit_learn_nor_onnx() -> None:
    program = (
        "import sys\n"
        "for name in ('sklearn', 'onnx', 'onnxruntime', 'torch', 'threadpoolctl'): sys.modules[name] = None\n"
        + "".join(f"import heddle_adapters.{name}\n" for name in SERVED)
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
