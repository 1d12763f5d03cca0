"""Engines: the same network in different runtimes, behind `percept.Engine`. `load_engine` builds one by name."""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import platform
from pathlib import Path
from typing import Any

from roadcraft.perception.engines.base import Model, NetworkEngine
from roadcraft.perception.heads import MOTION, OUTPUTS
from roadcraft.perception.shipped import graph_hash, graph_of, read_card, shipped
from roadcraft.sim.errors import UserError

log = logging.getLogger(__name__)
X86 = ("x86_64", "AMD64")
DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvmap")  # one of them is there where a GPU is: Linux, WSL2, Jetson
# Runtimes, the fastest first, with the package each needs and the precisions it can run, its default first.
ENGINES: dict[str, tuple[str, tuple[str, ...]]] = {
    "tensorrt": ("tensorrt", ("f16", "f32", "int8")),
    "openvino": ("openvino", ("bf16", "f32", "int8")),
    "onnxruntime": ("onnxruntime", ("f32", "int8")),
    "torch": ("torch", ("f32", "bf16")),
}
GRAPH = {"bf16": "f32"}  # the precision of the graph that another one computes on


def load_engine(
    name: str = "auto", precision: str = "auto", weights: Path | str | None = None, threads: int = 0
) -> NetworkEngine:
    """An engine, ready for its first frame.

    `name`: auto takes the fastest that runs here, and `why` of the engine says so; one that is installed and fails is
    left out with a warning. `precision`: auto takes the engine's default for this CPU, or the precision of an .onnx
    file. `weights`: a .safetensors file with its card, or an .onnx file made by `export`; None takes the shipped
    network. `threads`: 0 leaves it to the runtime. Raises UserError for an unknown name or precision, a package that
    is not installed, weights that do not fit, and a graph of another precision.
    """
    if name != "auto":
        return _load(name, precision, weights, threads, "asked for")
    failed: dict[str, Exception] = {}
    for candidate, wanted, why in _candidates(precision, weights):
        if failed:
            why += f" ({', '.join(failed)} failed)"
        try:
            return _load(candidate, wanted, weights, threads, why)
        except Exception as error:  # the runtimes' exceptions have no common base
            log.warning("engine %s is left out: %s", candidate, error or type(error).__name__)
            failed[candidate] = error
    if failed:
        problems = dict.fromkeys(str(error) or type(error).__name__ for error in failed.values())
        raise UserError("; ".join(problems))
    if not any(_installed(one) for one in ENGINES):
        raise UserError("no runtime for networks is installed: pip install 'roadcraft[perception]'")
    raise UserError(f"no engine that is installed here runs {precision!r}")


def _load(name: str, precision: str, weights: Path | str | None, threads: int, why: str) -> NetworkEngine:
    if name not in ENGINES:
        raise UserError(f"unknown engine {name!r}: auto, {', '.join(ENGINES)} exist")
    package, precisions = ENGINES[name]
    if not _installed(name):
        extra = "tensorrt" if name == "tensorrt" else "perception"
        raise UserError(f"engine {name} needs the package {package}: pip install 'roadcraft[{extra}]'")
    path = None if weights is None else Path(weights)
    given = path if path is not None and path.suffix == ".onnx" else None
    if name == "torch" and given is not None:
        raise UserError(f"engine torch runs checkpoints (.safetensors), not graphs such as {path}")
    if precision == "auto":
        precision = precisions[0] if precisions[0] != "bf16" or name == "torch" or has_bf16() else "f32"
        if given is not None and (has := graph_precision(given)) != GRAPH.get(precision, precision):
            precision = has
    if precision not in precisions:
        raise UserError(f"engine {name} cannot run {precision!r}: it runs {', '.join(precisions)}")
    if name == "torch":
        return _torch_engine(precision, path, threads, why)
    graph = _graph(path, precision)
    if (has := graph_precision(graph)) != GRAPH.get(precision, precision):
        raise UserError(f"{graph} is a graph in {has}, {precision} is asked for")
    model = model_of(graph)
    if name == "tensorrt":
        from roadcraft.perception.engines.tensorrt import TensorRtStepper

        return NetworkEngine(name, precision, TensorRtStepper(graph, model), model, why)
    if name == "openvino":
        from roadcraft.perception.engines.openvino import OpenVinoStepper

        return NetworkEngine(name, precision, OpenVinoStepper(graph, model, threads, precision), model, why)
    from roadcraft.perception.engines.onnxruntime import OnnxRuntimeStepper

    return NetworkEngine(name, precision, OnnxRuntimeStepper(graph, model, threads), model, why)


def _candidates(precision: str, weights: Path | str | None) -> list[tuple[str, str, str]]:
    """Engines that are installed and run that precision, the fastest first, each with its precision and why. int8 on
    x86 where there is a graph of it that is as good as float32: on such a CPU without bfloat16 it is the faster one,
    on others that was not measured."""
    found = []
    for name, (_, precisions) in ENGINES.items():
        if not _installed(name) or (name == "tensorrt" and not _has_gpu()) or precision not in ("auto", *precisions):
            continue
        if name == "torch" and weights is not None and Path(weights).suffix == ".onnx":
            continue
        wanted, why = precision, "the fastest of those installed here"
        x86 = platform.machine() in X86
        if precision == "auto" and name == "openvino" and x86 and not has_bf16() and _has_int8(weights):
            wanted, why = "int8", f"{why}; this CPU has no bfloat16, int8 is as accurate"
        found.append((name, wanted, why))
    return found


def runnable() -> tuple[str, ...]:
    """Every engine:precision that this machine runs, natively and with what is installed."""
    return tuple(
        f"{name}:{precision}"
        for name, (_, precisions) in ENGINES.items()
        if _installed(name) and (name != "tensorrt" or _has_gpu())
        for precision in precisions
        if precision != "bf16" or has_bf16()
    )


def _has_int8(weights: Path | str | None) -> bool:
    from roadcraft.perception.quantize import accurate

    path = shipped() if weights is None else Path(weights)
    beside = path.with_suffix(".int8.onnx")
    if path.suffix != ".safetensors" or not beside.is_file() or not path.is_file():
        return False
    return graph_hash(beside) == read_card(path)["hash"] and accurate(beside)


def _installed(name: str) -> bool:
    packages = ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings") if name == "tensorrt" else (ENGINES[name][0],)
    return any(importlib.util.find_spec(package) is not None for package in packages)


def _has_gpu() -> bool:
    if not any(Path(device).exists() for device in DEVICES):  # spares the import of torch
        return False
    from roadcraft.perception.engines.tensorrt import gpu_name

    return gpu_name() != ""


def has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 natively, so that it is faster than float32."""
    if platform.machine() not in X86 or not Path("/proc/cpuinfo").is_file():
        return False
    text = Path("/proc/cpuinfo").read_text()
    return "avx512_bf16" in text or "amx_bf16" in text


def _graph(path: Path | None, precision: str) -> Path:
    if path is None or path.suffix != ".onnx":
        return graph_of(path or shipped(), precision)
    if not path.is_file():
        raise UserError(f"no network at {path}")
    return path


def graph_precision(graph: Path) -> str:
    """What a graph computes in, by its nodes and weights: int8 where anything is quantised, f16 where most weights are
    halves, else f32. Raises UserError for what is no graph."""
    import onnx

    if not graph.is_file():
        raise UserError(f"no network at {graph}")
    try:
        body = onnx.load(str(graph), load_external_data=False).graph
    except Exception as error:
        raise UserError(f"{graph} is not an ONNX file: {error}") from None
    if any(node.op_type.startswith(("QuantizeLinear", "DequantizeLinear", "QLinear")) for node in body.node):
        return "int8"
    sizes = {onnx.TensorProto.FLOAT16: 0, onnx.TensorProto.FLOAT: 0}
    for value in body.initializer:
        if value.data_type in sizes:
            sizes[value.data_type] += math.prod(value.dims)
    return "f16" if sizes[onnx.TensorProto.FLOAT16] > sizes[onnx.TensorProto.FLOAT] else "f32"


def model_of(graph: Path) -> Model:
    """What `export` wrote into a graph's metadata. Raises UserError for a graph of another make."""
    import onnx

    try:
        proto = onnx.load(str(graph), load_external_data=False)
    except Exception as error:
        raise UserError(f"{graph} is not an ONNX file: {error}") from None
    meta: dict[str, Any] = {entry.key: entry.value for entry in proto.metadata_props}
    if "architecture" not in meta:
        raise UserError(f"{graph} was not made by `roadcraft export`: it does not say which network it is")
    shapes = {i.name: tuple(d.dim_value for d in i.type.tensor_type.shape.dim) for i in proto.graph.input}
    state = {name: shape for name, shape in shapes.items() if name not in ("frame", "motion")}
    try:
        architecture = json.loads(meta["architecture"])
        height, width = int(architecture["height"]), int(architecture["width"])
    except (ValueError, LookupError, TypeError) as error:
        raise UserError(f"{graph}: its metadata does not say the input's size: {error}") from None
    takes, gives = {"frame": (1, height, width, 3), "motion": (1, MOTION)}, {*OUTPUTS, *(f"{s}_next" for s in state)}
    for name, shape in takes.items():
        if shapes.get(name) != shape:
            raise UserError(f"{graph}: its input {name} is {shapes.get(name)}, an engine for one frame needs {shape}")
    lacking = gives - {o.name for o in proto.graph.output}
    if lacking:
        raise UserError(f"{graph}: it has no output {', '.join(sorted(lacking))}")
    return Model(height, width, state, meta.get("weights", ""))


def _torch_engine(precision: str, path: Path | None, threads: int, why: str) -> NetworkEngine:
    import torch

    from roadcraft.perception.engines.torch import TorchStepper
    from roadcraft.perception.weights_io import load_network

    if threads:
        torch.set_num_threads(threads)
    network, card = load_network(path)
    a = network.architecture
    state = {name: tuple(s.shape) for name, s in zip(network.state_names, network.initial(1), strict=True)}
    model = Model(a.height, a.width, state, str(card["hash"]))
    return NetworkEngine("torch", precision, TorchStepper(network, precision), model, why)
