"""runs/<time>-<verb>/: where a run leaves its configuration, its results and whatever else it makes."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from roadcraft.sim.errors import UserError


@dataclass
class Run:
    """One run of a verb. What a verb puts into `result` is printed however the run ends."""

    folder: Path
    result: dict[str, Any] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        """Writes a file of the run's folder, whole or not at all."""
        path = self.folder / name
        draft = path.with_name(path.name + ".part")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
        return path

    def write_json(self, name: str, value: Any) -> Path:
        """Writes a value as indented JSON."""
        return self.write(name, json.dumps(plain(value), indent=2) + "\n")


def begin(verb: str, config_yaml: str, root: Path = Path("runs")) -> Run:
    """Makes a folder of its own under `root` and puts the resolved configuration there."""
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{verb.replace(' ', '-')}"
    for number in range(1, 1000):
        folder = root / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        run = Run(folder)
        run.write("config.yaml", config_yaml)
        return run
    raise FileExistsError(f"{root}/{stem}")


def writable(path: Path) -> None:
    """Raises UserError unless a file can be written there; makes its folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except OSError as error:
        raise UserError(f"out {path}: {error.strerror}") from None


def writable_folder(path: Path) -> None:
    """Raises UserError unless files can be written there; makes the folder."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=path).close()
    except OSError as error:
        raise UserError(f"out {path}: {error.strerror}") from None


def plain(value: Any) -> Any:
    """The value as JSON knows it: arrays as lists, paths as text, numbers that are not finite as null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return os.fspath(value) if isinstance(value, Path) else value


def last_line(run: Run) -> str:
    """The one JSON object that ends a verb's output."""
    return json.dumps(plain({**run.result, "run": run.folder}))
