"""The policy as ONNX, for others: `features` (1, SIZE) float32 in, `action` (1, 2) float32 in [-1, 1] out.

In f32, or with f16 inside: weights of half the size, for accelerators. Metadata carries what the features are
(`layout.LAYOUT`), that layout's hash and the weights' hash.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from roadcraft.control.layout import LAYOUT, LAYOUT_HASH, SIZE
from roadcraft.control.policy import Policy

OPSET, IR = 18, 10
TOLERANCE = {"f32": 1e-5, "f16": 1e-2}  # by which the graph may differ from the policy; full throttle is 1
TRIED = 64  # random features on which that is checked


def to_onnx(policy: Policy, path: Path, precision: str = "f32") -> float:
    """Writes the checked graph, in f32 or f16; returns its largest deviation from the policy. Raises ValueError for one
    that errs."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    half = precision == "f16"
    kind = np.float16 if half else np.float32
    nodes, values, name = [], [], "features"
    if half:
        nodes.append(helper.make_node("Cast", [name], [name := "hidden"], to=TensorProto.FLOAT16))
    for i, layer in enumerate(policy.layers):
        values += [
            numpy_helper.from_array(a.astype(kind), f"{part}{i}")
            for part, a in zip(("weight", "bias"), layer, strict=True)
        ]
        nodes.append(helper.make_node("Gemm", [name, f"weight{i}", f"bias{i}"], [f"sum{i}"], transB=1))
        nodes.append(helper.make_node("Tanh", [f"sum{i}"], [name := f"hidden{i}"]))
    values += [numpy_helper.from_array(kind(limit), end) for end, limit in (("least", -1.0), ("most", 1.0))]
    clipped = "half_action" if half else "action"
    nodes[-1] = helper.make_node("Clip", [nodes[-1].input[0], "least", "most"], [clipped])
    if half:
        nodes.append(helper.make_node("Cast", [clipped], ["action"], to=TensorProto.FLOAT))
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, SIZE])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, [1, 2])],
        values,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    about = {"features": json.dumps(LAYOUT), "layout": LAYOUT_HASH, "weights": str(policy.card.get("sha256", ""))}
    helper.set_model_props(model, about)
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return deviation(policy, path, TOLERANCE[precision])


def deviation(policy: Policy, path: Path, tolerance: float) -> float:
    """Largest difference between graph and policy on random features. Raises ValueError above `tolerance`."""
    from onnx.reference import ReferenceEvaluator

    graph, rng = ReferenceEvaluator(str(path)), np.random.default_rng(0)
    tried = rng.uniform(-1.0, 1.0, (TRIED, 1, SIZE)).astype(np.float32)
    found = max(float(np.abs(graph.run(None, {"features": x})[0][0] - policy(x[0])).max()) for x in tried)
    if not found <= tolerance:
        raise ValueError(f"{path} differs from the policy by {found}")
    return found
