"""Kernels are found again while their sources stay, and only then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from roadcraft.sim import kernels

MODULES = {
    "sim/__init__.py": "",
    "sim/factor.py": "FACTOR = 2",
    "sim/aside.py": "X = 1",
    "sim/inner.py": """
        from roadcraft.sim.kernels import njit
        from roadcraft.sim.factor import FACTOR
        @njit
        def inner(x):
            return FACTOR * x
        """,
    "sim/outer.py": """
        from roadcraft.sim.kernels import njit
        from roadcraft.sim import (
            inner,
        )
        multiply = inner.inner
        @njit
        def outer(x):
            return multiply(x) + 1
        """,
}
SHOWN = "from roadcraft.sim.outer import outer as f; print(f(5), sum(f.stats.cache_hits.values()))"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small `roadcraft` of its own, with the real `kernels.py`."""
    root = tmp_path / "roadcraft"
    (root / "sim").mkdir(parents=True)
    for name, text in MODULES.items():
        lines = [line[8:] if line.startswith(" " * 8) else line for line in text.splitlines()]
        (root / name).write_text("\n".join(lines) + "\n")
    for name in ("kernels.py", "cache.py"):
        (root / "sim" / name).write_text((kernels.ROOT / "sim" / name).read_text())
    return tmp_path


def outer_of_five(package: Path) -> tuple[int, int]:
    """What a fresh process computes, and how many kernels it found compiled."""
    environment = {"PYTHONPATH": str(package), "ROADCRAFT_CACHE": str(package / "cache"), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-S", "-c", f"import sys; sys.path += {sys.path!r}; {SHOWN}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=package)
    value, hits = done.stdout.split()
    return int(value), int(hits)


def test_a_change_in_another_module_compiles_anew(package: Path) -> None:
    assert outer_of_five(package) == (11, 0)
    assert outer_of_five(package) == (11, 1)
    (package / "roadcraft/sim/aside.py").write_text("X = 2\n")
    assert outer_of_five(package) == (11, 1)
    (package / "roadcraft/sim/factor.py").write_text("FACTOR = 3\n")
    assert outer_of_five(package) == (16, 0)
    (package / "roadcraft/sim/factor.py").write_text("FACTOR = 2\n")
    assert outer_of_five(package) == (11, 1)


def test_every_kernel_of_the_project_has_its_folder_by_imports() -> None:
    for layer in ("sim", "perception", "control"):
        for file in (kernels.ROOT / layer).rglob("*.py"):
            text = file.read_text()
            assert file.name == "kernels.py" or "import njit" not in text or "sim.kernels import njit" in text, file
    closure = kernels.closure(kernels.ROOT / "sim" / "embedded" / "traffic.py")
    assert kernels.ROOT / "sim" / "messages.py" in closure


def test_a_kernel_called_directly_gives_the_same() -> None:
    add = kernels.Direct(kernels.kernel(lambda values, factor: factor * values[0] + values[1]))
    values = np.array([2.0, 5.0])
    assert [add.call(values, factor) for factor in (1.0, 10.0, 100.0)] == [7.0, 25.0, 205.0]
