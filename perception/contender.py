"""One contender of the latency benchmark, in a process of its own: an engine at a precision, a size and a batch, or
anybody's ONNX graph by itself.

`python -m roadcraft.perception.contender '<contender as JSON>'` loads it, says what it has loaded, and answers on
stdout to each number of frames that it reads from stdin. Times are wall clock in milliseconds.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Camera, Command, Ego, Observation

SMALL = (320, 192)  # width, height at which others' networks are compared
ONNX_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(uint8)": np.uint8,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}


@dataclass(frozen=True)
class Contender:
    """One row of the table."""

    name: str
    network: str  # whose weights
    engine: str  # openvino, onnxruntime, torch, tensorrt
    precision: str
    width: int
    height: int
    batch: int = 1
    file: str = ""  # the graph; for torch the checkpoint
    ours: bool = True  # from frame to percept; somebody's graph is timed alone, without preparing and decoding
    threads: int = 0
    frames: str = ""  # .npy file of frames (N, H, W, 3)


class Timed(Protocol):
    """What a process measures: one frame after the other."""

    threads: int | None  # that the runtime computes with; None where it does not say

    def __call__(self, number: int) -> dict[str, float]:
        """Milliseconds of a frame: "total", and its parts where it has any."""


def serve(contender: Contender) -> None:
    """Loads, says so, and times as many frames as each line of stdin asks for."""
    began = time.perf_counter()
    free = gpu_free_mb() if contender.engine == "tensorrt" else None
    timed: Timed = TimedEngine(contender) if contender.ours and contender.batch == 1 else TimedGraph(contender)
    timed(0)
    loaded = {"load_s": time.perf_counter() - began, "threads": timed.threads}
    print(json.dumps({**loaded, "gpu_mb": None if free is None else free - (gpu_free_mb() or 0.0)}), flush=True)
    number = 0
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            number += 1
            times.append(timed(number))
        print(json.dumps({"times": times, "peak_mb": peak_mb()}), flush=True)


def peak_mb() -> float:
    """The most memory that this process has held. On Linux getrusage would tell the parent's where that was more."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)  # macOS counts bytes
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return float(line.split()[1]) / 1024


def gpu_free_mb() -> float | None:
    """Free memory of the GPU, all processes' use taken off, this one's CUDA context too; None without a GPU."""
    import torch

    return torch.cuda.mem_get_info()[0] / (1 << 20) if torch.cuda.is_available() else None


class TimedEngine:
    """An engine of ours, from a uint8 frame to a percept."""

    def __init__(self, c: Contender) -> None:
        from roadcraft.perception.engines import load_engine

        self._engine = load_engine(c.engine, c.precision, c.file or None, c.threads)
        self._frames = np.load(c.frames)
        self.threads = self._engine.threads

    def __call__(self, number: int) -> dict[str, float]:
        """See `Timed`."""
        observation = observed(number, self._frames[number % len(self._frames)])
        began = time.perf_counter()
        self._engine(observation)
        total = time.perf_counter() - began
        return {"total": total * 1e3, **{part: seconds * 1e3 for part, seconds in self._engine.parts.items()}}


class TimedGraph:
    """A graph by itself on random inputs; free dimensions become 1, or the contender's height and width."""

    def __init__(self, c: Contender) -> None:
        self._rng = np.random.default_rng(0)
        self._size = (c.height, c.width)
        if c.engine == "openvino":
            self._load_openvino(c)
        else:
            self._load_onnxruntime(c)

    def __call__(self, number: int) -> dict[str, float]:
        """See `Timed`."""
        began = time.perf_counter()
        self._infer()
        return {"total": (time.perf_counter() - began) * 1e3}

    def _load_onnxruntime(self, c: Contender) -> None:
        from roadcraft.perception.engines.onnxruntime import open_session

        session, self.threads = open_session(Path(c.file), c.threads)
        feed = {i.name: self._fill(i.shape, ONNX_TYPES.get(i.type, np.float32)) for i in session.get_inputs()}
        self._infer = lambda: session.run(None, feed)

    def _load_openvino(self, c: Contender) -> None:
        from roadcraft.perception.engines.openvino import compiled, read_model

        model = read_model(Path(c.file))
        shapes = [[d.get_length() if d.is_static else None for d in i.partial_shape] for i in model.inputs]
        feed = [self._fill(s, i.element_type.to_dtype()) for s, i in zip(shapes, model.inputs, strict=True)]
        ready, self.threads = compiled(model, c.precision, c.threads, {i: list(f.shape) for i, f in enumerate(feed)})
        request, inputs = ready.create_infer_request(), dict(enumerate(feed))
        self._infer = lambda: request.infer(inputs, share_inputs=True)

    def _fill(self, shape: list[Any], kind: Any) -> NDArray[Any]:
        """A random tensor; the last two of its free dimensions from the third on are the image's."""
        behind = list(self._size)
        sizes: list[int] = []
        for i, size in reversed(list(enumerate(shape))):
            known = isinstance(size, int) and size > 0
            sizes.insert(0, int(size) if known else (behind.pop() if behind and i >= 2 else 1))
        if np.issubdtype(kind, np.integer):
            return np.asarray(self._rng.integers(0, 256 if kind == np.uint8 else 2, sizes), kind)
        return np.asarray(self._rng.random(sizes), kind)


def observed(number: int, rgb: NDArray[np.uint8]) -> Observation:
    """A frame as an engine is given it, 20 a second, the car at 8 m/s."""
    ego = Ego(np.zeros(2), 0.0, 8.0, 0.0, np.zeros(2), 0.0)
    camera = Camera(rgb.shape[1], rgb.shape[0])
    return Observation(number, number * 0.05, rgb, camera, ego, np.zeros((20, 2)), Command.FOLLOW)


if __name__ == "__main__":
    try:
        serve(Contender(**json.loads(sys.argv[1])))
    except UserError as problem:
        sys.exit(" ".join(str(problem).split()))
