"""TensorRT as far as a machine without a GPU goes: it builds the policy's graph too, and keeps engines by what they are
of: graph, GPU and version."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from roadcraft.control.export import to_onnx
from roadcraft.control.policy import Policy
from roadcraft.perception.engines import tensorrt

pytestmark = pytest.mark.skipif(
    all(importlib.util.find_spec(name) is None for name in tensorrt.PACKAGES), reason="no TensorRT is installed"
)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    to_onnx(Policy.load(), tmp_path / "policy.onnx")
    return tmp_path / "policy.onnx"


def test_an_engine_of_the_policy_is_cached_by_graph_gpu_and_version(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tensorrt, "cache_dir", lambda: tmp_path)
    caplog.set_level("INFO")
    first = tensorrt.engine_file(policy)
    assert first.stat().st_size > 1000
    before = first.stat().st_mtime_ns
    assert tensorrt.engine_file(policy) == first
    assert first.stat().st_mtime_ns == before
    assert len(caplog.records) == 1
    monkeypatch.setattr(tensorrt, "gpu_name", lambda: "Another GPU")
    other = tensorrt.engine_file(policy)
    assert other != first
    assert "Another GPU" in caplog.text
    monkeypatch.setattr(tensorrt.bindings(), "__version__", "99.0")
    assert tensorrt.engine_file(policy) not in (first, other)
    assert len(caplog.records) == 3
