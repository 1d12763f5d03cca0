"""Engines: which one `auto` takes and what becomes of one that fails; graphs that are not what is asked for; frames
that are not their camera's."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import perception_fakes as fake
import pytest

from roadcraft.perception import engines
from roadcraft.perception.engines import graph_precision, load_engine
from roadcraft.perception.engines.base import Model, NetworkEngine
from roadcraft.perception.shipped import shipped
from roadcraft.perception.view import Fitter
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Camera

pytest.importorskip("onnx")


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """A machine with a GPU and everything installed, on which TensorRT and OpenVINO fail; what was tried on it."""
    asked: list[tuple[str, str]] = []

    def load(name: str, precision: str, weights: Any, threads: int, why: str) -> Any:
        asked.append((name, precision))
        if name == "tensorrt":
            raise RuntimeError("out of memory")
        if name == "openvino":
            raise UserError("no OpenVINO today")
        return why

    monkeypatch.setattr(engines, "_load", load)
    monkeypatch.setattr(engines, "_has_gpu", lambda: True)
    monkeypatch.setattr(engines, "_installed", lambda name: True)
    monkeypatch.setattr(engines, "has_bf16", lambda: True)
    return asked


def test_auto_goes_on_where_an_engine_fails_and_says_so(
    tried: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        why: Any = load_engine()
    assert tried == [("tensorrt", "auto"), ("openvino", "auto"), ("onnxruntime", "auto")]
    assert "tensorrt is left out: out of memory" in caplog.text
    assert "tensorrt, openvino failed" in why


def test_auto_tries_only_what_runs_the_precision(tried: list[tuple[str, str]]) -> None:
    load_engine(precision="bf16")
    assert tried == [("openvino", "bf16"), ("torch", "bf16")]
    with pytest.raises(UserError, match="out of memory"):
        load_engine(precision="f16")
    with pytest.raises(UserError, match="fp4"):
        load_engine(precision="fp4")


@pytest.mark.parametrize(("machine", "precision"), [("x86_64", "int8"), ("aarch64", "auto")])
def test_int8_is_taken_where_it_was_measured(
    tried: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, machine: str, precision: str
) -> None:
    monkeypatch.setattr(engines, "has_bf16", lambda: False)
    monkeypatch.setattr(engines, "_has_int8", lambda weights: True)
    monkeypatch.setattr(engines.platform, "machine", lambda: machine)
    load_engine()
    assert ("openvino", precision) in tried


@pytest.mark.parametrize("device", ["nvidiactl", "dxg"])
def test_a_gpu_is_seen_on_linux_and_in_wsl(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: path == Path("/dev") / device)
    monkeypatch.setattr("roadcraft.perception.engines.tensorrt.gpu_name", lambda: "A GPU")
    assert engines._has_gpu()


def test_the_shipped_graphs_are_what_their_names_say() -> None:
    endings = {"f32": ".onnx", "f16": ".f16.onnx", "int8": ".int8.onnx"}
    assert {name: graph_precision(shipped(ending=ending)) for name, ending in endings.items()} == {
        k: k for k in endings
    }


def test_a_graph_in_another_precision_is_refused_and_auto_takes_its_own() -> None:
    int8 = shipped(ending=".int8.onnx")
    with pytest.raises(UserError, match="int8, f32 is asked for"):
        load_engine("onnxruntime", "f32", int8)
    with pytest.raises(UserError, match="f32, int8 is asked for"):
        load_engine("onnxruntime", "int8", shipped(ending=".onnx"))
    assert load_engine("onnxruntime", weights=int8).precision == "int8"


class Blind:
    """A stepper that sees nothing."""

    threads = 1

    def reset(self) -> None:
        pass

    def step(self, frame: Any, motion: Any) -> dict[str, Any]:
        raise RuntimeError("it got here")


def test_a_frame_that_is_not_its_cameras_is_raised() -> None:
    engine = NetworkEngine("blind", "f32", Blind(), Model(360, 640, {}, ""))
    seen = fake.observation(0, np.zeros((600, 800, 3), np.uint8))
    with pytest.raises(ValueError, match="frame 0 is 800x600, its camera says 640x360"):
        engine(replace(seen, camera=Camera(640, 360)))
    with pytest.raises(ValueError, match="800x600"):
        engine(replace(seen, camera=None))
    with pytest.raises(RuntimeError, match="it got here"):
        engine(replace(seen, camera=Camera(800, 600)))


@pytest.mark.parametrize("shape", [(1, 4000, 3), (4000, 1, 3)])
def test_a_frame_that_cannot_be_fitted_is_raised(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="does not fit into 640x360"):
        Fitter(640, 360)(np.zeros(shape, np.uint8))


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="one core")
@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_an_engine_computes_on_whatever_core_is_idle(name: str) -> None:
    """OpenVINO would bind each process to the machine's first cores, where two of them wait for each other."""
    engine = load_engine(name, "f32", threads=1)
    frame = np.zeros((360, 640, 3), np.uint8)
    busy = threading.Thread(target=lambda: [engine(fake.observation(k, frame)) for k in range(5)])
    busy.start()
    cores = set()
    while busy.is_alive():
        with suppress(ProcessLookupError):  # it may have ended meanwhile
            cores.add(frozenset(os.sched_getaffinity(busy.native_id or 0)))
    assert cores == {frozenset(os.sched_getaffinity(0))}
