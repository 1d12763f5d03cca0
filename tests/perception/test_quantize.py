"""int8: the graph stays the network's, runs on every runtime, and says what it loses; TensorRT takes every graph."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import perception_fakes as fake
import pytest
import torch

from roadcraft.perception.engines import load_engine
from roadcraft.perception.engines.tensorrt import PACKAGES, build
from roadcraft.perception.export import to_onnx
from roadcraft.perception.network import Architecture, Network
from roadcraft.perception.quantize import MOST_LOST, Histogram, accurate, kept_in_float, lost, to_int8, write_meta
from roadcraft.perception.shipped import shipped
from roadcraft.sim.errors import UserError

onnx = pytest.importorskip("onnx")
trt = pytest.mark.skipif(
    all(importlib.util.find_spec(name) is None for name in PACKAGES), reason="no TensorRT is installed"
)


def clip(frames: int = 3) -> list:
    rng = np.random.default_rng(0)
    return [fake.observation(k, rng.integers(0, 256, (360, 640, 3), np.uint8)) for k in range(frames)]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = Network(Architecture.named("tiny")).eval()
    return to_onnx(network, tmp_path_factory.mktemp("graphs") / "tiny.onnx", {"hash": "tiny"})


@pytest.fixture(scope="module")
def int8(graph: Path) -> Path:
    return to_int8(graph, graph.with_suffix(".int8.onnx"), [clip()])


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_int8_says_about_the_same_over_frames_with_state(graph: Path, int8: Path, name: str) -> None:
    exact, engine = load_engine(name, "f32", graph), load_engine(name, "int8", int8)
    assert engine.model.hash == "tiny"
    for observation in clip(5):
        exact(observation)
        engine(observation)
    for head in ("masks", "lane_column", "scene"):
        assert np.abs(engine.heads[head] - exact.heads[head]).max() < 0.1 * max(1.0, np.abs(exact.heads[head]).max())


def test_what_stays_in_float(graph: Path, int8: Path) -> None:
    weight = {node.name: node.input[1] for node in onnx.load(str(graph)).graph.node if node.op_type == "Conv"}
    kept = {weight[name] for name in kept_in_float(onnx.load(str(graph)))}
    assert {"network.heat.weight", "network.objects.weight", "network.memory.cell.gates.weight"} <= kept
    assert any(name.startswith("network.encoder.stages.0.0") for name in kept)
    quantised = {i.name for i in onnx.load(str(int8)).graph.initializer if i.data_type == onnx.TensorProto.INT8}
    assert len(quantised) > 10
    assert not any(name.startswith(("network.detect", "network.moving")) for name in quantised)


def test_weights_have_seven_bits_and_the_sums_of_two_products_fit_in_sixteen(int8: Path) -> None:
    model = onnx.load(str(int8))
    weights = [onnx.numpy_helper.to_array(i) for i in model.graph.initializer if i.data_type == onnx.TensorProto.INT8]
    assert max(np.abs(w.astype(int)).max() for w in weights) == 64
    assert 2 * 255 * 64 < 2**15  # as vpmaddubsw adds them; 8 bits of weight would not fit


def test_only_convolutions_and_what_is_added_to_them_read_int8(int8: Path) -> None:
    nodes = onnx.load(str(int8)).graph.node
    made = {name: node for node in nodes for name in node.output}
    readers = [node for node in nodes if any(made[n].op_type == "DequantizeLinear" for n in node.input if n in made)]
    assert {node.op_type for node in readers} == {"Conv", "Add"}
    for node in readers:
        if node.op_type == "Add":
            assert any(made[n].op_type == "Conv" for n in node.input if n in made)


def test_a_range_cuts_what_is_rare_and_keeps_what_is_not() -> None:
    rng = np.random.default_rng(0)
    common, rare = rng.random(100_000).astype(np.float32), np.array([1.5], np.float32)
    seen = Histogram()
    for part in np.split(common, 4):
        seen.add(part)
    assert seen.best() == pytest.approx(1.0, abs=0.001)
    seen.add(rare)
    assert seen.best() == pytest.approx(1.0, abs=0.05)
    for _ in range(100):
        seen.add(np.repeat(rare, 1000))
    assert seen.best() == pytest.approx(1.5, abs=0.001)
    assert seen.counts.sum() == 200_001


def test_a_graph_that_loses_too_much_or_does_not_say_is_not_accurate(int8: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(int8.read_bytes())
    assert not accurate(copy)
    before = dict.fromkeys(MOST_LOST, 0.9)
    found = lost(before, {**before, "vehicle_ap50": 0.885, "cyclist_ap50": float("nan")})
    assert found == {"drivable_miou": 0.0, "vehicle_ap50": 0.015, "pedestrian_ap50": 0.0}
    write_meta(copy, {"lost": json.dumps(found)})
    assert accurate(copy)
    write_meta(copy, {"lost": json.dumps({**found, "drivable_miou": 0.02})})
    assert not accurate(copy)


def test_no_int8_beside_the_weights_names_the_command(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(shipped().read_bytes())
    path.with_suffix(".json").write_text(shipped().with_suffix(".json").read_text())
    with pytest.raises(UserError, match="roadcraft export --weights"):
        load_engine("openvino", "int8", path)


@trt
@pytest.mark.parametrize("ending", [".onnx", ".f16.onnx", ".int8.onnx"])
def test_tensorrt_builds_the_shipped_graphs(ending: str) -> None:
    assert len(build(shipped(ending=ending))) > 100_000


@trt
def test_tensorrt_builds_every_precision(graph: Path, int8: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    half = to_onnx(Network(Architecture.named("tiny")).eval(), tmp_path / "half.onnx", {}, half=True)
    said: list[str] = []
    for one in (graph, half, int8):
        assert len(build(one, said.append)) > 10_000
    assert any(" of " in line for line in said)  # how far it is
    broken = onnx.load(str(graph))
    broken.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(broken, str(tmp_path / "broken.onnx"))
    with pytest.raises(UserError, match="NoSuchOperator"):
        build(tmp_path / "broken.onnx")
