"""python launch/install.py: makes .venv with Roadcraft in it (`make install`). Needs Python's own library only.

A machine without an NVIDIA GPU is not made to download CUDA: torch comes from torch's own index of CPU builds, which is
given up within seconds where it cannot be reached; then pip's configuration of this machine decides. The simulator's
kernels are compiled meanwhile: pip keeps one core busy at best.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "installed"  # written last: an interrupted installation begins anew
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
INDEX_TIMEOUT = 4.0  # s
ANOTHER = "make PYTHON=/path/to/python3.11"
PACKAGES = ("sim", "perception", "control", "launch", "configs")


class InstallError(Exception):
    """What stands in the way, in one line."""


def check_python() -> None:
    """Raises InstallError unless this Python can make the environment."""
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] < (3, 13):
        raise InstallError(
            f"Python 3.11 or 3.12 is needed, {sys.executable} is {version}: make PYTHON=/path/to/python3.11"
        )
    if any(importlib.util.find_spec(name) is None for name in ("venv", "ensurepip")):
        raise InstallError(
            f"{sys.executable} has no venv module: install it (Debian, Ubuntu: apt-get install python3-venv)"
            f" or name another Python: {ANOTHER}"
        )


def has_gpu() -> bool:
    """Whether an NVIDIA GPU with its driver is here."""
    tool = shutil.which("nvidia-smi")
    return tool is not None and subprocess.run([tool, "-L"], capture_output=True, check=False).returncode == 0


def reachable(url: str) -> bool:
    """Whether the index answers within seconds."""
    try:
        with urllib.request.urlopen(url + "/torch/", timeout=INDEX_TIMEOUT):
            return True
    except (OSError, urllib.error.URLError):
        return False


def pinned(package: str) -> str:
    """The line of constraints.txt that pins the package."""
    lines = (ROOT / "constraints.txt").read_text().split()
    return next(line for line in lines if line.startswith(package + "=="))


def pip(*arguments: str) -> None:
    """Runs the environment's pip, one growing line on a terminal. Raises InstallError with the end of what pip said."""
    command = [str(python()), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *arguments]
    environment = {**os.environ, "PIP_PROGRESS_BAR": "off", "PYTHONUNBUFFERED": "1"}
    said: list[str] = []
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.rstrip())
            if line.strip():
                show(line.strip())
    show("")
    if process.returncode != 0:
        raise InstallError("pip could not install:\n" + "\n".join(said[-15:]))


def show(text: str) -> None:
    """The growing line, on a terminal only; nothing takes it away."""
    if sys.stderr.isatty():
        indented = f"    {text[: shutil.get_terminal_size().columns - 6]}" if text else ""
        print(f"\r\033[K{indented}", end="", file=sys.stderr, flush=True)


@contextmanager
def kernels() -> Iterator[subprocess.Popen[str]]:
    """The process that compiles the kernels; it ends with the block, whatever it has done by then."""
    command = [str(python()), "-m", "roadcraft.launch.warm"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def finish(process: subprocess.Popen[str]) -> None:
    """Waits for the kernels. Where they could not be compiled the first drive does it, so that is said and no error."""
    began = time.monotonic()
    while True:
        try:
            said = process.communicate(timeout=1.0)[1]
            break
        except subprocess.TimeoutExpired:
            show(f"{time.monotonic() - began:.0f} s")
    show("")
    if process.returncode != 0:
        reason = said.strip().splitlines()[-1:] or ["it said nothing"]
        say(f"    not compiled ({reason[0]}): the first drive does it")


def python() -> Path:
    """The environment's interpreter."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install_torch() -> None:
    """The pinned torch, as a CPU build where there is no GPU to use another."""
    if not has_gpu() and reachable(TORCH_CPU_INDEX):
        try:
            pip(pinned("torch"), "-c", "constraints.txt", "--index-url", TORCH_CPU_INDEX)
        except InstallError:
            say("torch's CPU index did not deliver, trying pip's own")
        else:
            return
    pip(pinned("torch"), "-c", "constraints.txt")


def link_packages() -> None:
    """Links .typing/roadcraft/<folder>, under which mypy and editors find the packages by their import names."""
    folder = ROOT / ".typing" / "roadcraft"
    folder.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(Path("..") / ".." / name, target_is_directory=True)


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Installs; the exit status is 2 where something a person must do stands in the way."""
    try:
        check_python()
        say(f"[1/4] environment {VENV.name} with Python {sys.version.split()[0]}")
        fresh = not STAMP.exists()
        STAMP.unlink(missing_ok=True)
        made = subprocess.run(
            [sys.executable, "-m", "venv", *(["--clear"] if fresh else []), str(VENV)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if made.returncode != 0:
            raise InstallError(f"{sys.executable} -m venv failed: " + " ".join(made.stdout.split()))
        say("[2/4] the simulator and what it stands on")
        pip("-c", "constraints.txt", "-e", ".")
        with kernels() as compiling:
            say("[3/4] torch and the rest, while the simulator's kernels are compiled (some minutes the first time)")
            install_torch()
            pip("-c", "constraints.txt", "roadcraft[all,dev]")
            say("[4/4] the rest of the kernels")
            finish(compiling)
        link_packages()
    except InstallError as error:
        say(f"roadcraft: {error}")
        return 2
    except KeyboardInterrupt:
        say("roadcraft: interrupted; the next `make` begins anew")
        return 130
    STAMP.write_text(sys.version)
    return 0


if __name__ == "__main__":
    sys.exit(main())
