"""The graph in int8: one QDQ graph that ONNX Runtime, OpenVINO and TensorRT all accept.

Post-training quantisation of what convolutions read, symmetric, weights per channel, biases and outputs in float32
(TensorRT refuses quantised biases, and fuses activation and addition into a convolution whose output is not quantised).
Ranges come from drives, run with their memory, and are those of the least square error. What the graph loses against
float32 stands in its metadata, so that `auto` takes it only where it is as good.

Weights have 7 bits: on CPUs without VNNI, products of 8 bits are added in pairs to 16 bits, which saturate (Intel's
`vpmaddubsw`), so that a graph says something else there than elsewhere. With 7 bits they cannot.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.engines.onnxruntime import OnnxRuntimeStepper
from roadcraft.perception.shipped import graph_hash
from roadcraft.perception.view import LONGEST_GAP, Fitter, motion_vector
from roadcraft.sim.messages import Camera, Observation

Clip = list[Observation]
# Modules that stay in float beside the stem and the heads' last layers: what moves is a small difference of two
# frames, scores and boxes (and edges within a square) need more than the 7 bits that a symmetric int8 has above zero,
# and everything hangs on the memory, on what comes early and on the few layers between maps of different size.
FLOAT = (
    "roi",
    "moving",
    "detect",
    "describe",
    "memory",
    "lateral",
    "fuse",
    "fine",
    "encoder.stages.0",
    "encoder.stages.1.0",
)
BINS = 4096  # of a tensor's histogram
SHARES = np.linspace(0.2, 1.0, 33)  # of a tensor's largest value, tried as its range
EVERY = 7  # one frame of so many goes into the histograms; 200 tell no more than 30
# What int8 may lose, in share of the figure.
MOST_LOST = {"drivable_miou": 0.01, "vehicle_ap50": 0.02, "cyclist_ap50": 0.02, "pedestrian_ap50": 0.02}


def calibration_inputs(graph: Path, clips: Iterable[Clip]) -> Iterator[dict[str, Any]]:
    """What the graph is fed over some clips, each with its memory."""
    from roadcraft.perception.engines import model_of

    model = model_of(graph)
    stepper, fitter = OnnxRuntimeStepper(graph, model, 1), Fitter(model.width, model.height)
    for clip in clips:
        stepper.reset()
        last: float | None = None
        for seen in clip:
            assert seen.rgb is not None
            dt = 0.0 if last is None or seen.time - last > LONGEST_GAP else seen.time - last
            last = seen.time
            motion = motion_vector(seen.camera or Camera(), seen.ego.speed, seen.ego.yaw_rate, dt)[None]
            frame = fitter(seen.rgb).copy()
            yield {"frame": frame, "motion": motion, **stepper.state}
            stepper.step(frame, motion)


def to_int8(graph: Path, out: Path, clips: Iterable[Clip], progress: Callable[[str], None] = lambda what: None) -> Path:
    """Writes the quantised graph, calibrated on clips; returns its path."""
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorData, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.shape_inference import quant_pre_process

    model = onnx.load(str(graph))
    kept = kept_in_float(model)
    read = {node.name: node.input[0] for node in model.graph.node if node.op_type == "Conv" and node.name not in kept}
    with tempfile.TemporaryDirectory() as room, quiet():
        prepared = Path(room) / "prepared.onnx"
        quant_pre_process(str(graph), str(prepared), skip_symbolic_shape=True)
        found = ranges(prepared, set(read.values()), calibration_inputs(graph, clips), progress)
        lowest_highest = {name: TensorData(lowest=np.float32(-x), highest=np.float32(x)) for name, x in found.items()}
        quantiser = QDQQuantizer(
            onnx.load(str(prepared)),
            per_channel=True,
            reduce_range=True,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QInt8,
            tensors_range=TensorsData(CalibrationMethod.MinMax, lowest_highest),
            nodes_to_quantize=list(read),
            nodes_to_exclude=[],
            op_types_to_quantize=["Conv"],
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,
                "OpTypesToExcludeOutputQuantization": ["Conv"],
            },
        )
        quantiser.quantize_model()
    quantiser.model.topological_sort()
    quantised = quantiser.model.model
    undo_where_float(quantised, set(read))
    onnx.checker.check_model(quantised, full_check=True)
    onnx.save(quantised, str(out))
    write_meta(out, {entry.key: entry.value for entry in model.metadata_props})
    assert graph_hash(out) == graph_hash(graph)
    return out


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing but errors is logged: the quantiser talks about itself."""
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.getLogger().setLevel(level)


def ranges(
    graph: Path, tensors: set[str], inputs: Iterable[dict[str, Any]], progress: Callable[[str], None]
) -> dict[str, float]:
    """How far from zero each tensor is told apart in int8, so that the mean square error over the inputs is least."""
    import onnx
    import onnxruntime

    model = onnx.load(str(graph))
    inside = sorted(tensors - {i.name for i in model.graph.input} - {o.name for o in model.graph.output})
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in inside)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    histograms = {name: Histogram() for name in tensors}
    given = {i.name for i in model.graph.input}
    for number, values in enumerate(inputs):
        progress(f"int8: ranges from frame {number + 1}")
        if number % EVERY == 0:
            asked = sorted(tensors - given)
            seen = dict(zip(asked, session.run(asked, values), strict=True)) | values
            for name, histogram in histograms.items():
                histogram.add(seen[name])
    return {name: histogram.best() for name, histogram in histograms.items()}


class Histogram:
    """Of the absolute values of a tensor, widened by twos as larger ones come."""

    def __init__(self) -> None:
        self.counts, self.top = np.zeros(BINS), 2.0**-20

    def add(self, values: NDArray[np.float32]) -> None:
        """Some more values."""
        size = np.abs(values).ravel()
        while size.max() >= self.top:
            self.counts = np.concatenate([self.counts.reshape(-1, 2).sum(1), np.zeros(BINS // 2)])
            self.top *= 2.0
        self.counts += np.bincount((size * (BINS / self.top)).astype(np.int32), minlength=BINS)

    def best(self) -> float:
        """The range of the least square error: what is inside is rounded, what is outside cut. Zeros, of which there
        are many after a ReLU, are exact in any."""
        centres = (np.arange(BINS) + 0.5) * (self.top / BINS)
        largest = centres[np.flatnonzero(self.counts)[-1]]

        def error(most: float) -> float:
            each = np.where(centres > most, (centres - most) ** 2, (most / 127) ** 2 / 12)
            return float((self.counts[1:] * each[1:]).sum())

        return float(min((largest * share for share in SHARES), key=error))


def undo_where_float(model: Any, quantised: set[str]) -> None:
    """Whoever computes in float reads what was there before it was quantised; but not an addition to a quantised
    convolution's output, which becomes one with it."""
    sums = {name for node in model.graph.node if node.name in quantised for name in node.output}
    for node in model.graph.node:
        if node.name in quantised or (node.op_type == "Add" and sums.intersection(node.input)):
            continue
        for number, name in enumerate(node.input):
            node.input[number] = name.removesuffix("_DequantizeLinear_Output")


def kept_in_float(model: Any) -> list[str]:
    """Names of the convolutions that stay in float: the stem, which sees raw pixels, those of FLOAT, and those that
    nothing but a head's output comes after."""
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    used = {name for node in model.graph.node if node.op_type in ("Relu", "Add", "Concat") for name in node.input}
    modules = tuple(f"network.{name}" for name in FLOAT)
    return [
        node.name
        for number, node in enumerate(convolutions)
        if number == 0 or not used.intersection(node.output) or node.input[1].startswith(modules)
    ]


def write_meta(graph: Path, entries: dict[str, str]) -> None:
    """Sets entries of a graph's metadata."""
    import onnx

    model = onnx.load(str(graph))
    merged = {entry.key: entry.value for entry in model.metadata_props} | entries
    onnx.helper.set_model_props(model, merged)
    onnx.save(model, str(graph))


def lost(before: dict[str, Any], after: dict[str, Any]) -> dict[str, float]:
    """By how much each figure of MOST_LOST fell; figures that were not measured are left out."""
    return {
        name: round(float(before[name] - after[name]), 4)
        for name in MOST_LOST
        if np.isfinite(before[name]) and np.isfinite(after[name])
    }


def accurate(graph: Path) -> bool:
    """Whether the graph says that it loses no more than MOST_LOST."""
    import onnx

    meta = onnx.load(str(graph), load_external_data=False).metadata_props
    said: dict[str, float] = json.loads(next((e.value for e in meta if e.key == "lost"), "{}"))
    return bool(said) and all(said[name] <= MOST_LOST[name] for name in said)
