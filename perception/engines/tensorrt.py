"""The network compiled by TensorRT, for NVIDIA GPUs: `tensorrt` 10.3 and later, 11, or `tensorrt_rtx`, what is there.

The graph is strongly typed: its precision is what the ONNX file says. Engine files are cached under the graph's hash,
the GPU and the version, and built anew when any of them differs. Building needs no GPU with `tensorrt_rtx`; running
does. The state lives in two sets of device buffers that change places, because input and output must not alias; each
of the two has its own CUDA graph of the whole step, from pinned input over the network to pinned output.
Where TensorRT says that the step cannot be captured, it is enqueued piece by piece.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from roadcraft.perception.engines.base import Model
from roadcraft.perception.heads import OUTPUTS
from roadcraft.sim.cache import cache_dir, digest, write_atomically
from roadcraft.sim.errors import UserError

log = logging.getLogger(__name__)
PACKAGES = ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings")
INPUTS = ("frame", "motion")  # that come from outside, beside the state
# How engines are built, where the version knows the flag: float32 is not rounded to TF32, and TensorRT-RTX allocates
# nothing while it runs, without which a CUDA graph cannot capture it (release notes of 1.2).
FLAGS = {"TF32": False, "REQUIRE_USER_ALLOCATION": True}


def bindings() -> Any:
    """The module of TensorRT that is installed. Raises UserError when there is none."""
    for name in PACKAGES:
        if importlib.util.find_spec(name) is not None:
            return importlib.import_module(name)
    raise UserError("engine tensorrt needs TensorRT: pip install 'roadcraft[tensorrt]'")


def gpu_name() -> str:
    """The GPU that torch sees; "" where there is none."""
    if importlib.util.find_spec("torch") is None:
        return ""
    import torch

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else ""


def build(graph: Path, progress: Callable[[str], None] = lambda what: None) -> bytes:
    """A serialised engine of an ONNX graph. Raises UserError naming the operator that TensorRT does not know."""
    trt = bindings()
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    flags = getattr(trt, "NetworkDefinitionCreationFlag", None)
    typed = getattr(flags, "STRONGLY_TYPED", None)  # in TensorRT 11 there is nothing else, nor a flag for it
    network = builder.create_network(0 if typed is None else 1 << int(typed))
    parser = trt.OnnxParser(network, logger)
    progress(f"TensorRT {trt.__version__} reads {graph.name}")
    if not parser.parse(graph.read_bytes()):
        found = [parser.get_error(i) for i in range(parser.num_errors)]
        errors = "; ".join(f"operator {error.node_operator()}: {error.desc().splitlines()[0]}" for error in found)
        raise UserError(f"{graph}: TensorRT {trt.__version__} refuses it: {errors}")
    config = builder.create_builder_config()
    set_flags(trt, config)
    timings = cache_dir() / f"tensorrt-timings-{digest(trt.__version__, gpu_name())}.bin"
    cache = None
    if "rtx" not in trt.__name__:  # TensorRT-RTX times nothing when it builds
        cache = config.create_timing_cache(timings.read_bytes() if timings.is_file() else b"")
        config.set_timing_cache(cache, ignore_mismatch=False)
    progress(f"TensorRT {trt.__version__} builds {graph.name}")
    config.progress_monitor = watcher = monitor(trt, progress)
    plan = builder.build_serialized_network(network, config)
    del watcher  # must live until here
    if plan is None:
        raise UserError(f"{graph}: TensorRT {trt.__version__} could not build an engine of it")
    if cache is not None:
        write_atomically(timings, lambda file: file.write(memoryview(cache.serialize())))
    return bytes(plan)


def set_flags(trt: Any, config: Any) -> None:
    """FLAGS, in a builder's configuration."""
    for name, wanted in FLAGS.items():
        flag = getattr(trt.BuilderFlag, name, None)
        if flag is not None:
            (config.set_flag if wanted else config.clear_flag)(flag)


def monitor(trt: Any, progress: Callable[[str], None]) -> Any:
    """What TensorRT tells how far it is; handed on as words."""

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            super().__init__()
            self.steps: dict[str, int] = {}

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            self.steps[name] = steps

        def step_complete(self, name: str, step: int) -> bool:
            progress(f"TensorRT: {name}, {step} of {self.steps[name]}")
            return True

        def phase_finish(self, name: str) -> None:
            self.steps.pop(name, None)

    return Monitor()


def engine_file(graph: Path) -> Path:
    """The cached engine of a graph for this GPU, version and FLAGS, built if there is none."""
    trt = bindings()
    key = digest(graph.read_bytes(), gpu_name(), trt.__name__, trt.__version__, json.dumps(FLAGS))
    path = cache_dir() / f"tensorrt-{key}.engine"
    if not path.is_file():
        about = f"engine for {gpu_name() or 'no GPU'}"
        with tqdm(desc=about, bar_format="{desc}: {postfix} [{elapsed}]", miniters=0) as bar:

            def tell(what: str) -> None:
                bar.set_postfix_str(what, refresh=False)  # TensorRT reports hundreds of steps a second
                bar.update(0)  # shows it if the last was shown long enough ago

            plan = build(graph, tell)
        write_atomically(path, lambda file: file.write(plan))
    log.info("TensorRT %s: %s is %s", trt.__version__, graph.name, path)
    return path


class TensorRtStepper:
    """An execution context with fixed device buffers and, for each turn of the state's buffers, a CUDA graph."""

    def __init__(self, graph: Path, model: Model) -> None:
        import torch

        if not torch.cuda.is_available():
            raise UserError("engine tensorrt needs an NVIDIA GPU that torch can use; there is none here")
        trt = bindings()
        self._torch = torch
        self.threads = 1
        runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        path = engine_file(graph)
        engine = runtime.deserialize_cuda_engine(path.read_bytes())
        if engine is None:
            log.warning("%s is damaged or of another driver: building it anew", path)
            path.unlink(missing_ok=True)
            engine = runtime.deserialize_cuda_engine(engine_file(graph).read_bytes())
        if engine is None:
            raise UserError(f"{path} cannot be loaded by TensorRT {trt.__version__}")
        self._engine = engine  # contexts do not keep it alive
        self._stream = torch.cuda.Stream()  # the kernels' cache wants torch's CUDA context to be there
        self._runtime_cache: tuple[Path, Any] | None = None
        self._context = self._new_context(path)
        if self._context is None:
            raise UserError(f"TensorRT {trt.__version__} has no room on the GPU for {path}")
        kinds = {trt.float32: torch.float32, trt.float16: torch.float16, trt.uint8: torch.uint8}
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        self._device: dict[str, Any] = {}
        with torch.cuda.stream(self._stream):  # no other stream waits for this one, nor this one for another
            for name in names:
                if name not in model.state and not name.endswith("_next"):
                    shape, kind = tuple(engine.get_tensor_shape(name)), kinds[engine.get_tensor_dtype(name)]
                    self._device[name] = torch.zeros(shape, dtype=kind, device="cuda")
                    self._context.set_tensor_address(name, self._device[name].data_ptr())
            self._states = [
                {name: torch.zeros(shape, device="cuda") for name, shape in model.state.items()} for _ in range(2)
            ]
        self._host = {
            name: torch.zeros(tuple(value.shape), dtype=value.dtype, pin_memory=True)
            for name, value in self._device.items()
        }
        self._given = {name: self._host[name].numpy() for name in INPUTS}
        self._turn = 0
        self._graphs = [self._capture(turn) for turn in range(2)]
        self._keep_runtime_cache()
        self.reset()

    def _new_context(self, path: Path) -> Any:
        """A context; TensorRT-RTX compiles its kernels when it is made, or takes them from the cache beside the
        engine, which it refuses when it is of another GPU or driver."""
        if not hasattr(self._engine, "create_runtime_config"):
            return self._engine.create_execution_context()
        config = self._engine.create_runtime_config()
        if hasattr(config, "create_runtime_cache"):  # of TensorRT-RTX
            file, cache = path.with_suffix(".kernels"), config.create_runtime_cache()
            if file.is_file() and not cache.deserialize(file.read_bytes()):
                log.warning("%s is of another GPU or driver: its kernels are compiled anew", file)
            config.set_runtime_cache(cache)
            self._runtime_cache = file, cache
        return self._engine.create_execution_context(config)

    def _keep_runtime_cache(self) -> None:
        """Writes the kernels down once they have run."""
        if self._runtime_cache is None:
            return
        path, cache = self._runtime_cache
        kernels = bytes(cache.serialize())
        if not path.is_file() or path.read_bytes() != kernels:
            write_atomically(path, lambda file: file.write(kernels))

    def _enqueue(self, turn: int) -> None:
        for name in INPUTS:
            self._device[name].copy_(self._host[name], non_blocking=True)
        for name, value in self._states[turn].items():
            self._context.set_tensor_address(name, value.data_ptr())
            self._context.set_tensor_address(f"{name}_next", self._states[1 - turn][name].data_ptr())
        if not self._context.execute_async_v3(self._stream.cuda_stream):
            raise RuntimeError("TensorRT could not run the step")
        for name in OUTPUTS:
            self._host[name].copy_(self._device[name], non_blocking=True)

    def _capture(self, turn: int) -> Any:
        """The step as a CUDA graph; None, and said, where it cannot be captured."""
        torch = self._torch
        with torch.cuda.stream(self._stream):
            self._enqueue(turn)  # once outside of a graph: the first call may allocate
            self._stream.synchronize()
            capturable = getattr(self._context, "is_stream_capturable", lambda stream: True)
            if not capturable(self._stream.cuda_stream):
                log.warning("TensorRT's step cannot be captured: it is enqueued piece by piece, which is slower")
                return None
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                self._enqueue(turn)
        return graph

    def reset(self) -> None:
        """Zeros."""
        with self._torch.cuda.stream(self._stream):
            for values in self._states:
                for value in values.values():
                    value.zero_()

    def step(self, frame: NDArray[np.uint8], motion: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """See `base.Stepper`."""
        self._given["frame"][:] = frame
        self._given["motion"][:] = motion
        with self._torch.cuda.stream(self._stream):
            graph = self._graphs[self._turn]
            if graph is None:
                self._enqueue(self._turn)
            else:
                graph.replay()
        self._stream.synchronize()
        self._turn = 1 - self._turn
        return {name: self._host[name][0].numpy() for name in OUTPUTS}
