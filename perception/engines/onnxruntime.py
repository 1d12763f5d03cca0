"""The network in ONNX Runtime: runs wherever Python does."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from roadcraft.perception.engines.base import Model
from roadcraft.perception.heads import OUTPUTS
from roadcraft.sim.errors import UserError

TASKS = Path("/proc/self/task")  # the threads of this process, on Linux


def open_session(onnx: Path, threads: int) -> tuple[onnxruntime.InferenceSession, int | None]:
    """A session on the CPU that takes denormal numbers as zero and does not spin, and how many threads compute (None
    where that cannot be told); `threads` 0 leaves it to the runtime. Raises UserError for a graph that it refuses."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the cores too
    options.log_severity_level = 4
    before = len(os.listdir(TASKS)) if TASKS.is_dir() else None
    try:
        session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base
        raise UserError(f"{onnx}: ONNX Runtime refuses it: {error}") from None
    return session, None if before is None else len(os.listdir(TASKS)) - before + 1


class OnnxRuntimeStepper:
    """One session; the state's arrays go out of one step and into the next."""

    def __init__(self, onnx: Path, model: Model, threads: int) -> None:
        self._session, self.threads = open_session(onnx, threads)
        self._names = [output.name for output in self._session.get_outputs()]
        self._shapes = model.state
        self.reset()

    def reset(self) -> None:
        """Zeros."""
        self.state = {name: np.zeros(shape, np.float32) for name, shape in self._shapes.items()}

    def step(self, frame: NDArray[np.uint8], motion: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """See `base.Stepper`. Raises RuntimeError when the runtime fails."""
        try:
            values = self._session.run(None, {"frame": frame, "motion": motion, **self.state})
        except Exception as error:  # its exceptions have no common base
            raise RuntimeError(f"ONNX Runtime: {error}") from None
        out = dict(zip(self._names, values, strict=True))
        self.state = {name: out[f"{name}_next"] for name in self._shapes}
        return {name: out[name][0] for name in OUTPUTS}
