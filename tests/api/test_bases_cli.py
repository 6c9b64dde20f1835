"""Commands on published bases, against a control plane on a port."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from heddle_api.cli.main import app
from heddle_platform.base.bundle import write_bundle
from tests.api.live import Live
from tests.api.test_control_bases import bundle


async def operate(live: Live, *arguments: str) -> Result:
    """Run `heddle base ...` as an operator."""
    environment = {"HEDDLE_CONTROL_URL": live.url, "HEDDLE_ADMIN_KEY": live.world.admin_key, "COLUMNS": "200"}
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["base", *arguments], env=environment))


async def test_a_base_is_published_listed_shown_and_made_the_default(live: Live, tmp_path: Path) -> None:
    first, second = bundle(), bundle()
    for name, each in (("first", first), ("second", second)):
        write_bundle(each, tmp_path / name)
    published = await operate(live, "publish", str(tmp_path / "first"), "--alias", "default", "--json")
    assert published.exit_code == 0, published.output
    made = json.loads(published.stdout)
    assert (made["name"], made["digest"], made["aliases"]) == ("tiny", first.digest, ["default"])
    other = json.loads((await operate(live, "publish", str(tmp_path / "second"), "--json")).stdout)
    listed = await operate(live, "list")
    assert made["id"] in listed.stdout
    assert other["id"] in listed.stdout
    moved = await operate(live, "alias", "tiny", "default", other["id"])
    assert (moved.exit_code, moved.stdout) == (0, f"default is tiny  {other['id']}\n"), moved.output
    trial = await operate(live, "alias", "tiny", "trial", made["id"])  # one that was not there
    assert trial.exit_code == 0, trial.output
    shown = await operate(live, "show")
    assert (other["id"] in shown.stdout, "2 latents, 64 x 64 pixels" in shown.stdout) == (True, True), shown.output
    wrong = await operate(live, "alias", "other", "default", made["id"])
    assert (wrong.exit_code, "(base_name_mismatch)" in wrong.stderr) == (1, True)


async def test_a_training_is_queued_from_a_recipe(live: Live, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: sprites\nsteps: 5\n")
    queued = await operate(live, "pretrain", str(recipe), "--workers", "2", "--no-wait", "--json")
    assert queued.exit_code == 0, queued.output
    job = json.loads(queued.stdout)
    assert (job["type"], job["status"]) == ("pretrain", "queued")


@pytest.mark.parametrize(("text", "said"), [("a: [", "is not YAML"), ("- a", "holds no recipe")])
async def test_what_is_no_recipe_is_not_sent(live: Live, tmp_path: Path, text: str, said: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text)
    refused = await operate(live, "pretrain", str(recipe))
    assert (refused.exit_code, said in refused.stderr) == (1, True), refused.output


async def test_a_folder_without_a_bundle_is_one_sentence(live: Live, tmp_path: Path) -> None:
    refused = await operate(live, "publish", str(tmp_path))
    assert refused.exit_code == 1
    assert refused.stderr.startswith("error: ")
