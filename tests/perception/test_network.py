"""The network: T steps are one unroll, reset kills the state, every memory; export and engines say the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import perception_fakes as fake
import pytest
import torch

from roadcraft.perception.engines import ENGINES, load_engine
from roadcraft.perception.engines.base import NetworkEngine
from roadcraft.perception.export import to_onnx
from roadcraft.perception.heads import MOTION
from roadcraft.perception.network import Architecture, Network
from roadcraft.perception.weights_io import fill, load_network, save_weights
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Observation


def tiny(memory: str = "gru", seed: int = 0, size: str = "tiny") -> Network:
    torch.manual_seed(seed)
    network = Network(replace(Architecture.named(size), memory=memory)).eval()
    for name, value in network.named_parameters():  # away from the zeros that training begins with
        if "norm" in name or "place" in name or "position" in name:
            torch.nn.init.normal_(value, 0.5, 0.5)
    return network


def clip(frames: int = 4, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    shape = (2, frames, 360, 640, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=g), torch.randn(2, frames, MOTION, generator=g)


@pytest.mark.parametrize("memory", ["gru", "attention", "none"])
@torch.no_grad()
def test_steps_equal_one_unroll(memory: str) -> None:
    network, (frames, motion) = tiny(memory), clip()
    whole, end = network(frames, motion)
    state = network.initial(2)
    for t in range(frames.shape[1]):
        heads, state = network.step(state, frames[:, t], motion[:, t])
        for name, value in heads.items():
            torch.testing.assert_close(value, whole[name][:, t], rtol=1e-4, atol=1e-4)
    for a, b in zip(state, end, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("memory", ["gru", "attention"])
@torch.no_grad()
def test_the_memory_matters_and_none_forgets(memory: str) -> None:
    frames, motion = clip(2)
    other = clip(2, seed=9)[0]
    other[:, 1] = frames[:, 1]  # another past, the same present
    network = tiny(memory)
    a, b = network(frames, motion)[0], network(other, motion)[0]
    assert (a["objects"][:, 1] - b["objects"][:, 1]).abs().max() > 1e-4
    network = tiny("none")
    a, b = network(frames, motion)[0], network(other, motion)[0]
    torch.testing.assert_close(a["scene"][:, 1], b["scene"][:, 1], rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, tiny(), {"command": "a test"})
    return path


@pytest.fixture(scope="module")
def graph(weights: Path) -> Path:
    network, card = load_network(weights)
    return to_onnx(network, weights.with_suffix(".onnx"), card)


def compared(reference: NetworkEngine, engine: NetworkEngine, frames: int) -> Iterator[Observation]:
    """Noise through both engines, frame after frame; every head of the one must be that of the other."""
    rng = np.random.default_rng(0)
    for frame in range(frames):
        observation = fake.observation(frame, rng.integers(0, 256, (360, 640, 3), np.uint8))
        reference(observation)
        engine(observation)
        for head, value in reference.heads.items():
            near = np.isclose(engine.heads[head], value, rtol=2e-3, atol=2e-4)
            assert near.mean() > (0.999 if head == "peaks" else 0.9999), head  # which of two equals is a peak is chance
        yield observation


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_engines_agree_with_torch_over_frames_with_state(weights: Path, graph: Path, name: str) -> None:
    engine = load_engine(name, "f32", weights)
    run = compared(load_engine("torch", "f32", weights), engine, 5)
    first = next(run)
    scene = engine.heads["scene"].copy()
    assert len(list(run)) == 4
    engine.reset()
    percept = engine(first)
    assert percept.frame == 0
    assert percept.latency > 0
    np.testing.assert_allclose(engine.heads["scene"], scene, atol=1e-6)  # nothing is left of the frames between


@pytest.mark.parametrize(("size", "memory"), [("base", "gru"), ("tiny", "attention")])
def test_other_networks_are_exported_as_they_are(size: str, memory: str, tmp_path: Path) -> None:
    network = tiny(memory, size=size)
    save_weights(tmp_path / "other.safetensors", network, {"command": "a test"})
    saved, card = load_network(tmp_path / "other.safetensors")
    to_onnx(saved, tmp_path / "other.onnx", card)
    reference = load_engine("torch", "f32", tmp_path / "other.safetensors")
    engine = load_engine("onnxruntime", "f32", tmp_path / "other.onnx")
    assert set(engine.model.state) == set(network.state_names)
    assert len(list(compared(reference, engine, 3))) == 3


def test_bad_frames_raise_and_say_why(weights: Path) -> None:
    engine = load_engine("torch", "f32", weights)
    good = np.zeros((360, 640, 3), np.uint8)
    with pytest.raises(ValueError, match="no image"):
        engine(fake.observation(0))
    with pytest.raises(ValueError, match="uint8"):
        engine(fake.observation(0, good.astype(np.float32)))
    with pytest.raises(ValueError, match="shape"):
        engine(fake.observation(0, good[:, :, 0]))
    blind = fake.observation(1, good)
    with pytest.raises(ValueError, match="not finite"):
        engine(replace(blind, ego=replace(blind.ego, speed=float("nan"))))
    engine.reset()
    engine(fake.observation(2, good))
    with pytest.raises(ValueError, match="not after"):
        engine(fake.observation(2, good))


def test_a_long_gap_ends_the_memory(weights: Path) -> None:
    engine = load_engine("torch", "f32", weights)
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (360, 640, 3), np.uint8) for _ in range(2)]
    engine(fake.observation(0, frames[0]))
    engine(fake.observation(100, frames[1]))
    later = engine.heads["scene"].copy()
    engine.reset()
    engine(fake.observation(100, frames[1]))
    np.testing.assert_array_equal(engine.heads["scene"], later)


def test_weights_that_do_not_fit_are_named(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown|missing|shape"):
        fill(Network(replace(Architecture.named("tiny"), neck=24)), weights)
    copy = tmp_path / "copy.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    copy.with_suffix(".json").write_text(weights.with_suffix(".json").read_text())
    with pytest.raises(UserError, match="hash"):
        load_network(copy)
    with pytest.raises(UserError, match="no weights"):
        load_engine("torch", weights=tmp_path / "none.safetensors")
    copy.with_suffix(".onnx").write_bytes(b"no graph")
    with pytest.raises(UserError, match="not an ONNX file"):
        load_engine("onnxruntime", weights=copy.with_suffix(".onnx"))


def test_engines_that_do_not_exist_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="openvino"):
        load_engine("warp")
    with pytest.raises(UserError, match="bf16"):
        load_engine("openvino", "fp4")
    monkeypatch.setitem(ENGINES, "tpu", ("no_such_package_here", ("f32",)))
    with pytest.raises(UserError, match="no_such_package_here"):
        load_engine("tpu")
