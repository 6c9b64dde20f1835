"""Every command's help: a sentence, an example, options called the same everywhere, `--json` where data is shown."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from heddle_api.cli.main import app

# they write a file or stop something: there is no data to print
WRITERS = {
    "heddle adapters download",
    "heddle base card",
    "heddle batch download",
    "heddle base rollout report",
    "heddle base shards",
    "heddle base train",
    "heddle certificate get",
    "heddle demo",
    "heddle down",
}
# option -> how its twin must not be called
CALLED = {"--json": {"--as-json"}, "--data-dir": {"--dir"}, "--admin-key": {"--operator-key"}, "--out": {"--to-file"}}


def commands(found: Any, path: tuple[str, ...] = ("heddle",)) -> Iterator[tuple[str, Any]]:
    """Yield every command by its whole name."""
    for name, inner in getattr(found, "commands", {}).items():
        yield from commands(inner, (*path, name))
    if not hasattr(found, "commands"):
        yield " ".join(path), found


COMMANDS = dict(commands(typer.main.get_command(app)))


def options_of(command: Any) -> dict[str, Any]:
    return {name: parameter for parameter in command.params for name in parameter.opts if name.startswith("--")}


@pytest.mark.parametrize("name", COMMANDS)
def test_it_is_told_with_an_example(name: str) -> None:
    command = COMMANDS[name]
    sentence, _, rest = (command.help or "").partition("\n\n")
    assert sentence.rstrip().endswith("."), f"{name}: begin its docstring with a sentence"
    (example,) = [line for line in rest.splitlines() if re.match("Examples?:", line)] or [""]
    assert example, f"{name}: end its docstring with a line `Example: ...`"
    shown = name.replace("heddle keys ", "heddle key ")
    assert f"`{shown}" in example, f"{name}: its example is of another command: {example}"
    for option in re.findall(r"--[a-z-]+", example):
        assert option in options_of(command), f"{name}: its example has {option}, which it does not take"
    for option, parameter in options_of(command).items():
        assert parameter.help, f"{name}: {option} has no help"


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - WRITERS))
def test_what_shows_data_shows_it_as_json_too(name: str) -> None:
    assert "--json" in options_of(COMMANDS[name]), f"{name}: take `as_json: AsJson`, or stand in WRITERS"


def test_options_are_called_the_same_everywhere() -> None:
    taken = {name: set(options_of(command)) for name, command in COMMANDS.items()}
    for own, others in CALLED.items():
        assert [name for name, options in taken.items() if options & others] == [], f"call it {own}"
    assert taken.keys() >= WRITERS
    asks_planes = [name for name, options in taken.items() if options & {"--api-key", "--admin-key"}]
    assert len(asks_planes) >= 50
    assert [name for name in asks_planes if not {"--control-url", "--data-dir"} <= taken[name]] == []


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("heddle ada", {"adapters"}),
        (
            "heddle adapters ",
            {"list", "versions", "card", "approve", "alias", "rollback", "history", "download", "export"},
        ),
        ("heddle fit --car", {"--card"}),
        ("heddle fit --card ", {"full", "brief"}),
    ],
)
def test_a_shell_completes_commands_options_and_choices(typed: str, offered: set[str]) -> None:
    words = typed.split()
    place = len(words) if typed.endswith(" ") else len(words) - 1
    environment = {"_HEDDLE_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(place)}
    result = CliRunner().invoke(app, [], env=environment, prog_name="heddle")
    assert set(result.stdout.split()) == offered
