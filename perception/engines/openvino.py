"""The network in OpenVINO: fastest on a CPU. Buffers are shared with it, so that a step copies nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from roadcraft.perception.engines.base import Model, TwoBuffers
from roadcraft.perception.heads import OUTPUTS
from roadcraft.sim.cache import cache_dir


class OpenVinoStepper:
    """A compiled model, one infer request, two state buffers in turn."""

    def __init__(self, onnx: Path, model: Model, threads: int, precision: str) -> None:
        core = ov.Core()
        config = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "CACHE_DIR": str(cache_dir() / "openvino"),
        }
        if threads:
            config["INFERENCE_NUM_THREADS"] = str(threads)
        self._compiled = core.compile_model(str(onnx), "CPU", config)
        self._request = self._compiled.create_infer_request()
        self._state = TwoBuffers(model.state)
        self._tensors = [
            {name: ov.Tensor(array, shared_memory=True) for name, array in buffers.items()}
            for buffers in (self._state.read, self._state.write)
        ]
        self._turn = 0
        self._out = {name: self._request.get_tensor(name) for name in OUTPUTS}

    def reset(self) -> None:
        """Zeros."""
        self._state.clear()

    def step(self, frame: NDArray[np.uint8], motion: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """See `base.Stepper`."""
        request = self._request
        request.set_tensor("frame", ov.Tensor(frame, shared_memory=True))
        request.set_tensor("motion", ov.Tensor(motion, shared_memory=True))
        before, after = self._tensors[self._turn], self._tensors[1 - self._turn]
        for name in before:
            request.set_tensor(name, before[name])
            request.set_tensor(f"{name}_next", after[name])
        request.infer()
        self._turn = 1 - self._turn
        return {name: tensor.data[0] for name, tensor in self._out.items()}
