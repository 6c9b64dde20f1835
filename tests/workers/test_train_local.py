"""A base trained over several processes without a stack: what it refuses before Ray starts.

That two workers end where one does is shown by `test_pretrain`, over the same code.
"""

import subprocess
import sys
from pathlib import Path


def test_a_recipe_that_is_none_is_refused_by_a_sentence(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: tiny\ncorpus: {images: {dsprites: 10}}\n", encoding="utf-8")
    command = [sys.executable, "-m", "heddle_workers.train_local", f"--recipe={recipe}", f"--out={tmp_path / 'out'}"]
    done = subprocess.run([*command, "--workers=2"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "recipe.yaml is not a base recipe" in done.stderr
    assert "give exactly one of steps and minutes" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
