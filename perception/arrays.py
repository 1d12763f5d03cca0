"""Dataclasses of arrays as .npz files: written whole or not at all, read without running anything in them."""

from __future__ import annotations

import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from roadcraft.sim.errors import UserError


class Arrays(Protocol):
    """A dataclass whose fields are all arrays."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


Record = TypeVar("Record", bound=Arrays)


def save(path: Path, record: Arrays) -> None:
    """Writes a record, whole or not at all."""
    part = path.with_suffix(".part.npz")
    np.savez(part, **{f.name: getattr(record, f.name) for f in fields(record)})
    part.rename(path)


def load(path: Path, kind: type[Record], what: str) -> Record:
    """Reads a record. Raises UserError, "PATH is no WHAT", for a file that is something else."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return kind(**{f.name: file[f.name] for f in fields(kind)})
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is no {what}: {error}") from None
