"""The images and the compose file are well-formed, name settings that exist, and start nothing without secrets."""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from heddle_platform import settings
from heddle_platform.settings import DEVELOPMENT_SECRET

DOCKER = Path(__file__).parents[2] / "docker"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
PLANES = ("control", "edge")


def tool(name: str) -> str:
    found = shutil.which(name, path=sysconfig.get_path("scripts"))
    assert found is not None, f"{name} is part of the dev extra; run make setup"
    return found


def compose(*arguments: str, environment: Path) -> subprocess.CompletedProcess[str]:
    command = [tool("docker-compose"), "--env-file", str(environment), "-f", str(DOCKER / "compose.yaml"), "config"]
    # a clean environment: what the caller has exported must not stand in for a missing line
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, env={"HOME": "/"})


def wired() -> dict[str, Any]:
    done = compose(environment=DOCKER / ".env.example")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = yaml.safe_load(done.stdout)
    return document


def setting_names() -> set[str]:
    concerns = [kind for kind in vars(settings).values() if isinstance(kind, type) and issubclass(kind, BaseSettings)]
    return {f"HEDDLE_{field.upper()}" for concern in concerns for field in concern.model_fields}


def test_there_is_an_image_for_each_role() -> None:
    assert [path.name for path in DOCKERFILES] == ["control.Dockerfile", "edge.Dockerfile", "workers.Dockerfile"]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    done = subprocess.run([tool("hadolint"), str(dockerfile)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    careless = tmp_path / "Dockerfile"
    careless.write_text("FROM python:latest\nRUN cd /srv && pip install heddle\n")
    done = subprocess.run([tool("hadolint"), str(careless)], capture_output=True, text=True, check=False)
    assert done.returncode != 0


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_images_run_as_nobody_in_particular_and_safely(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    final = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert "PYTHONSAFEPATH=1" in final
    assert 'ENTRYPOINT ["tini"' in final
    assert re.search(r"^HEALTHCHECK ", final, re.MULTILINE)
    assert "--constraint constraints.txt" in text
    for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE):
        assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", image), f"{image} is not pinned to a release"


@pytest.mark.parametrize("plane", PLANES)
def test_the_planes_install_neither_torch_nor_ray(plane: str) -> None:
    extras = re.findall(r"\$\{wheel\}\[(\w+)\]", (DOCKER / f"{plane}.Dockerfile").read_text())
    assert extras == ["api"]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_what_an_image_copies_is_let_through_to_the_builder(dockerfile: Path) -> None:
    rules = (DOCKER / f"{dockerfile.name}.dockerignore").read_text().splitlines()
    lines = re.findall(r"^COPY (?!--from)(.+)$", dockerfile.read_text(), re.MULTILINE)
    sources = [word for line in lines for word in line.split()[:-1] if not word.startswith("--")]
    assert sources
    assert "*" in rules
    for source in sources:
        assert f"!{source}" in rules
        assert (DOCKER.parent / source).exists()


def test_compose_is_valid_with_the_example_environment() -> None:
    services = wired()["services"]
    assert set(services) == {
        "postgres", "objects", "cache", "ray-head", "migrate", "control", "edge", "dispatcher",
    }  # fmt: skip


def test_compose_starts_nothing_while_a_secret_is_missing(tmp_path: Path) -> None:
    lines = (DOCKER / ".env.example").read_text().splitlines()
    required = [line for line in lines if line and not line.startswith("#")]
    assert len(required) == 8
    for missing in required:
        name = missing.partition("=")[0]
        rest = tmp_path / f"{name}.env"
        rest.write_text("\n".join(line for line in required if line != missing))
        done = compose("--quiet", environment=rest)
        assert done.returncode != 0
        assert name in done.stderr


def test_every_heddle_variable_is_a_setting() -> None:
    known = setting_names()
    assert "HEDDLE_DATABASE_URL" in known
    for name, service in wired()["services"].items():
        given = {variable for variable in service.get("environment", {}) if variable.startswith("HEDDLE_")}
        assert given <= known, f"{name} sets what no setting reads: {given - known}"


@pytest.mark.parametrize("service", ["control", "edge", "dispatcher"])
def test_our_processes_get_all_they_require_and_run_as_production(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = wired()["services"][service]["environment"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    read = settings.Settings.from_environment()
    assert read.security.environment == "production"
    assert read.security.secret_key.get_secret_value() != DEVELOPMENT_SECRET
    assert read.objects.s3_bucket == "heddle"


def test_only_the_dispatcher_and_ray_know_the_cluster_and_only_stores_know_no_heddle_secret() -> None:
    services = wired()["services"]
    with_ray = {name for name, service in services.items() if "RAY_AUTH_TOKEN" in service.get("environment", {})}
    assert with_ray == {"ray-head", "dispatcher"}
    head = services["ray-head"]["environment"]
    assert not {name for name in head if re.search("DATABASE|S3_|REDIS|SECRET|ADMIN", name)}, "tasks hold no credential"


def test_planes_wait_for_the_migration_and_publish_on_loopback_only() -> None:
    services = wired()["services"]
    for name in (*PLANES, "dispatcher"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    for service in services.values():
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1"


def test_images_of_others_are_pinned_to_a_release() -> None:
    for name, service in wired()["services"].items():
        if "build" not in service:
            assert re.search(r":\d+\.\d+", service["image"]), f"{name} runs {service['image']}"
