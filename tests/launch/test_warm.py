"""Kernels compiled ahead: all that a drive needs, once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from roadcraft.launch import warm
from roadcraft.sim import kernels
from roadcraft.sim.embedded.server import warm as server_warm
from roadcraft.sim.errors import UserError

COUNTED = """
import sys
from numba.core import event
from roadcraft.launch.__main__ import main
from roadcraft.sim.embedded.server.warm import warm_up
from roadcraft.sim.embedded.town import load_town

compiled = []
class Listener(event.Listener):
    def on_start(self, happened):
        compiled.append(str(happened.data["dispatcher"].py_func))
    def on_end(self, happened):
        pass
event.register("numba:compile", Listener())
warm_up(load_town("grid-20"))  # as a server does
assert main(["drive", "--max_ticks", "45", "--video", "false", "--rerun", "false"]) == 0
print("\\n".join(compiled), file=sys.stderr)
sys.exit(len(compiled))
"""
SLIM = """
import sys
sys.modules |= dict.fromkeys(("cv2", "safetensors", "torch", "openvino"))  # as if they were not installed
from roadcraft.launch import warm
from roadcraft.perception import corridor, decode, detection, foresight, tracker, trackfeatures
warm.decode()
for module in (corridor, decode, detection, foresight, tracker, trackfeatures):
    kernels = [k for k in vars(module).values() if hasattr(k, "signatures") and k.__module__ == module.__name__]
    print(module.__name__, sum(len(kernel.signatures) for kernel in kernels))
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sources of a module with a kernel, of one that it imports, and of one that has nothing to do with it."""
    (tmp_path / "sim").mkdir()
    (tmp_path / "sim" / "kernels.py").write_text("")
    (tmp_path / "sim" / "factor.py").write_text("FACTOR = 2")
    (tmp_path / "sim" / "aside.py").write_text("X = 1")
    names = "from roadcraft.sim.kernels import njit\nfrom roadcraft.sim.factor import FACTOR\n"
    (tmp_path / "sim" / "kernel.py").write_text(names)
    monkeypatch.setattr(kernels, "ROOT", tmp_path)
    monkeypatch.setattr(server_warm, "KERNELS", tmp_path / "sim" / "kernels.py")
    monkeypatch.setenv("ROADCRAFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "sim"


def test_what_was_done_is_done_again_when_a_kernel_changes(tree: Path) -> None:
    done: list[int] = []

    def times() -> int:
        server_warm.once("work", lambda: done.append(1), "sim")
        return len(done)

    assert (times(), times()) == (1, 1)
    (tree / "aside.py").write_text("X = 2")
    assert times() == 1
    (tree / "factor.py").write_text("FACTOR = 3")
    assert (times(), times()) == (2, 2)


def test_what_failed_is_said_and_tried_again(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(warm, "compile_part", refuses)
    for _ in range(2):
        assert warm.compile_ahead() == 1
        assert capsys.readouterr().err.splitlines()[-1] in ("no see here", "no drive here")


def refuses(part: str) -> None:
    raise UserError(f"no {part} here")


def test_decoding_is_compiled_in_the_slim_installation_too() -> None:
    done = subprocess.run([sys.executable, "-c", SLIM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    counts = dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines())
    assert len(counts) == 6
    assert all(int(count) > 0 for count in counts.values()), counts


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_nothing_is_left_to_compile_for_a_server_and_a_drive(runs: Path) -> None:
    assert warm.compile_ahead() == 0
    done = subprocess.run([sys.executable, "-c", COUNTED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
