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


def test_a_preview_and_a_fit_begin_without_scikit_learn() -> None:
    program = (
        "import sys\n"
        "for name in ('sklearn', 'onnx', 'torch'): sys.modules[name] = None\n"
        "import heddle_adapters.preview, heddle_adapters.fit\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_torch_stays_in_the_fleet() -> None:
    program = (
        "import pkgutil, sys, heddle_adapters\n"
        "for found in pkgutil.walk_packages(heddle_adapters.__path__, 'heddle_adapters.'):\n"
        "    if not found.name.startswith('heddle_adapters.fleet.'): __import__(found.name)\n"
        "sys.exit('torch was imported' if 'torch' in sys.modules else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
