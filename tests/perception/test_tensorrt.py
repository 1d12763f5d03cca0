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
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tensorrt, "cache_dir", lambda: tmp_path)
    first = tensorrt.engine_file(policy)
    assert first.stat().st_size > 1000
    assert "engine for no GPU" in capsys.readouterr().err
    before = first.stat().st_mtime_ns
    assert tensorrt.engine_file(policy) == first
    assert first.stat().st_mtime_ns == before
    assert not capsys.readouterr().err
    monkeypatch.setattr(tensorrt, "gpu_name", lambda: "Another GPU")
    other = tensorrt.engine_file(policy)
    assert other != first
    assert "engine for Another GPU" in capsys.readouterr().err
    monkeypatch.setattr(tensorrt.bindings(), "__version__", "99.0")
    assert tensorrt.engine_file(policy) not in (first, other)
    assert "engine for Another GPU" in capsys.readouterr().err
