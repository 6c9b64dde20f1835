"""Keys and passwords of a local stack: made once, kept in one file that only its owner can read."""

import json
import os
import secrets
from pathlib import Path

from pydantic import BaseModel, SecretStr, field_serializer

from heddle_platform.errors import DataCorrupt


class StackSecrets(BaseModel, frozen=True):
    """Everything random about a stack.

    Attributes:
        stack_id: tells a stack from one that was deleted and made anew in the same folder.
        admin_key: the first admin's API key.
        secret_key: signs edit ids and seals stored replies.
        s3_access_key, s3_secret_key, redis_password, ray_token: between the processes.
    """

    stack_id: str
    admin_key: SecretStr
    secret_key: SecretStr
    s3_access_key: SecretStr
    s3_secret_key: SecretStr
    redis_password: SecretStr
    ray_token: SecretStr

    @field_serializer(
        "admin_key", "secret_key", "s3_access_key", "s3_secret_key", "redis_password", "ray_token", when_used="json"
    )
    def _reveal(self, value: SecretStr) -> str:
        return value.get_secret_value()


def make_secrets() -> StackSecrets:
    """Draw new ones: 32 random bytes each where they guard anything."""
    return StackSecrets(
        stack_id=secrets.token_hex(4),
        admin_key=SecretStr(f"hdl_admin_{secrets.token_urlsafe(32)}"),
        secret_key=SecretStr(secrets.token_urlsafe(48)),
        s3_access_key=SecretStr(secrets.token_hex(10)),
        s3_secret_key=SecretStr(secrets.token_hex(24)),
        redis_password=SecretStr(secrets.token_hex(24)),
        ray_token=SecretStr(secrets.token_hex(32)),
    )


def load_or_make_secrets(path: Path) -> StackSecrets:
    """Read a stack's secrets, or make and store them at its first start.

    Raises:
        DataCorrupt: the file is there and cannot be read.
    """
    if not path.exists():
        write_private(path, make_secrets().model_dump_json(indent=2))
    return load_secrets(path)


def load_secrets(path: Path) -> StackSecrets:
    """Read a stack's secrets.

    Raises:
        DataCorrupt: they are missing or unreadable.
    """
    try:
        return StackSecrets.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise DataCorrupt(f"{path} cannot be read ({type(error).__name__}); put back its backup") from error


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)
