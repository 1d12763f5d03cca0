"""Parity: an engine is not off from itself, deviations are what one computes by hand, memories are kept apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roadcraft.control.expert import ExpertDriver
from roadcraft.perception import parity
from roadcraft.perception.engines import load_engine
from roadcraft.perception.evaluate import Seen, labelled_drive
from roadcraft.perception.heads import OUTPUTS
from roadcraft.perception.network import Network
from roadcraft.perception.parity import REFERENCE, Deviation, compare, markdown
from roadcraft.perception.quantize import MOST_LOST
from roadcraft.perception.weights_io import load_network, save_weights
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.messages import Traffic

LAST = "vehicle_ap50"


def test_deviations_are_relative_to_the_whole_drive() -> None:
    one = Deviation()
    true = {name: np.zeros((2, 3), np.float32) for name in OUTPUTS}
    one.add({name: value + 0.5 for name, value in true.items()}, true)
    true = {name: np.full((2, 3), 10.0, np.float32) for name in OUTPUTS}
    one.add({name: value - 1.0 for name, value in true.items()}, true)
    found = one.relative()["masks"]
    assert found["largest_ppm"] == pytest.approx(1e6 * 1.0 / 10.0)
    assert found["typical_ppm"] == pytest.approx(1e6 * np.sqrt((0.25 + 1.0) / 100.0))


@pytest.fixture(scope="module")
def drive() -> list[Seen]:
    """A short rendered drive with labels."""
    world = EmbeddedWorld()
    episode = episode_from_seed(2000, traffic=Traffic(2, 2), scenarios=())
    seen = list(labelled_drive(world, episode, ExpertDriver(), frames=3))
    world.close()
    return seen


def test_the_shipped_graph_says_what_torch_says(drive: list[Seen]) -> None:
    """On two drives: what was seen on the first is not remembered on the second."""
    counted: list[str] = []
    engines = {"onnxruntime:f32": load_engine("onnxruntime", "f32"), REFERENCE + " again": load_engine("torch", "f32")}
    found = compare(load_engine("torch", "f32"), engines, [drive, drive], counted.append)
    assert found["frames"] == len(counted) == 2 * len(drive)
    for name, outputs in found["deviation"]["onnxruntime:f32"].items():
        if name != "peaks":  # of two equal neighbours either may be the peak
            assert 0 < outputs["largest_ppm"] < 1000
    assert all(o["largest_ppm"] == 0 for o in found["deviation"][REFERENCE + " again"].values())
    assert found["lost"][REFERENCE + " again"]["drivable_miou"] == 0
    assert found["missed"] == []
    assert set(found["unmeasured"]) == {k for k in MOST_LOST if np.isnan(found["figures"][REFERENCE][k])}
    assert abs(found["lost"]["onnxruntime:f32"]["drivable_miou"]) < 1e-3
    table = markdown(found)
    assert "onnxruntime:f32" in table
    assert "drivable_miou" in table


def test_a_figure_that_only_the_reference_has_is_missed_and_one_that_nobody_has_unmeasured(
    drive: list[Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = float("nan")
    answers = iter([dict.fromkeys(MOST_LOST, 0.9) | {"cyclist_ap50": nan}, {k: 0.9 for k in MOST_LOST} | {LAST: nan}])
    monkeypatch.setattr(parity, "figures", lambda records: next(answers))
    found = compare(load_engine("torch", "f32"), {"other": load_engine("torch", "f32")}, [drive[:1]])
    assert (found["missed"], found["unmeasured"]) == ([f"other {LAST}"], ["cyclist_ap50"])
    assert "Unmeasured: cyclist_ap50." in markdown(found)


def test_another_network_is_off_and_missed(drive: list[Seen], tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_weights(path, Network(load_network(None)[0].architecture).eval(), {"command": "a test"})
    found = compare(load_engine("torch", "f32"), {"other": load_engine("torch", "f32", path)}, [drive])
    assert found["deviation"]["other"]["masks"]["largest_ppm"] > 1e5
    assert "other drivable_miou" in found["missed"]
