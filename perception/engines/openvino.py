"""The network in OpenVINO: fastest on a CPU. Buffers are shared with it, so that a step copies nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from roadcraft.perception.engines.base import Model, TwoBuffers
from roadcraft.perception.heads import OUTPUTS
from roadcraft.sim.errors import UserError


def last_line(error: RuntimeError) -> str:
    """What went wrong: the operators that OpenVINO does not know, else the last line; those before say where in it."""
    lines = str(error).strip().splitlines()
    unknown = [line for line in lines if "No conversion rule" in line]
    return (unknown or lines)[-1].lstrip("- ")


def read_model(onnx: Path) -> ov.Model:
    """A graph as OpenVINO reads it. Raises UserError for one that it refuses."""
    try:
        return ov.Core().read_model(str(onnx))
    except RuntimeError as error:
        raise UserError(f"{onnx}: OpenVINO refuses it: {last_line(error)}") from None


def compiled(
    model: ov.Model, precision: str, threads: int, shapes: dict[int, list[int]] | None = None
) -> tuple[ov.CompiledModel, int]:
    """A model ready for single frames on the CPU, denormal numbers taken as zero, and how many threads compute;
    `threads` 0 leaves it to the runtime. `shapes` fixes the inputs' by number. Raises UserError for a model that it
    cannot compile, and for bf16 on a CPU on which it would silently become f32."""
    config: dict[str, str | bool | int] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "CPU_DENORMALS_OPTIMIZATION": True,  # forgotten by a model from OpenVINO's cache, hence none
        "ENABLE_CPU_PINNING": False,  # else every process computes on the machine's first cores, whatever is idle
    }
    if threads:
        config["INFERENCE_NUM_THREADS"] = threads
    try:
        if shapes is not None:
            model.reshape(shapes)
        ready = ov.Core().compile_model(model, "CPU", config)
    except RuntimeError as error:
        raise UserError(f"{model.get_friendly_name()}: OpenVINO cannot compile it: {last_line(error)}") from None
    if precision == "bf16" and ready.get_property("INFERENCE_PRECISION_HINT") != ov.Type.bf16:
        raise UserError("engine openvino cannot run bf16 on this CPU, it would run f32: ask for f32 or int8")
    return ready, int(ready.get_property("INFERENCE_NUM_THREADS"))


class OpenVinoStepper:
    """A compiled model, one infer request, two state buffers in turn."""

    def __init__(self, onnx: Path, model: Model, threads: int, precision: str) -> None:
        self._compiled, self.threads = compiled(read_model(onnx), precision, threads)
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
