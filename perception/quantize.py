"""The graph in int8: one QDQ graph that ONNX Runtime, OpenVINO and TensorRT all accept.

Post-training quantisation of convolutions and residual additions, symmetric, weights per channel, biases in float32
(TensorRT refuses quantised biases). Ranges come from recorded validation clips, run with their memory.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from roadcraft.perception.data import Shards, clip_of
from roadcraft.perception.engines.onnxruntime import OnnxRuntimeStepper
from roadcraft.perception.shipped import graph_hash
from roadcraft.sim.errors import UserError

log = logging.getLogger(__name__)


def calibration_inputs(graph: Path, folder: Path, frames: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """What the graph is fed while it watches random stretches of recorded clips."""
    from roadcraft.perception.engines import model_of

    model = model_of(graph)
    shards = Shards(folder)
    if not shards.refresh():
        raise UserError(f"no shards in {folder}: `roadcraft collect` records some")
    rng, stretch = np.random.default_rng(seed), 6
    stepper = OnnxRuntimeStepper(graph, model, 1)
    for _ in range(max(1, frames // stretch)):
        clip = shards.clips[int(rng.integers(len(shards.clips)))]
        start = int(rng.integers(max(len(clip) - stretch, 0) + 1))
        part = clip_of([shards.read(p) for p in clip[start : start + stretch]], (model.height, model.width))
        stepper.reset()
        for frame, motion in zip(part.frames, part.motion, strict=True):
            yield {"frame": frame[None], "motion": motion[None], **stepper.state}
            stepper.step(frame[None], motion[None])


def to_int8(graph: Path, out: Path, folder: Path, frames: int = 120) -> Path:
    """Writes the quantised graph, calibrated on shards in `folder`; returns its path."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._inputs = calibration_inputs(graph, folder, frames)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._inputs, None)

    model = onnx.load(str(graph))
    keep = first_and_last(model)
    with tempfile.TemporaryDirectory() as room:
        prepared = Path(room) / "prepared.onnx"
        quant_pre_process(str(graph), str(prepared), skip_symbolic_shape=True)
        logging.getLogger().setLevel(logging.WARNING)
        quantize_static(
            str(prepared),
            str(out),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", "Add"],
            nodes_to_exclude=keep,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,
                "CalibMovingAverage": True,
            },
        )
    quantised = onnx.load(str(out))
    for entry in model.metadata_props:
        if entry.key not in {e.key for e in quantised.metadata_props}:
            quantised.metadata_props.add().CopyFrom(entry)
    onnx.save(quantised, str(out))
    assert graph_hash(out) == graph_hash(graph)
    return out


def first_and_last(model: Any) -> list[str]:
    """Names of the convolutions that stay in float: the stem, which sees raw pixels, and those that nothing but a
    head's output comes after (distances and boxes need more than 8 bits)."""
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    used = {name for node in model.graph.node if node.op_type in ("Relu", "Add", "Concat") for name in node.input}
    last = [node.name for node in convolutions if not used.intersection(node.output)]
    return [convolutions[0].name, *last]
