"""Checkpoints: where a training keeps its state, whole or not at all.

In a folder they survive kill -9: written aside, flushed, then renamed over the old one.
"""

import io
import os
from pathlib import Path
from typing import Any, Protocol

import torch


class Checkpoints(Protocol):
    """Where a training's state is kept."""

    def save(self, state: dict[str, Any], step: int) -> None:
        """Keep the state after `step` steps; the latest one kept is the one found again."""

    def load(self) -> dict[str, Any] | None:
        """Return the latest state, or None if there is none."""


class FolderCheckpoints:
    """One file that is always whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, state: dict[str, Any], step: int) -> None:
        """Replace the file."""
        save_checkpoint(state, self.path)

    def load(self) -> dict[str, Any] | None:
        """Read the file."""
        return load_checkpoint(self.path)


def pack_checkpoint(state: dict[str, Any]) -> bytes:
    """A state as bytes."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def unpack_checkpoint(data: bytes) -> dict[str, Any]:
    """The state `pack_checkpoint` packed; nothing but tensors and plain values is ever built of it."""
    state: dict[str, Any] = torch.load(io.BytesIO(data), weights_only=True)
    return state


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint; the file at `path` is always a whole one."""
    aside = path.with_suffix(".writing")
    with aside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint, or None if there is none."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state
