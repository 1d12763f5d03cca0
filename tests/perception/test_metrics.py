"""Figures with known answers: perfect percepts, hand-made precision and recall, hidden objects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import perception_fakes as fake
import pytest
from numpy.typing import NDArray

from roadcraft.perception.data import Recipe, collect
from roadcraft.perception.detection import DETECTION
from roadcraft.perception.engines import load_engine
from roadcraft.perception.engines.base import NetworkEngine
from roadcraft.perception.evaluate import evaluate, to_json, watch_shards
from roadcraft.perception.labels import FrameLabels, frame_labels, look_ahead
from roadcraft.perception.metrics import Records, Scorer, average_precision, by_distance, calibration_error, f1, figures
from roadcraft.perception.network import Architecture, Network
from roadcraft.perception.percept import Percept
from roadcraft.perception.targets import GROUP
from roadcraft.perception.truth import TruthPerception
from roadcraft.perception.weights_io import save_weights
from roadcraft.sim.messages import Episode, Kind, LightState, Tick


def test_average_precision_by_hand() -> None:
    found = [(0.9, True), (0.8, False), (0.7, True)]  # precision 1, 1/2, 2/3 at recall 1/4, 1/4, 1/2
    assert average_precision(found, 4) == pytest.approx((1.0 + 2 / 3) / 4)
    assert average_precision([], 3) == 0.0
    assert np.isnan(average_precision(found, 0))


def test_f1_by_hand() -> None:
    true, said = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert f1(true, said) == pytest.approx(0.5)
    assert np.isnan(f1(np.zeros(3, bool), np.zeros(3, bool)))


def test_calibration_of_coins() -> None:
    right = np.arange(1000) % 2 == 0
    assert calibration_error(np.full(1000, 0.5), right) == pytest.approx(0.0)
    assert calibration_error(np.full(1000, 0.9), right) == pytest.approx(0.4)


def detections_of(labels: FrameLabels) -> NDArray[np.void]:
    seen = labels.objects[labels.objects["pixels"] > 24]
    d = np.zeros(len(seen), DETECTION)
    d["box"], d["kind"], d["group"], d["score"] = seen["box"], seen["kind"], GROUP[seen["kind"]], 0.9
    d["xy_ego"] = seen["xyz_ego"][:, :2]
    return d


def perfect(tick: Tick, perceive: TruthPerception, labels: FrameLabels) -> Percept:
    """The truth with the pixels' own boxes and masks."""
    percept = perceive(tick)
    objects = percept.objects.copy()
    ids = {int(o["id"]): o for o in labels.objects}
    actors = tick.facts.actors[tick.facts.actors["visible_px"] >= 25]
    for row, actor in zip(objects, actors, strict=False):
        row["box"] = ids[int(actor["id"])]["box"]
    drivable = np.isin(tick.labels.semantic[::4, ::4], (1, 24)).astype(np.float32)
    return replace(percept, objects=objects, drivable=drivable)


def walk(hidden_from: int = 10**9, frames: int = 60) -> Records:
    """A car drives along; from one frame on a lorry's width hides it, and it is still told."""
    scorer, perceive, seen = Scorer(), TruthPerception(), []
    for k in range(0, 2 * frames, 2):
        rows = fake.actors((1, Kind.CAR, 20.0 + 0.2 * k, 0.5, 0.0, 4.0))
        tick = fake.drawn_tick(k, actors=rows, light=LightState.GREEN, light_distance=30.0, light_id="1")
        labels = frame_labels(tick, np.array([k > 40, False, False, False, False]))
        seen.append((perfect(tick, perceive, labels), labels, tick))
    look_ahead([labels for _, labels, _ in seen])
    for k, (percept, labels, tick) in enumerate(seen):
        if k >= hidden_from:
            labels.objects["pixels"], labels.objects["fraction"] = 0, 0.0
        scorer.add(percept, detections_of(labels), labels, tick.labels.semantic)
    return scorer.records


def test_a_perfect_percept_has_perfect_figures() -> None:
    f = figures(walk())
    assert f["drivable_miou"] > 0.98  # a quarter of the size
    assert f["lane_recall"] == 1.0
    assert f["lane_error_10m"] == pytest.approx(0.0, abs=1e-5)
    assert f["vehicle_ap50"] == 1.0
    assert np.isnan(f["pedestrian_ap50"])
    assert f["distance_error"] == pytest.approx(0.0, abs=1e-5)
    assert f["velocity_mae"] == pytest.approx(0.0, abs=1e-4)
    assert f["path_error_2s"] == pytest.approx(0.0, abs=1e-3)
    assert f["light_accuracy_40m"] == 1.0 or np.isnan(f["light_accuracy_40m"])  # nobody said where the light hangs
    assert f["light_recall_40m_even_hidden"] == 1.0
    assert '"frames": 60' in to_json(f)


def test_figures_by_distance_are_those_of_what_is_there() -> None:
    """Lines at 10 and 30 m, paths of two cars, three who were hidden: each counts in its own bin alone."""
    nan = float("nan")
    r = Records(
        lines=[(1, 10.0, True, True), (2, 10.0, True, False), (1, 30.0, True, True), (1, 10.0, False, False)],
        line_errors=[(10.0, 0.1), (10.0, 0.3), (30.0, 0.5)],
        objects=[
            (0, 12.0, 0.0, 0.0, 1.0, 2.0, nan, 5.0),
            (0, 19.0, 0.0, 0.0, 1.0, 4.0, nan, 5.0),
            (0, 35.0, 0.0, 0.0, 1.0, nan, nan, 5.0),
        ],
        hidden=[(1.0, True, 0.5, 15.0), (1.0, False, nan, 15.0), (0.3, False, nan, 15.0), (1.1, True, 2.0, 35.0)],
    )
    found = by_distance(r)
    near, far = found["10-20 m"], found["30-40 m"]
    assert (near["lane_recall"], near["lane_error"]) == (0.5, pytest.approx(0.2))
    assert (far["lane_recall"], far["lane_error"]) == (1.0, 0.5)
    assert near["path_error_2s"] == 3.0
    assert np.isnan(far["path_error_2s"])
    assert (near["occlusions"], near["occlusion_kept_1s"], near["occlusion_error_1s"]) == (2, 0.5, 0.5)
    assert (far["occlusions"], far["occlusion_kept_1s"], far["occlusion_error_1s"]) == (1, 1.0, 2.0)
    assert np.isnan(found["20-30 m"]["lane_recall"])


def test_hidden_objects_are_followed_for_a_second() -> None:
    f = figures(walk(hidden_from=30))
    assert f["occlusions"] > 0
    assert f["occlusion_kept_1s"] == 1.0
    assert f["occlusion_error_1s"] == pytest.approx(0.0, abs=1e-3)


def test_a_miss_and_an_invention_cost() -> None:
    records = walk()
    records.found = [(g, s, right, d) for i, (g, s, right, d) in enumerate(records.found) if i % 2]
    records.found.append((0, 0.99, False, 10.0))
    assert 0.3 < figures(records)["vehicle_ap50"] < 0.5


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> NetworkEngine:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, Network(Architecture.named("tiny")), {})
    return load_engine("torch", "f32", path)


def test_an_untrained_engine_is_evaluated_all_the_same(engine: NetworkEngine, tmp_path: Path) -> None:
    episodes = [(weather, Episode("grid", 1)) for weather in ("clear", "night")]
    found = evaluate(engine, fake.DrawnWorld(), episodes, fake.coasting, frames=4)
    assert found["frames"] == 8
    assert set(found["by_weather"]) == {"clear", "night"}
    assert 0 <= found["drivable_miou"] < 0.9
    collect(fake.DrawnWorld(), [Episode("grid", 1)], fake.coasting, tmp_path, Recipe(4, 1, warm_up=1, jitter=0.0))
    assert len(watch_shards(engine, tmp_path, "noise").events) == 4
