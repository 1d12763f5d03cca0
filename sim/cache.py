"""Arrays that are slow to make, kept on disk: in $ROADCRAFT_CACHE, else in the user's cache folder.

Files are NumPy archives without pickled objects, written aside and then renamed, so that a reader in another process
never sees half of one. A file that cannot be read is made again.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray]


def cache_dir() -> Path:
    """The folder, made when it is not there."""
    named = os.environ.get("ROADCRAFT_CACHE")
    if named:
        path = Path(named)
    elif sys.platform == "win32":
        path = Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "roadcraft" / "cache"
    else:
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roadcraft"
    path.mkdir(parents=True, exist_ok=True)
    return path


def digest(*parts: str | bytes) -> str:
    """A short name for some contents."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()[:20]


def source_digest(*modules: ModuleType) -> str:
    """Changes whenever the source of one of the modules does: what they made is then out of date."""
    return digest(*(Path(str(module.__file__)).read_bytes() for module in modules))


def cached(key: str, make: Callable[[], Arrays]) -> Arrays:
    """The arrays kept under a key; `make` is called when there are none yet."""
    path = cache_dir() / f"{key}.npz"
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (FileNotFoundError, ValueError, OSError, EOFError, zipfile.BadZipFile):
        arrays = make()
    write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
    return arrays


def write_atomically(path: Path, write: Callable) -> None:
    """Calls `write` with an open binary file that takes the path's place when all is written."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
