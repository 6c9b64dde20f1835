"""The tenant's commands, run as a shell would run them, against a control plane on a port."""

import asyncio
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from starlette.responses import JSONResponse, Response
from typer.testing import CliRunner, Result

from heddle_api.cli import tenant as commands
from heddle_platform import keys
from tests.api.control_world import FACTORS, Person
from tests.api.live import Live, Script, served

app = typer.Typer()
commands.install(app)


def run(*arguments: str, key: str | None = None, url: str = "http://127.0.0.1:9", **variables: str) -> Result:
    """Run a command in an empty environment but for the variables given."""
    environment: dict[str, str | None] = {"HEDDLE_CONTROL_URL": url, "COLUMNS": "200", **variables}
    environment |= {"HEDDLE_API_KEY": key, "HEDDLE_ADMIN_KEY": variables.get("HEDDLE_ADMIN_KEY")}
    return CliRunner().invoke(app, list(arguments), env=environment)


async def shell(live: Live, *arguments: str, key: str | None = None, **variables: str) -> Result:
    """Run a command against the live plane, in a thread: the plane's worker is played in this one."""
    return await asyncio.to_thread(lambda: run(*arguments, key=key, url=live.url, **variables))


async def test_from_a_tenant_to_a_served_adapter(live: Live, tmp_path: Path) -> None:
    world = live.world
    await world.publish_base()
    made = await shell(live, "tenant", "create", "Acme", "--json", HEDDLE_ADMIN_KEY=world.admin_key)
    assert made.exit_code == 0, made.output
    document = json.loads(made.stdout)
    person = Person(world, document["id"], document["api_key"], world.client(document["api_key"]))
    (tmp_path / "factors.yaml").write_text(yaml.safe_dump(FACTORS))
    registered = await shell(live, "factors", "register", str(tmp_path / "factors.yaml"), key=person.key)
    assert registered.stdout.startswith("avatars@1")
    folder = tmp_path / "spring"
    (folder / "faces").mkdir(parents=True)
    (folder / "labels.csv").write_text("file,glasses,smile\nfaces/a.png,round,1\n")
    (folder / "faces" / "a.png").write_bytes(b"pixels")
    (folder / ".DS_Store").write_bytes(b"litter")
    uploading = asyncio.create_task(
        shell(live, "data", "upload", str(folder), "--factors", "avatars", "--json", key=person.key)
    )
    archive = await arrived(person)
    uploaded = await uploading
    assert (uploaded.exit_code, json.loads(uploaded.stdout)["status"]) == (0, "ready")
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        assert found.namelist() == ["faces/a.png", "labels.csv"]
    queued = await shell(live, "fit", "avatars", "--data", "spring", "--no-wait", "--json", key=person.key)
    assert json.loads(queued.stdout)["status"] == "queued", queued.output
    await use_the_adapter(live, person, tmp_path)


async def arrived(person: Person) -> bytes:
    """Wait for the labelled set of a command, play its validation, and return the bytes that came."""
    dataset = await first_dataset(person)
    store = person.world.objects
    data = store.get(next(info.key for info in store.list(keys.tenant_prefix(person.id) + "uploads/")))
    await person.validated(dataset, data)
    return data


async def first_dataset(person: Person) -> str:
    """Wait for the labelled set that a command registers meanwhile, and return its id."""
    for _ in range(600):
        if found := (await person.get("/v1/datasets"))["data"]:
            return str(found[0]["id"])
        await asyncio.sleep(0.05)
    raise AssertionError("no labelled set was registered")


async def use_the_adapter(live: Live, person: Person, folder: Path) -> None:
    assert await person.fitted("hats") == 1
    card, graph = folder / "card.html", folder / "hats.onnx"
    for arguments, said in (
        (("adapters", "list"), "hats"),
        (("adapters", "versions", "hats"), "awaiting_approval"),
        (("adapters", "card", "hats", "--html", str(card)), f"wrote {card}"),
        (("adapters", "approve", "hats", "1", "--comment", "fine"), "production points at it"),
        (("adapters", "alias", "hats", "canary", "1"), "hats@canary is version 1"),
        (("adapters", "download", "hats", "-o", str(graph)), f"wrote {graph}"),
        (("jobs", "list"), "hats"),
        (("data", "list"), "spring"),
        (("factors", "list"), "glasses, smile"),
        (("whoami",), person.id),
        (("keys", "create", "shop", "--scope", "edits"), "hdl_"),
        (("keys", "list"), "shop"),
    ):
        result = await shell(live, *arguments, key=person.key)
        assert (result.exit_code, said in result.stdout) == (0, True), (arguments, result.output)
    assert "<title>card" in card.read_text()
    assert graph.read_bytes() == b"graph"
    back = await shell(live, "adapters", "rollback", "hats", key=person.key)
    assert (back.exit_code, "has pointed at version 1 only" in back.stderr) == (1, True)


async def test_a_rejected_set_ends_with_1_and_names_row_and_column(live: Live, tmp_path: Path) -> None:
    person = await live.world.tenant()
    await person.post("/v1/factor_sets", FACTORS)
    (tmp_path / "set.zip").write_bytes(b"bad zip")
    arguments = ("data", "upload", str(tmp_path / "set.zip"), "--factors", "avatars")
    uploading = asyncio.create_task(shell(live, *arguments, key=person.key))
    dataset = await first_dataset(person)
    await person.validated(dataset, None)
    result = await uploading
    assert result.exit_code == 1
    assert "labels.csv row 3, column glasses: no (unknown_level)" in result.stdout
    report = await shell(live, "data", "report", dataset, key=person.key)
    assert (report.exit_code, "1 fault(s)" in report.stdout) == (0, True)


def test_erasures_are_listed_with_and_without_their_certificate() -> None:
    erasures = [
        {"id": "era_2", "status": "running", "certificate": None, "created_at": "2026-01-03T00:00:00Z"},
        {"id": "era_1", "status": "done", "certificate": {"document": {}}, "created_at": "2026-01-02T00:00:00Z"},
    ]
    script = Script([JSONResponse({"data": erasures, "has_more": False, "next_cursor": None})])
    with served(script) as url:
        listed = run("certificate", "list", key="key", url=url)
    rows = [line.split() for line in listed.stdout.splitlines()[1:]]
    assert rows == [
        ["era_2", "running", "not", "yet", "2026-01-03T00:00:00Z"],
        ["era_1", "done", "yes", "2026-01-02T00:00:00Z"],
    ]


def test_a_history_says_what_was_on_trial() -> None:
    move = {"alias": "production", "version": 3, "from_version": 3, "reason": "moved", "key_id": "key_1"}
    move |= {"key_name": "ops", "comment": "", "created_at": "2026-01-02T00:00:00Z"}
    moves = [{**move, "canary": {"version": 4, "weight": 0.1}, "shadow": 5}, {**move, "canary": None, "shadow": None}]
    script = Script([JSONResponse({"data": moves, "has_more": False, "next_cursor": None})])
    with served(script) as url:
        shown = run("adapters", "history", "avatars", key="key", url=url)
    first, second = (" ".join(line.split()) for line in shown.stdout.splitlines()[1:])
    assert "3 3 moved 4 edits 10%, 5 draws along ops -" in first
    assert "3 3 moved - ops -" in second


@pytest.mark.parametrize("chosen", [True, False])
def test_a_preview_says_so_where_there_is_nothing_left_to_label(chosen: bool) -> None:
    image = {"file": "a.png", "factors": ["smile"], "sentence": "rare"}
    found = {
        "rows": 9,
        "candidates": int(chosen),
        "factors": [{"name": "smile", "labels": 9, "score": 0.5, "measure": "accuracy"}],
        "learning_curve": [{"rows": 9, "score": 0.5}],
        "label_next": [image] if chosen else [],
    }
    script = Script([JSONResponse(found)])
    with served(script) as url:
        shown = run("preview", "spring", key="key", url=url)
    assert shown.exit_code == 0, shown.output
    assert ("label next" in shown.stdout) == chosen
    assert ("upload more" in shown.stdout) != chosen


async def test_a_set_that_nothing_was_fitted_on_is_deleted(live: Live) -> None:
    person = await live.world.tenant()
    await person.ready_dataset(b"a set", name="spring")
    gone = await shell(live, "data", "delete", "spring", key=person.key)
    assert (gone.exit_code, gone.stdout) == (0, "spring is gone with its images.\n"), gone.output
    assert (await person.get("/v1/datasets"))["data"] == []
    again = await shell(live, "data", "delete", "spring", key=person.key)
    assert (again.exit_code, "(unknown_dataset)" in again.stderr) == (1, True)


async def test_factors_are_shown_as_they_are_meant(live: Live) -> None:
    person = await live.world.tenant()
    factors = [
        {"name": "glasses", "kind": "categorical", "levels": ["none", "round"], "accept": {"accuracy": 0.95}},
        {"name": "size", "kind": "ordinal", "levels": ["s", "m"]},
        {"name": "age", "kind": "continuous", "range": [0, 90], "unit": "years"},
        {"name": "hue", "kind": "periodic", "period": 360, "unit": "degrees"},
        {"name": "smile", "kind": "binary"},
    ]
    await person.post("/v1/factor_sets", {"name": "people", "factors": factors, "accept": {"labels_min": 100}})
    shown = await shell(live, "factors", "show", "people", key=person.key)
    assert shown.exit_code == 0, shown.output
    for said in (
        "people@1",
        "labels_min 100",
        "accuracy 0.95",
        "s < m",
        "0 to 90 years",
        "once around is 360",
        "off, on",
    ):
        assert said in shown.stdout, said


async def test_watching_a_job_that_fails_ends_with_1(live: Live) -> None:
    person = await live.world.tenant()
    first, _ = await person.queue_two_fits()
    await person.post(f"/v1/jobs/{first}/cancel")
    result = await shell(live, "jobs", "watch", first, key=person.key)
    assert (result.exit_code, "cancelled" in result.stdout) == (1, True)
    shown = await shell(live, "jobs", "show", first, "--json", key=person.key)
    assert [event["type"] for event in json.loads(shown.stdout)["events"]] == ["created", "cancelled"]


async def test_refusals_are_a_sentence_and_the_faults_without_a_traceback(live: Live, tmp_path: Path) -> None:
    person = await live.world.tenant()
    (tmp_path / "twins.json").write_text('{"name": "t", "factors": [{"name": "a", "kind": "binary"}, {"kind": "x"}]}')
    result = await shell(live, "factors", "register", str(tmp_path / "twins.json"), key=person.key)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "(invalid_factor_set)" in result.stderr
    assert "/factors/1" in result.stderr
    checked = await shell(live, "factors", "check", str(tmp_path / "twins.json"), key=person.key)
    assert (checked.exit_code, "fault(s)" in checked.stdout) == (1, True)
    assert "Traceback" not in result.output + checked.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("whoami",), "no API key: set HEDDLE_API_KEY"),
        (("tenant", "list"), "no API key: set HEDDLE_ADMIN_KEY"),
    ],
)
def test_without_a_key_the_variable_is_named(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments, "--data-dir", str(tmp_path))
    assert (result.exit_code, said in result.stderr) == (1, True)


def test_edits_say_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "me.png").write_bytes(b"pixels")
    headers = {"X-Adapter-Version": "avatars@3", "X-Cache": "miss", "X-Extrapolation": "1.5", "X-Edit-Id": "edt_1"}
    script = Script([Response(b"edited", media_type="image/jpeg", headers=headers)])
    target = tmp_path / "out.jpg"
    with served(script) as url:
        result = run(
            *("edit", str(tmp_path / "me.png"), "--adapter", "avatars", "-o", str(target)),
            *("--set", "glasses=round", "--set", "smile=true", "--set", 'size="2"', "--shift", "age=10"),
            *("--preserve", "skin", "--edge-url", url),
            key="key",
            url=url,
        )
    assert result.exit_code == 0, result.output
    assert "avatars@3, miss; 1.5 times beyond the trusted range" in result.stdout
    assert target.read_bytes() == b"edited"
    sent: dict[str, Any] = {
        "adapter": "avatars",
        "set": {"glasses": "round", "smile": True, "size": "2"},
        "shift": {"age": 10.0},
        "preserve": ["skin"],
        "detail": "auto",
    }
    assert json.dumps(sent).encode() in script.requests[0][3]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-o", "out.gif"), "'.gif' is no image type"),
        (("-o", "out.png", "--set", "glasses"), "'glasses' is not factor=value"),
        (("-o", "out.png", "--shift", "age=old"), "an amount is a number"),
    ],
)
def test_edits_that_make_no_sense_are_not_sent(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    (tmp_path / "me.png").write_bytes(b"pixels")
    result = run("edit", str(tmp_path / "me.png"), "--adapter", "a", *options, key="key")
    assert (result.exit_code, said in result.stderr) == (1, True)


def test_a_folder_without_labels_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    result = run("data", "upload", str(tmp_path), "--factors", "avatars", key="key")
    assert (result.exit_code, "has no labels.csv" in result.stderr) == (1, True)


def test_a_stack_of_this_machine_is_found_by_its_folder(tmp_path: Path) -> None:
    me: dict[str, Any] = {"tenant": None, "tenant_id": None, "scopes": ["admin"], "key": {}}
    script = Script([JSONResponse({"data": [], "has_more": False, "next_cursor": None}), JSONResponse(me)])
    with served(script) as url:
        settings = {"HEDDLE_CONTROL_URL": url, "HEDDLE_ADMIN_KEY": "admin-key"}
        (tmp_path / "settings.json").write_text(json.dumps(settings))
        environment = {"HEDDLE_CONTROL_URL": None, "HEDDLE_ADMIN_KEY": None, "HEDDLE_API_KEY": "tenant-key"}
        for arguments in (("tenant", "list"), ("whoami",)):
            result = CliRunner().invoke(app, [*arguments, "--data-dir", str(tmp_path)], env=environment)
            assert result.exit_code == 0, result.output
    assert [headers["authorization"] for _, _, headers, _ in script.requests] == [
        "Bearer admin-key",
        "Bearer tenant-key",
    ]


def test_every_command_teaches() -> None:
    group = typer.main.get_command(app)
    seen = 0
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        for nested, leaf in getattr(command, "commands", {"": command}).items():
            result = run(name, *([nested] if nested else []), "--help")
            assert (result.exit_code, leaf.help is not None) == (0, True), (name, nested)
            seen += 1
    assert seen >= 24
