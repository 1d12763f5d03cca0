"""The wheel brings `roadcraft` and nothing else: nobody's `control`, `launch` or `sim` is shadowed or overwritten."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("sim", "perception", "control", "launch", "configs")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that no build folder is left in the checkout."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--no-input",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(out),
        str(source),
    ]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("roadcraft-*.whl"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment's site-packages after the wheel was installed into it."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    return Path(told.strip())


def test_only_roadcraft_is_installed(site: Path) -> None:
    names = {item.name for item in site.iterdir()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"roadcraft"}


def test_every_file_of_the_packages_is_installed(site: Path) -> None:
    """Code, presets and weights alike: what is in the folders is in the wheel."""
    for folder in FOLDERS:
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in (".py", ".yaml", ".safetensors", ".json", ".onnx") and "__pycache__" not in file.parts:
                assert (site / "roadcraft" / file.relative_to(ROOT)).is_file(), (
                    f"{file.relative_to(ROOT)} is not in the wheel"
                )


def test_the_command_and_the_licence_are_there(site: Path) -> None:
    info = next(site.glob("roadcraft-*.dist-info"))
    assert "roadcraft = roadcraft.launch.__main__:main" in (info / "entry_points.txt").read_text()
    assert "License-Expression: MIT" in (info / "METADATA").read_text()
    assert (info / "licenses" / "LICENSE").is_file()


def test_constraints_fit_the_project() -> None:
    """Everything that the project asks for is pinned, once."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pins = [normal(line.split("==")[0]) for line in lines]
    assert len(pins) == len(set(pins))
    extras = PROJECT["project"]["optional-dependencies"]
    asked = [
        *PROJECT["project"]["dependencies"],
        *(d for extra in ("perception", "policy", "view", "dev") for d in extras[extra]),
    ]
    assert {normal(re.match(r"[\w.-]+", line)[0]) for line in asked} - {"roadcraft"} <= set(pins)  # type: ignore[index]
    assert "torch==2.13.0" in lines


def normal(name: str) -> str:
    """A distribution's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
