"""What `make install` says when it cannot: one line, status 2, nothing half done."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from roadcraft.launch import install

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bare checkout in which nothing was installed, with calls of pip and venv replaced by notes."""
    for file in ("pyproject.toml", "constraints.txt", "Makefile"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "launch").mkdir()
    shutil.copy(ROOT / "launch" / "install.py", tmp_path / "launch")
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(install, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(install, "STAMP", tmp_path / ".venv" / "installed")
    return tmp_path


def made(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    return subprocess.run([make, *words], cwd=checkout, capture_output=True, text=True, check=False)


def only_line(error: str) -> str:
    """The one line that is not make's own."""
    lines = [line for line in error.splitlines() if not line.startswith("make")]
    assert len(lines) == 1, error
    return lines[0]


def test_a_python_that_is_not_there(checkout: Path) -> None:
    done = made(checkout, "install", "PYTHON=/nowhere/python")
    assert done.returncode == 2
    assert "/nowhere/python" in only_line(done.stderr)


def test_python_without_venv(checkout: Path) -> None:
    """As Debian has it without python3-venv: the module ensurepip does not exist."""
    python = checkout / "python3"
    hide = "import runpy, sys; sys.modules['ensurepip'] = None; del sys.argv[0]; "
    hide += "runpy.run_path(sys.argv[0], run_name='__main__')"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{hide}" "$@"\n')
    python.chmod(0o755)
    done = made(checkout, "install", f"PYTHON={python}")
    assert done.returncode == 2
    assert "python3-venv" in only_line(done.stderr)
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("version", [(3, 10, 4), (3, 13, 0)])
def test_another_python_version(
    version: tuple[int, int, int], checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    assert install.main() == 2
    assert ".".join(map(str, version)) in only_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("gpu", "online", "indices"),
    [(False, True, ["https://download.pytorch.org/whl/cpu"]), (False, False, [None]), (True, True, [None])],
)
def test_where_torch_comes_from(
    gpu: bool, online: bool, indices: list[str | None], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a GPU from torch's CPU index, when it answers; otherwise as pip is configured. Always the pinned one."""
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(install, "has_gpu", lambda: gpu)
    monkeypatch.setattr(install, "reachable", lambda url: online)
    monkeypatch.setattr(install, "pip", lambda *words: asked.append(words))
    install.install_torch()
    assert [words[words.index("--index-url") + 1] if "--index-url" in words else None for words in asked] == indices
    assert all(words[0] == "torch==2.13.0" for words in asked)


def test_an_index_that_fails_gives_way_to_pips_own(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def pip(*words: str) -> None:
        asked.append(words)
        if "--index-url" in words:
            raise install.InstallError("no such file")

    monkeypatch.setattr(install, "has_gpu", lambda: False)
    monkeypatch.setattr(install, "reachable", lambda url: True)
    monkeypatch.setattr(install, "pip", pip)
    install.install_torch()
    assert ["--index-url" in words for words in asked] == [True, False]


def test_an_interrupted_installation_begins_anew(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stamp comes last: a failure on the way leaves none, and the next run clears what was half done."""
    broken = True

    def pip(*words: str) -> None:
        if broken and "-e" in words:
            raise install.InstallError("cut short")

    monkeypatch.setattr(install, "has_gpu", lambda: True)
    monkeypatch.setattr(install, "pip", pip)
    monkeypatch.setattr(install.subprocess, "run", lambda words, **_: fake_venv(checkout, "--clear" in words))  # type: ignore[attr-defined]
    assert install.main() == 2
    assert not install.STAMP.exists()
    (checkout / ".venv" / "half").touch()
    broken = False
    assert install.main() == 0
    assert install.STAMP.exists()
    assert not (checkout / ".venv" / "half").exists()
    assert (checkout / ".typing" / "roadcraft" / "launch").is_dir()


def fake_venv(checkout: Path, clear: bool, python: str = "exit 0") -> subprocess.CompletedProcess[str]:
    """An environment whose interpreter is a line of shell."""
    if clear:
        shutil.rmtree(checkout / ".venv", ignore_errors=True)
    executable = checkout / ".venv" / "bin" / "python"
    executable.parent.mkdir(parents=True, exist_ok=True)
    executable.write_text(f"#!/bin/sh\n{python}\n")
    executable.chmod(0o755)
    return subprocess.CompletedProcess([], 0, "")


def install_with(python: str, pip: Callable[..., None], checkout: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The status of an installation whose interpreter is a line of shell; it may write to the pipe `said`."""
    os.mkfifo(checkout / "said")
    monkeypatch.setattr(install, "has_gpu", lambda: True)
    monkeypatch.setattr(install, "pip", pip)
    monkeypatch.setattr(install.subprocess, "run", lambda words, **_: fake_venv(checkout, True, python))  # type: ignore[attr-defined]
    return install.main()


def test_kernels_are_compiled_while_pip_works(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The simulator is there when they begin; the rest comes while they run."""
    order: list[str] = []

    def pip(*words: str) -> None:
        order.append(words[-1] if words[-1] != "constraints.txt" else words[0])
        if words[-1] == "roadcraft[all,dev]":  # blocks for ever where nobody compiles
            order.append((checkout / "said").read_text().strip())

    assert install_with('echo "$@" > said', pip, checkout, monkeypatch) == 0
    assert order == [".", "torch==2.13.0", "roadcraft[all,dev]", "-m roadcraft.launch.warm"]
    assert "not compiled" not in capsys.readouterr().err


def test_kernels_that_cannot_be_compiled_are_no_error(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    python = "echo first >&2; echo no compiler for this machine >&2; exit 3"
    assert install_with(python, lambda *words: None, checkout, monkeypatch) == 0
    assert "not compiled (no compiler for this machine): the first drive does it" in capsys.readouterr().err
    assert install.STAMP.exists()


def test_an_installation_that_fails_stops_compiling(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def pip(*words: str) -> None:
        if words[-1] == "roadcraft[all,dev]":
            seen.append(int((checkout / "said").read_text()))
            raise install.InstallError("cut short")

    assert install_with("echo $$ > said; exec sleep 1000", pip, checkout, monkeypatch) == 2
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


def test_the_script_needs_pythons_own_library_only() -> None:
    """It runs before anything is installed."""
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", f"import runpy; runpy.run_path({str(ROOT / 'launch' / 'install.py')!r})"],
        check=False,
    )
    assert done.returncode == 0
    assert importlib.util.find_spec("roadcraft") is not None
