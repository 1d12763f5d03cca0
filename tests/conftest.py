"""For all tests: a cache of their own is not needed (towns are keyed by content), a private runs folder is."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `fakes`
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers share two cores
os.environ.setdefault("MPLBACKEND", "agg")
# A shell without job control starts background jobs deaf to Ctrl-C, and their children after them.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory; verbs put their runs under `runs/` of it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"
