"""The graph in int8: one QDQ graph that ONNX Runtime, OpenVINO and TensorRT all accept.

Post-training quantisation of convolutions and residual additions, symmetric, weights per channel, biases in float32
(TensorRT refuses quantised biases). Ranges come from drives, run with their memory. What the graph loses against
float32 stands in its metadata, so that `auto` takes it only where it is as good.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from roadcraft.perception.engines.onnxruntime import OnnxRuntimeStepper
from roadcraft.perception.shipped import graph_hash
from roadcraft.perception.view import LONGEST_GAP, Fitter, motion_vector
from roadcraft.sim.messages import Camera, Observation

Clip = list[Observation]
# Modules that stay in float beside the stem and the heads' last layers: what moves is a small difference of two
# frames, and scores and boxes need more than the 7 bits that a symmetric int8 has above zero.
FLOAT = ("moving", "detect", "describe", "memory.cell")
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
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._inputs = enumerate(calibration_inputs(graph, clips))

        def get_next(self) -> dict[str, Any] | None:
            number, values = next(self._inputs, (0, None))
            progress(f"int8: ranges from frame {number + 1}")
            return values

    model = onnx.load(str(graph))
    level = logging.getLogger().level
    with tempfile.TemporaryDirectory() as room:
        prepared = Path(room) / "prepared.onnx"
        quant_pre_process(str(graph), str(prepared), skip_symbolic_shape=True)
        logging.getLogger().setLevel(logging.ERROR)  # of the quantiser, about itself
        try:
            quantize_static(
                str(prepared),
                str(out),
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=["Conv", "Add"],
                nodes_to_exclude=kept_in_float(model),
                extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
            )
        finally:
            logging.getLogger().setLevel(level)
    write_meta(out, {entry.key: entry.value for entry in model.metadata_props})
    assert graph_hash(out) == graph_hash(graph)
    return out


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
