"""A contender of the latency benchmark from outside: its process (`contender.py`) is started, told how many frames to
time, and ended when it does not answer in time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from selectors import EVENT_READ, DefaultSelector
from typing import Any

import numpy as np

from roadcraft.perception.contender import Contender
from roadcraft.perception.delay import histogram
from roadcraft.sim.errors import UserError

GRACE = 10.0  # s, for a process that ends to be gone


class Hung(UserError):
    """A process that did not answer and was ended."""

    def __init__(self, name: str, step: str, seconds: float) -> None:
        super().__init__(f"{name}: {step} took longer than {seconds:g} s, it was ended (--patience gives it more)")
        self.seconds = seconds  # that were waited


class Worker:
    """A contender's process."""

    def __init__(self, contender: Contender, patience: float) -> None:
        """`patience` [s]: how long it may take to load, and for a round."""
        self.contender = contender
        self._patience = patience
        self._heard = b""  # what it has written of a line that is not whole yet
        self.times: list[dict[str, float]] = []
        self.peak_mb = 0.0
        command = [sys.executable, "-m", "roadcraft.perception.contender", json.dumps(asdict(contender))]
        # A pipe that nobody reads would be full one day.
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, bufsize=0
        )

    def __enter__(self) -> Worker:
        try:
            self.loaded = self._answer("loading")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):  # a driver that hangs keeps even what was killed
            self._process.wait(GRACE)
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            pipe.close()

    def run(self, frames: int, keep: bool = True) -> None:
        """Times that many frames, in batches of the contender's, one at least."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has died, and its answer says of what
            self._process.stdin.write(f"{max(frames // self.contender.batch, 1)}\n".encode())
        answer = self._answer("a round")
        if keep:
            self.times += answer["times"]
        self.peak_mb = float(answer["peak_mb"])

    def _answer(self, step: str) -> dict[str, Any]:
        """What it says next. Raises UserError with its last words when it has died and with its words when they are no
        answer, Hung when it stays silent."""
        line = self._line(time.monotonic() + self._patience)
        if line is None:
            self._process.kill()
            raise Hung(self.contender.name, step, self._patience)
        if not line:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
            self._process.kill()
            self._said.seek(0)
            said = self._said.read().strip().splitlines()
            raise UserError(f"{self.contender.name}: {said[-1] if said else 'its process died'}")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            self._process.kill()
            raise UserError(f"{self.contender.name}: {step}: {line[:80].decode(errors='replace')!r} is no answer")
        return answer

    def _line(self, until: float) -> bytes | None:
        """Its next line; empty when it has died, None when there is no whole one by then (`time.monotonic`)."""
        assert self._process.stdout is not None
        with DefaultSelector() as selector:
            selector.register(self._process.stdout, EVENT_READ)
            while b"\n" not in self._heard:
                if not selector.select(max(until - time.monotonic(), 0.0)):
                    return None
                piece = self._process.stdout.read(1 << 16)
                if not piece:
                    return b""
                self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    def row(self) -> dict[str, Any]:
        """The figures of the frames that were kept."""
        c, total = self.contender, np.array([t["total"] for t in self.times])
        parts = {part: float(np.median([t[part] for t in self.times])) for part in self.times[0] if part != "total"}
        return {
            **whose(c),
            "threads": self.loaded["threads"],
            "p50_ms": float(np.percentile(total, 50)),
            "p90_ms": float(np.percentile(total, 90)),
            "p99_ms": float(np.percentile(total, 99)),
            "mean_ms": float(total.mean()),
            "max_ms": float(total.max()),
            "histogram": histogram(total / 1e3),
            "frames_per_s": float(1e3 * c.batch / np.median(total)),
            "parts_ms": parts,
            "load_s": self.loaded["load_s"],
            "peak_mb": self.peak_mb,
            "gpu_mb": self.loaded.get("gpu_mb"),
            "frames": len(total) * c.batch,
        }


def whose(c: Contender) -> dict[str, Any]:
    """What a row says of whose it is."""
    about = {"name": c.name, "network": c.network, "ours": c.ours, "engine": c.engine, "precision": c.precision}
    return {**about, "input": [c.width, c.height], "batch": c.batch}
