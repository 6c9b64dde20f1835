"""Logs: one JSON object a line, a snake_case event and its fields; secrets are blanked before they are written."""

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import nullcontext
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TextIO

import structlog

_SECRET_NAMES = re.compile(r"(secret|password|token|authorization|api_key|admin_key|signature)", re.IGNORECASE)
_SECRET_VALUES = re.compile(
    r"(hdl_[a-z0-9]+_)[A-Za-z0-9_\-]+|(X-Amz-Signature(?:=|%3D))[0-9a-f]+|(whsec_)[A-Za-z0-9+/=_\-]+|(://[^:/@\s]*:)[^@\s]+(?=@)"
)
# at level debug these write what they sign, the signature on a line of its own, and headers with keys in them
_TELL_TALES = ("botocore", "boto3", "s3transfer", "urllib3", "httpx", "httpcore")


def blank_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values of secret-sounding fields, and keys, signatures and passwords inside any text, by `***`."""
    for name, value in event.items():
        event[name] = _blanked(name, value)
    return event


def _blanked(name: str, value: Any) -> Any:
    if isinstance(value, str | bytes):
        return "***" if _sounds_secret(name) else redact(value if isinstance(value, str) else repr(value))
    if isinstance(value, Mapping):
        return {key: _blanked(str(key), one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_blanked(name, one) for one in value]
    return value


@lru_cache(maxsize=1_024)
def _sounds_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


def redact(text: str) -> str:
    """Return `text` with API keys, presigned signatures, webhook secrets and URL passwords replaced by `***`."""
    # one of these stands in every secret; to look for them costs a tenth of the expression
    if "hdl_" not in text and "://" not in text and "X-Amz-" not in text and "whsec_" not in text:
        return text
    return _SECRET_VALUES.sub(lambda match: next(group for group in match.groups() if group) + "***", text)


_ENCODER = json.JSONEncoder(default=repr)  # json.dumps would make one for each line


def _render(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return _ENCODER.encode(event)


class _Lines:
    """Writes structlog's finished lines where the standard library's go, without making a record of each."""

    def __init__(self, handler: "logging.StreamHandler[TextIO]") -> None:
        self._handler = handler

    def msg(self, line: str) -> None:
        with self._handler.lock or nullcontext():
            self._handler.stream.write(f"{line}\n")
            self._handler.flush()

    debug = info = warning = warn = error = exception = critical = fatal = log = msg


def configure_logging(process: str, level: str = "info") -> None:
    """Send structlog's and the standard library's records to standard error as JSON lines.

    Args:
        process: name of this process, a field of every line.
        level: least level that is written.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        blank_secrets,
    ]
    handler = logging.StreamHandler(sys.stderr)
    structlog.configure(
        processors=[*shared, _render],
        logger_factory=lambda *_: _Lines(handler),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=False,
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TELL_TALES:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
    structlog.contextvars.bind_contextvars(process=process)


@lru_cache(maxsize=1)
def code_version() -> str:
    """Version of heddle that runs."""
    try:
        return version("heddle")
    except PackageNotFoundError:
        return "0+source"
