"""The dispatcher is one of many processes on a small machine: it must not carry what only its tasks need."""

import json
import subprocess
import sys

HEAVY = ("torch", "sklearn", "scipy", "onnx", "onnxruntime", "jinja2")


def test_the_dispatcher_imports_nothing_that_computes() -> None:
    program = f"""
import json, sys
import heddle_workers.__main__, heddle_workers.process
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []


def test_a_fit_imports_no_torch() -> None:
    program = "import sys, heddle_workers.fit, heddle_workers.tasks; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
