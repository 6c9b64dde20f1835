"""A recipe's outline says what `Recipe` says, without torch."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from heddle_platform.base import outline
from heddle_platform.base.config import read_recipe
from heddle_platform.base.outline import outlined
from heddle_platform.errors import InvalidInput

RECIPES = sorted((Path(outline.__file__).parent / "recipes").glob("*.yaml"))
RECIPE: dict[str, Any] = {"name": "tiny", "corpus": {"images": {"dsprites": 60}}, "steps": 5}


def test_the_file_is_what_the_recipe_makes_of_it() -> None:
    made = json.loads(outline.of_recipe())
    assert outline.outline() == made, "write it anew: python -m heddle_platform.base.outline"


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_recipes_that_are_shipped_get_the_same_defaults(file: Path) -> None:
    document = yaml.safe_load(file.read_text())
    assert read_recipe(outlined(document)) == read_recipe(document)
    assert json.loads(json.dumps(outlined(document))) == read_recipe(document).model_dump(mode="json")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"magic": 1}, "magic"),
        ({"name": "No Name"}, "name"),
        ({"steps": 0}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"steps": "many"}, "steps"),
        ({"corpus": {"images": {"dsprites": "few"}}}, "corpus.images.dsprites"),
        ({"corpus": {"images": {"dsprites": 9}, "colour": 1}}, "corpus.colour"),
        ({"network": {"latents": 0}}, "network.latents"),
        ({"network": {"kind": "magic"}}, "network.kind"),
        ({"network": {"kind": "convolution", "maps": [8, 8]}}, "network.maps"),
        ({"network": {"kind": "convolution", "image_size": 48}}, "network.image_size"),
        ({"terms": [{"kind": "kl", "schedule": {"weight": -1}}]}, "terms.0.schedule.weight"),
        ({"terms": [{"kind": "kl", "capacity": {"nats": -1}}]}, "terms.0.capacity.nats"),
        ({"terms": [{"kind": "reconstruction", "sigma": "loud"}]}, "terms.0.sigma"),
        ({"terms": [{"weight": 1}]}, "terms.0.kind"),
        ({"terms": 3}, "terms"),
        ({"after": {"kind": "magic"}}, "after.kind"),
        ({"optimiser": {"average": 1}}, "optimiser.average"),
        ({"precision": "float8"}, "precision"),
        ({"corpus": None}, "corpus"),
    ],
)
def test_what_no_recipe_takes_is_refused_by_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        outlined({**RECIPE, **change})
    assert (caught.value.code, caught.value.param) == ("invalid_recipe", f"recipe.{field}")
    with pytest.raises(InvalidInput):
        read_recipe({**RECIPE, **change})


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"corpus: Field required"):
        outlined({"name": "tiny", "steps": 5})


@pytest.mark.parametrize(
    "change",
    [
        {"steps": "5"},
        {"steps": 5.0},
        {"compile": 0},
        {"network": {"kind": "convolution"}},
        {"after": {"kind": "flow"}},
        {"terms": [{"kind": "mmd", "prior": {"shape": "uniform"}}, {"kind": "reconstruction", "sigma": "fitted"}]},
        {"labels": {"images": 30, "moves": None}},
    ],
)
def test_nothing_is_refused_that_a_recipe_takes(change: dict[str, Any]) -> None:
    assert read_recipe(outlined({**RECIPE, **change})) == read_recipe({**RECIPE, **change})


def test_a_plan_is_judged_and_a_folder_read_without_torch() -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'ray', 'onnx', 'sklearn', 'optuna'): sys.modules[name] = None\n"
        "import heddle_platform.base.sweeps.asked, heddle_platform.base.sweeps.folder\n"
        f"heddle_platform.base.outline.outlined({RECIPE!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
