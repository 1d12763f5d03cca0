"""The policy's graph is the policy: other runtimes give its actions, and a graph that errs is not handed out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from roadcraft.control.export import TOLERANCE, deviation, to_onnx
from roadcraft.control.layout import LAYOUT, LAYOUT_HASH, SIZE
from roadcraft.control.policy import Policy

onnx = pytest.importorskip("onnx")


def features(count: int = 200) -> np.ndarray:
    """Feature vectors (count, 1, SIZE), some of which ask for the most that an action can be."""
    x = np.random.default_rng(1).uniform(-1.0, 1.0, (count, 1, SIZE))
    x[::4] = np.sign(x[::4])
    return np.asarray(x, np.float32)


def largest(policy: Policy, answers: list[np.ndarray]) -> float:
    return max(float(np.abs(policy(x[0]) - a[0]).max()) for x, a in zip(features(), answers, strict=True))


@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_onnx_runtime_gives_the_policys_actions(precision: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    policy, most = Policy.load(), TOLERANCE[precision]
    assert to_onnx(policy, tmp_path / "policy.onnx", precision) <= most
    session = onnxruntime.InferenceSession(str(tmp_path / "policy.onnx"), providers=["CPUExecutionProvider"])
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("features", [1, SIZE])]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("action", [1, 2])]
    assert largest(policy, [session.run(None, {"features": x})[0] for x in features()]) <= most
    about = session.get_modelmeta().custom_metadata_map
    assert about["layout"] == LAYOUT_HASH
    assert about["weights"] == policy.card["sha256"]
    assert [tuple(part) for part in json.loads(about["features"])] == list(LAYOUT)


def test_openvino_gives_the_policys_actions(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    policy = Policy.load()
    to_onnx(policy, tmp_path / "policy.onnx")
    compiled = openvino.compile_model(str(tmp_path / "policy.onnx"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert largest(policy, [compiled(x)[0] for x in features()]) <= 1e-5


def test_actions_are_clipped_in_the_graph_too(tmp_path: Path) -> None:
    policy = Policy([(np.zeros((2, SIZE), np.float32), np.array([3.0, -3.0], np.float32))], {})
    assert to_onnx(policy, tmp_path / "policy.onnx") == 0.0
    assert policy(features()[0, 0]).tolist() == [1.0, -1.0]


def test_another_policys_graph_is_refused(tmp_path: Path) -> None:
    policy = Policy.load()
    to_onnx(policy, tmp_path / "policy.onnx")
    weight, bias = policy.layers[-1]
    other = Policy([*policy.layers[:-1], (weight, bias + np.float32(1e-3))], {})
    with pytest.raises(ValueError, match="differs from the policy"):
        deviation(other, tmp_path / "policy.onnx", TOLERANCE["f32"])


def test_f16_is_half_the_size_and_loses_something_but_little(tmp_path: Path) -> None:
    policy = Policy.load()
    exact = to_onnx(policy, tmp_path / "policy.onnx")
    assert exact < to_onnx(policy, tmp_path / "policy.f16.onnx", "f16") <= 1e-2
    sizes = [(tmp_path / name).stat().st_size for name in ("policy.onnx", "policy.f16.onnx")]
    assert sizes[1] < 0.55 * sizes[0]
