"""Targets, heads and decoding agree: what the labels say comes back out of ideal heads."""

from __future__ import annotations

import numpy as np
import perception_fakes as fake
import pytest
import torch

from roadcraft.perception.augment import Augmentation, Sample, augment, flipped, zoomed
from roadcraft.perception.data import clip_of
from roadcraft.perception.decode import Decoder
from roadcraft.perception.detection import DETECTION, MOST, back_into_box, detections, distinct, iou, lens
from roadcraft.perception.foresight import Foresight
from roadcraft.perception.heads import FIELDS, GROUPS, LANE_COLUMNS, SCENE
from roadcraft.perception.labels import FrameLabels, frame_labels, recorded_semantic
from roadcraft.perception.network import publish
from roadcraft.perception.projection import corners, projected_boxes
from roadcraft.perception.targets import Targets
from roadcraft.perception.tracker import KEPT
from roadcraft.perception.view import Fitter
from roadcraft.sim.messages import Camera, Kind, LightState

ROWS = [
    (1, Kind.CAR, 22.0, 1.5, 0.2, 6.0),
    (2, Kind.PEDESTRIAN, 12.0, -3.0, 1.6, 1.2),
    (3, Kind.BUS, 40.0, -2.5, 3.1, 8.0),
]
FITTER = Fitter(640, 360)


def sample(**changes: object) -> Sample:
    tick = fake.drawn_tick(0, **({"actors": fake.actors(*ROWS)} | changes))
    labels = frame_labels(tick, np.zeros(5, bool))
    return Sample(tick.observation.rgb, recorded_semantic(tick.labels), labels)


def ideal(target: Targets) -> dict[str, np.ndarray]:
    """Raw heads that say just what the targets ask for, published."""
    rows, cols = target.heat.shape[1:]
    objects = np.zeros((sum(FIELDS.values()), rows, cols), np.float32)
    for p in target.positives:
        said = {
            "offset": (p["box"][:2] + p["box"][2:]) / 2,
            "log_box": np.log(p["box"][2:] - p["box"][:2]),
            "log_depth": p["log_depth"],
            "log_depth_sigma": -3.0,
            "column": p["column"],
            "log_size": p["log_size"],
            "heading": p["heading"],
            "velocity": p["velocity"],
            "log_velocity_sigma": -3.0,
            "kind": 9.0 * np.eye(6)[p["kind"]],
            "bend": np.nan_to_num(p["bend"]).ravel(),
            "log_bend_sigma": np.zeros(4),
        }
        objects[:, p["row"], p["col"]] = np.concatenate([np.atleast_1d(said[name]) for name in FIELDS])
    columns = np.arange(LANE_COLUMNS)
    near = -np.abs(columns - np.nan_to_num(target.lane_column)[..., None])
    lane = np.where(near > -1, np.log(np.maximum(1 + near, 1e-9)), -30.0)
    seen = np.isfinite(target.lane_column)
    line = np.stack([target.lane_exists * 20 - 10, target.lane_solid * 20 - 10, np.zeros(4)], -1)
    scene = {
        "light": 10.0 * np.eye(4)[target.light],
        "light_distance": np.log1p(min(target.light_distance, 100.0)),
        "stop": 10.0 * target.stop - 5,
        "stop_distance": np.log1p(min(target.stop_distance, 100.0)),
        "events": target.events * 20 - 10,
        "valid": target.valid * 20 - 10,
    }
    raw = {
        "masks": target.masks * 20.0 - 10,
        "heat": np.log(np.clip(target.heat, 1e-4, 1 - 1e-4) / (1 - np.clip(target.heat, 1e-4, 1 - 1e-4))),
        "objects": objects,
        "signs": target.signs * 20 - 10,
        "lane_column": lane,
        "lane_point": seen * 20.0 - 10,
        "lane_line": line,
        "scene": np.concatenate([np.atleast_1d(scene[name]) for name in SCENE]),
    }
    published = publish({k: torch.from_numpy(np.asarray(v, np.float32))[None] for k, v in raw.items()})
    return {k: v[0].numpy() for k, v in published.items()}


def check(s: Sample, frame: int = 0) -> None:
    """Decoding ideal heads gives the labels back."""
    target = clip_of([s], (360, 640)).targets[0]
    heads, labels = ideal(target), s.labels
    found = detections(heads, labels.camera, FITTER, KEPT)
    truth = labels.objects[labels.objects["pixels"] > 24]
    overlap = iou(found["box"], truth["box"])
    assert len(found) == len(truth)
    at = overlap.argmax(0)
    assert (overlap.max(0) > 0.95).all()
    np.testing.assert_allclose(found["xy_ego"][at], truth["xyz_ego"][:, :2], rtol=0.02, atol=0.05)
    np.testing.assert_allclose(np.cos(found["yaw_ego"][at] - truth["yaw_ego"]), 1.0, atol=1e-4)
    np.testing.assert_allclose(found["velocity_ego"][at], truth["velocity_ego"], atol=1e-4)
    np.testing.assert_array_equal(found["kind"][at], truth["kind"])
    lanes = Decoder(FITTER, Foresight(None))(heads, fake.observation(frame, s.rgb, labels.camera)).lanes_ego
    np.testing.assert_allclose(lanes, labels.frame["lanes_ego"], atol=0.02)


def test_ideal_heads_give_the_labels_back() -> None:
    check(sample())


def test_a_flipped_sample_is_as_consistent() -> None:
    s = flipped(sample())
    check(s)
    assert s.labels.objects["xyz_ego"][0, 1] == -1.5


def test_flipping_twice_changes_nothing() -> None:
    s = sample(light=LightState.RED, light_distance=20.0, light_id="3")
    twice = flipped(flipped(s))
    np.testing.assert_array_equal(twice.rgb, s.rgb)
    assert twice.labels.frame.tobytes() == s.labels.frame.tobytes()
    for name in ("box", "xyz_ego", "velocity_ego", "path_ego", "yaw_ego"):
        np.testing.assert_array_equal(twice.labels.objects[name], s.labels.objects[name])


def test_a_zoomed_sample_is_as_consistent() -> None:
    s = zoomed(sample(), 1.25)
    check(s)
    assert s.labels.camera.focal == pytest.approx(1.25 * Camera().focal)


def test_another_mounting_is_as_consistent() -> None:
    s = sample()
    moved = s.labels.frame.copy()
    moved["camera"][1:] = 0.8, 0.3, 1.5, 0.0
    boxes = s.labels.objects.copy()
    camera = FrameLabels(moved, boxes).camera
    extent = boxes["size"].astype(float) / 2
    boxes["box"] = projected_boxes(camera, corners(boxes["xyz_ego"].astype(float), boxes["yaw_ego"], extent))
    check(Sample(s.rgb, s.semantic, FrameLabels(moved, boxes)))


@pytest.mark.parametrize("side", [1, -1])
def test_footprints_reach_no_further_into_the_way_than_their_boxes(side: int) -> None:
    camera = Camera()
    place = np.array([[9.0, 3.0 * side, 0.0]])
    box = projected_boxes(camera, corners(place, np.zeros(1), np.array([[2.2, 0.9, 0.75]])))
    found = np.zeros(1, DETECTION)
    found["box"], found["size"] = box, (4.4, 1.8)
    for y, moved in ((3.0, 0.0), (1.2, 1.8), (3.4, 0.0)):  # where it is, in the way, further off
        found["xy_ego"] = 9.0, y * side
        np.testing.assert_allclose(back_into_box(lens(camera), found), moved * side, atol=1e-4)
    found["box"] = 200.0, 100.0, 500.0, 300.0  # across the middle: nothing is known of its sides
    np.testing.assert_allclose(back_into_box(lens(camera), found), 0.0)


def test_a_ruined_frame_asks_only_whether_it_is_one() -> None:
    s = augment([sample()], Augmentation(0, 0, 0, 0, 0, 0, 0, ruin=1.0), np.random.default_rng(0))[0]
    assert s.ruined
    assert clip_of([s], (360, 640)).targets[0].valid == 0.0


def test_parked_cars_of_the_map_are_neither_asked_for_nor_forbidden() -> None:
    s = sample()
    s.semantic[200:240, 80:160] = 14  # a car ...
    instance = np.zeros_like(s.semantic, np.uint32)  # ... that is no actor
    from roadcraft.sim.messages import Labels

    s.semantic = recorded_semantic(Labels(s.semantic, instance, np.zeros(s.semantic.shape, np.float32)))
    target = clip_of([s], (360, 640)).targets[0]
    assert (target.heat_weight[:, 25:30, 10:20] == 0).all()
    assert (target.heat_weight[:, :20, :] == 1).all()
    assert len(target.heat) == GROUPS


def test_light_and_confidence_come_through() -> None:
    s = sample(light=LightState.YELLOW, light_distance=21.0, light_id="3")
    heads = ideal(clip_of([s], (360, 640)).targets[0])
    percept = Decoder(FITTER, Foresight(None))(heads, fake.observation(0, s.rgb, s.labels.camera))
    assert percept.light.argmax() == LightState.YELLOW
    assert percept.light_distance == pytest.approx(21.0, rel=1e-3)
    assert percept.confidence > 0.99
    assert percept.stop_distance == np.inf


def test_frames_of_another_shape_are_fitted_and_boxes_brought_back() -> None:
    camera = Camera(1280, 960)
    fitter = Fitter(640, 360)
    frame = np.zeros((960, 1280, 3), np.uint8)
    frame[480 - 20 : 480 + 20, 640:700] = 255  # 40 rows around the optical axis
    fitted = fitter(frame)
    assert fitted.shape == (1, 360, 640, 3)
    lit = np.argwhere(fitted[0, :, :, 0] > 128)
    scale, shift = fitter.to_camera(camera)
    top, bottom = (lit[:, 0].min() - shift) * scale, (lit[:, 0].max() + 1 - shift) * scale
    assert (top, bottom) == (460, 500)
    assert (lit[:, 1].min() * scale, (lit[:, 1].max() + 1) * scale) == (640, 700)


def test_a_part_of_a_near_object_is_not_another_object_but_a_far_one_seen_past_it_is() -> None:
    def found(far: float) -> list[int]:
        rows = np.zeros(2, DETECTION)
        rows["box"] = (100, 100, 300, 300), (110, 150, 200, 290)
        rows["xy_ego"] = (7.0, 0.0), (far, 0.5)
        rows["score"] = 0.8, 0.4
        return distinct(rows).tolist()

    assert found(7.5) == [0]
    assert found(20.0) == [0, 1]


def test_the_best_peaks_are_taken_best_first() -> None:
    rng = np.random.default_rng(0)
    peaks = rng.permutation(np.linspace(0.0, 1.0, 3 * 20 * 40)).reshape(3, 20, 40).astype(np.float32)
    objects = np.zeros((sum(FIELDS.values()), 20, 40), np.float32)  # boxes of a cell
    found = detections({"peaks": peaks, "objects": objects}, Camera(320, 160), Fitter(320, 160), KEPT)
    np.testing.assert_allclose(found["score"], np.sort(peaks.ravel())[::-1][:MOST])
    few = detections({"peaks": peaks, "objects": objects}, Camera(320, 160), Fitter(320, 160), 0.99)
    np.testing.assert_array_equal(few["score"], found["score"][: len(few)])
    assert few["score"].min() > 0.99
    assert found["score"][len(few)] <= 0.99
