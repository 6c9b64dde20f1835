"""From a configuration to the list of services: which are started, which run elsewhere, what each is told."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from heddle_infra.local import planes, postgres, ray_head, servers
from heddle_infra.local.config import EXTERNAL_VARIABLE, StackConfig, StackFailed, StackPaths
from heddle_infra.local.credentials import StackSecrets
from heddle_infra.local.ports import LOOPBACK
from heddle_infra.local.service import Service, port_answers
from heddle_platform.settings import ObjectStoreSettings

_CONTROL_ONLY: Final = "HEDDLE_ADMIN_KEY"
_MIGRATION_ONLY: Final = "HEDDLE_DATABASE_OWNER_URL"


@dataclass(frozen=True)
class Plan:
    """What a stack will run.

    Attributes:
        services: in the order of `SERVICES`.
        settings: the `HEDDLE_*` variables with which a program reaches this stack.
        ray_variables: what a Ray driver needs beside them.
    """

    services: tuple[Service, ...]
    settings: Mapping[str, str]
    ray_variables: Mapping[str, str]


def plan_stack(
    config: StackConfig,
    paths: StackPaths,
    ports: Mapping[str, int],
    secrets: StackSecrets,
    launcher: Mapping[str, str] | None = None,
) -> Plan:
    """Decide what to start and with which settings.

    Args:
        config: of the stack.
        paths, ports, secrets: its own.
        launcher: environment that may name external servers; None takes this process's.

    Raises:
        StackFailed: an external server is named by halves, or a program is missing.
    """
    launcher = os.environ if launcher is None else launcher
    external = {name: launcher[key] for name, key in EXTERNAL_VARIABLE.items() if launcher.get(key)}
    object_store = _object_store(ports, secrets, launcher, is_external="objects" in external)
    files = None
    if "postgres" in config.services and "postgres" not in external:
        files = postgres.place_postgres(paths, secrets.stack_id)
    database_url = files.url if files else external.get("postgres", "")
    settings = {
        "HEDDLE_DATABASE_URL": database_url,
        _MIGRATION_ONLY: files.owner_url if files else launcher.get(_MIGRATION_ONLY) or database_url,
        "HEDDLE_REDIS_URL": external.get("cache") or servers.cache_url(paths, secrets),
        "HEDDLE_RAY_ADDRESS": external.get("ray") or f"{LOOPBACK}:{ports['gcs']}",
        "HEDDLE_CONTROL_URL": f"http://{LOOPBACK}:{ports['control']}",
        "HEDDLE_EDGE_URL": f"http://{LOOPBACK}:{ports['edge']}",
        "HEDDLE_SECRET_KEY": launcher.get("HEDDLE_SECRET_KEY") or secrets.secret_key.get_secret_value(),
        _CONTROL_ONLY: launcher.get(_CONTROL_ONLY) or secrets.admin_key.get_secret_value(),
        **object_store,
    }
    ray_variables = (
        {name: value for name, value in launcher.items() if name.startswith("RAY_")}
        if "ray" in external
        else ray_head.ray_client_environment(paths)
    )
    plan = Plan((), settings, ray_variables)
    services = (
        _external(name, external[name], settings)
        if name in external
        else _own(name, config, paths, ports, secrets, files, plan)
        for name in config.services
    )
    return Plan(tuple(services), settings, ray_variables)


def _own(
    name: str,
    config: StackConfig,
    paths: StackPaths,
    ports: Mapping[str, int],
    secrets: StackSecrets,
    files: postgres.PostgresFiles | None,
    plan: Plan,
) -> Service:
    for_control = {key: value for key, value in plan.settings.items() if key != _MIGRATION_ONLY}
    without_admin = {key: value for key, value in for_control.items() if key != _CONTROL_ONLY}
    match name:
        case "postgres" if files is not None:
            return postgres.postgres_service(paths, files)
        case "objects":
            return servers.objects_service(paths, ports, secrets)
        case "cache":
            return servers.cache_service(config, paths, secrets)
        case "ray":
            return ray_head.ray_service(config, paths, ports, secrets)
        case "dispatcher":
            return planes.dispatcher_service(config, paths, without_admin, plan.ray_variables)
        case "control":
            return planes.plane_service(name, config, ports[name], for_control)
        case _:
            return planes.plane_service(name, config, ports[name], without_admin)


def _external(name: str, address: str, settings: Mapping[str, str]) -> Service:
    """Describe a server that runs elsewhere: it is prepared and checked like ours, never started."""

    async def ready() -> None:
        match name:
            case "postgres":
                await postgres.migrate_database(settings[_MIGRATION_ONLY], address)
            case "objects":
                await servers.objects_answer(_object_settings(settings))
            case "cache":
                await servers.cache_answers(address)
            case _:
                host, _, port = address.rpartition(":")
                await port_answers(int(port), host)

    shown = address.rpartition("@")[2]  # no password
    return Service(name=name, address=shown, command=(), environment={}, ready=ready, ready_seconds=15.0)


def _object_store(
    ports: Mapping[str, int], secrets: StackSecrets, launcher: Mapping[str, str], *, is_external: bool
) -> dict[str, str]:
    if is_external:
        given = {name: value for name, value in launcher.items() if name.startswith("HEDDLE_S3_")}
        _object_settings(given)
        return given
    own = servers.object_store_settings(ports, secrets)
    return {
        "HEDDLE_S3_ENDPOINT_URL": own.s3_endpoint_url,
        "HEDDLE_S3_ACCESS_KEY": own.s3_access_key.get_secret_value(),
        "HEDDLE_S3_SECRET_KEY": own.s3_secret_key.get_secret_value(),
        "HEDDLE_S3_BUCKET": own.s3_bucket,
    }


def _object_settings(variables: Mapping[str, str]) -> ObjectStoreSettings:
    named = {name.removeprefix("HEDDLE_").lower(): value for name, value in variables.items() if "_S3_" in name}
    try:
        return ObjectStoreSettings.model_validate(named)
    except ValidationError as error:
        missing = ", ".join(f"HEDDLE_{str(fault['loc'][0]).upper()}" for fault in error.errors())
        raise StackFailed(f"HEDDLE_S3_ENDPOINT_URL names an external object store; set {missing} too") from error
