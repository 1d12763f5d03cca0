"""What is built from a configuration gets what the configuration says."""

import pytest

from roadcraft.launch import build
from roadcraft.launch.options.evaluation import EvaluatePolicy
from roadcraft.launch.options.shared import Engine
from roadcraft.sim.errors import UserError


@pytest.mark.parametrize(("cores", "processes", "each"), [(2, 1, 2), (2, 2, 1), (8, 3, 2), (2, 5, 1)])
def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch, cores: int, processes: int, each: int) -> None:
    monkeypatch.setattr(build, "cores", lambda: cores)
    assert build.among(Engine(), processes).threads == each
    assert build.among(Engine(threads=3), processes).threads == 3  # what is asked for is asked for


@pytest.mark.parametrize("threads", [1, 2])
def test_a_driver_computes_with_the_threads_asked_for(threads: int) -> None:
    pytest.importorskip("openvino")
    driver, _ = build.build_driver(EvaluatePolicy(engine=Engine("openvino", "f32", threads=threads)), 2000)
    assert driver.engine.threads == threads  # type: ignore[attr-defined]


def test_threads_below_none_are_refused() -> None:
    with pytest.raises(UserError, match=r"engine\.threads -1"):
        Engine(threads=-1)
