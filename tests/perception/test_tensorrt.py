"""TensorRT as far as a machine without a GPU goes: it builds the policy's graph too, and keeps engines by what they are
of: graph, GPU and version. What runs is tested with a stand-in for the GPU, whose memory is the CPU's."""

from __future__ import annotations

import ctypes
import importlib.util
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from roadcraft.control.export import to_onnx
from roadcraft.control.policy import Policy
from roadcraft.launch.machine import versions
from roadcraft.perception import export
from roadcraft.perception.engines import model_of, tensorrt
from roadcraft.perception.engines.onnxruntime import OnnxRuntimeStepper, open_session
from roadcraft.perception.network import Architecture, Network

pytestmark = pytest.mark.skipif(
    all(importlib.util.find_spec(name) is None for name in tensorrt.PACKAGES), reason="no TensorRT is installed"
)


@pytest.fixture(params=["f32", "f16"])
def policy(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    to_onnx(Policy.load(), tmp_path / "policy.onnx", request.param)
    return tmp_path / "policy.onnx"


def test_an_engine_of_the_policy_is_cached_by_graph_gpu_and_version(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tensorrt, "cache_dir", lambda: tmp_path)
    first = tensorrt.engine_file(policy)
    assert first.stat().st_size > 1000
    assert "engine for no GPU" in capsys.readouterr().err
    before = first.stat().st_mtime_ns
    assert tensorrt.engine_file(policy) == first
    assert first.stat().st_mtime_ns == before
    assert not capsys.readouterr().err
    monkeypatch.setattr(tensorrt, "gpu_name", lambda: "Another GPU")
    other = tensorrt.engine_file(policy)
    assert other != first
    assert "engine for Another GPU" in capsys.readouterr().err
    monkeypatch.setattr(tensorrt.bindings(), "__version__", "99.0")
    newer = tensorrt.engine_file(policy)
    assert newer not in (first, other)
    assert "engine for Another GPU" in capsys.readouterr().err
    monkeypatch.setitem(tensorrt.FLAGS, "TF32", True)
    assert tensorrt.engine_file(policy) not in (first, other, newer)


def test_engines_are_built_without_tf32_and_so_that_a_cuda_graph_can_capture_them(
    policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trt = tensorrt.bindings()
    configs: list[Any] = []
    monkeypatch.setattr(
        tensorrt, "set_flags", lambda trt, config, real=tensorrt.set_flags: (configs.append(config), real(trt, config))
    )
    tensorrt.build(policy)
    for name, wanted in (("TF32", False), ("REQUIRE_USER_ALLOCATION", True)):
        if hasattr(trt.BuilderFlag, name):
            assert configs[0].get_flag(getattr(trt.BuilderFlag, name)) == wanted


def test_progress_is_shown_at_intervals_and_others_half_written_files_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(graph: Path, progress: Callable[[str], None]) -> bytes:
        for path in others:
            path.mkdir()  # stands for the file that another process is writing
        for number in range(1000):
            progress(f"TensorRT: a step, {number} of 1000")
        return b"built"

    graph, others = tmp_path / "graph.onnx", list[Path]()
    graph.write_bytes(b"graph")
    monkeypatch.setattr(tensorrt, "cache_dir", lambda: tmp_path)
    monkeypatch.setattr(tensorrt, "build", build)
    path = tensorrt.engine_file(graph)
    assert len(capsys.readouterr().err) < 10_000
    path.unlink()
    others.append(path.with_suffix(".tmp"))
    assert tensorrt.engine_file(graph).read_bytes() == b"built"


def test_a_benchmark_says_which_tensorrt_it_was() -> None:
    assert any(name.startswith("tensorrt") for name in versions())


class Captured(TorchDispatchMode):
    """A stand-in for `torch.cuda.CUDAGraph`: notes what is asked while it is captured, does it when it is replayed."""

    now: Captured | None = None
    count = 0

    def __init__(self) -> None:
        super().__init__()
        Captured.count += 1
        self.asked: list[Callable[[], Any]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.asked.append(lambda: function(*args, **(kwargs or {})))
        return args[0]

    @contextmanager
    def capture(self) -> Iterator[None]:
        Captured.now = self
        with self:
            yield
        Captured.now = None

    def replay(self) -> None:
        for ask in self.asked:
            ask()


class Context:
    """A stand-in for TensorRT's context: reads and writes at the addresses that it was told."""

    capturable = True

    def __init__(self, session: Any) -> None:
        self._session, self._at = session, dict[str, int]()

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._at[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        at = dict(self._at)
        assert len(set(at.values())) == len(at)  # input and output must not alias
        if Captured.now is None:
            self._run(at)
        else:
            Captured.now.asked.append(lambda: self._run(at))
        return True

    def is_stream_capturable(self, stream: int) -> bool:
        return Context.capturable

    def _run(self, at: dict[str, int]) -> None:
        feed = {i.name: memory(at[i.name], i.shape, i.type) for i in self._session.get_inputs()}
        for said, value in zip(self._session.get_outputs(), self._session.run(None, feed), strict=True):
            memory(at[said.name], value.shape, said.type)[:] = value


def memory(address: int, shape: Any, kind: str) -> Any:
    size, of = int(np.prod(shape)), ctypes.c_uint8 if "uint8" in kind else ctypes.c_float
    return np.ctypeslib.as_array((of * size).from_address(address)).reshape(shape)


class Engine:
    """A stand-in for TensorRT's engine around a session of ONNX Runtime."""

    def __init__(self, session: Any, trt: Any) -> None:
        self._session, self._trt = session, trt
        self._tensors = {t.name: t for t in (*session.get_inputs(), *session.get_outputs())}
        self.num_io_tensors = len(self._tensors)

    def get_tensor_name(self, number: int) -> str:
        return list(self._tensors)[number]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name].shape)

    def get_tensor_dtype(self, name: str) -> Any:
        return self._trt.uint8 if "uint8" in self._tensors[name].type else self._trt.float32

    def create_execution_context(self, config: RuntimeConfig) -> Context:
        config.cache.used = True
        return Context(self._session)

    def create_runtime_config(self) -> RuntimeConfig:
        return RuntimeConfig()


class RuntimeCache:
    """A stand-in for the kernels of TensorRT-RTX; those of another machine are refused."""

    read: ClassVar[list[bytes]] = []
    used = False

    def deserialize(self, blob: bytes) -> bool:
        RuntimeCache.read.append(blob)
        return blob == b"kernels"

    def serialize(self) -> bytes:
        return b"kernels" if self.used else b""


class RuntimeConfig:
    """A stand-in for how TensorRT-RTX makes a context."""

    def create_runtime_cache(self) -> RuntimeCache:
        return RuntimeCache()

    def set_runtime_cache(self, cache: RuntimeCache) -> bool:
        self.cache = cache
        return True


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = Network(Architecture.named("tiny")).eval()
    return export.to_onnx(network, tmp_path_factory.mktemp("graphs") / "tiny.onnx", {"hash": "tiny"})


@pytest.fixture
def stand_in(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny network's graph, and a machine that says it had a GPU."""
    trt, zeros = tensorrt.bindings(), torch.zeros
    engine = Engine(open_session(tiny, 1)[0], trt)
    pairs: list[tuple[Any, Any]] = [(trt.IExecutionContext, Context), (trt.ICudaEngine, Engine)]
    if hasattr(trt, "IRuntimeCache"):  # of TensorRT-RTX
        pairs += [(trt.IRuntimeCache, RuntimeCache), (trt.IRuntimeConfig, RuntimeConfig)]
    for real, fake in pairs:
        called = [name for name, value in vars(fake).items() if name[0] != "_" and callable(value)]
        assert not [name for name in called if name != "is_stream_capturable" and not hasattr(real, name)]
    assert hasattr(trt.IExecutionContext, "is_stream_capturable") == hasattr(trt, "IRuntimeCache")  # of TensorRT-RTX
    assert hasattr(trt.ICudaEngine, "num_io_tensors")
    assert hasattr(trt.Runtime, "deserialize_cuda_engine")

    class Runtime:
        def __init__(self, logger: Any) -> None:
            pass

        def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
            if plan == b"damaged":
                for path in tmp_path.glob("*.engine"):  # another process has seen it too
                    path.unlink()
                return None
            return engine

    class Stream:
        cuda_stream = 0

        def synchronize(self) -> None:
            pass

    monkeypatch.setattr(tensorrt, "cache_dir", lambda: tmp_path)
    monkeypatch.setattr(tensorrt, "build", lambda graph, progress: b"built")
    monkeypatch.setattr(trt, "Runtime", Runtime)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A stand-in")
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Captured)
    monkeypatch.setattr(torch.cuda, "graph", lambda graph, stream, capture_error_mode: graph.capture())
    monkeypatch.setattr(RuntimeCache, "read", [])
    monkeypatch.setattr(torch, "zeros", lambda *a, device=None, pin_memory=False, **k: zeros(*a, **k))
    return tiny


@pytest.mark.parametrize("capturable", [True, False])
def test_steps_say_what_onnx_runtime_says_over_frames_with_state(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capturable: bool
) -> None:
    monkeypatch.setattr(Context, "capturable", capturable)
    monkeypatch.setattr(Captured, "count", 0)
    model = model_of(stand_in)
    stepper, reference = tensorrt.TensorRtStepper(stand_in, model), OnnxRuntimeStepper(stand_in, model, 1)
    rng = np.random.default_rng(0)
    for number in range(5):
        if number == 3:
            stepper.reset()
            reference.reset()
        frame = rng.integers(0, 256, (1, model.height, model.width, 3), np.uint8)
        motion = rng.random((1, 7)).astype(np.float32)
        expected = reference.step(frame, motion)
        for head, values in stepper.step(frame, motion).items():
            np.testing.assert_array_equal(values, expected[head])
    assert ("cannot be captured" in caplog.text) == (not capturable)
    assert (Captured.count > 0) == capturable


def test_compiled_kernels_are_kept_beside_the_engine_and_others_are_compiled_anew(
    stand_in: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tensorrt.TensorRtStepper(stand_in, model_of(stand_in))
    kernels = tensorrt.engine_file(stand_in).with_suffix(".kernels")
    assert kernels.read_bytes() == b"kernels"
    assert RuntimeCache.read == []
    tensorrt.TensorRtStepper(stand_in, model_of(stand_in))
    assert RuntimeCache.read == [b"kernels"]
    kernels.write_bytes(b"of another GPU")
    with caplog.at_level(logging.WARNING):
        tensorrt.TensorRtStepper(stand_in, model_of(stand_in))
    assert "compiled anew" in caplog.text
    assert kernels.read_bytes() == b"kernels"


def test_an_engine_file_that_this_machine_cannot_load_is_built_anew_and_said(
    stand_in: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tensorrt.engine_file(stand_in)
    path.write_bytes(b"damaged")
    with caplog.at_level(logging.WARNING):
        tensorrt.TensorRtStepper(stand_in, model_of(stand_in))
    assert path.read_bytes() == b"built"
    assert "building it anew" in caplog.text
