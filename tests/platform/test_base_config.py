"""Recipes: read whole or refused with a sentence."""

from importlib.resources import files
from pathlib import Path

import pytest

from heddle_platform.base.config import Recipe, load_recipe
from heddle_platform.base.styles import STYLES
from heddle_platform.errors import InvalidInput


def test_the_default_recipe_reads_and_holds_only_allowed_parts() -> None:
    recipe = load_recipe(Path(str(files("heddle_platform.base").joinpath("recipes", "default.yaml"))))
    assert recipe.name == "default"
    assert set(recipe.corpus.images) == {*STYLES, "dsprites"}


@pytest.mark.parametrize(
    "text",
    [
        "name: a\ncorpus: {images: {dylan: 1}}\n",
        "name: a\ncorpus: {images: {dylan: 1}}\nsteps: 1\nminutes: 1\n",
        "name: a\ncorpus: {images: {dylan: 1}}\nsteps: 1\nspeed: 3\n",
        "name: a\ncorpus: {images: {dylan: 1}}\nsteps: 1\nterms: [{kind: magic}]\n",
        "name: [\n",
    ],
    ids=["no length", "two lengths", "unknown field", "unknown term", "not yaml"],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=r"recipe\.yaml is not a base recipe") as caught:
        load_recipe(path)
    assert caught.value.code == "invalid_recipe"


def test_a_recipe_survives_its_manifest() -> None:
    recipe = Recipe.model_validate({"name": "a", "corpus": {"images": {"dylan": 1}}, "steps": 3})
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
