"""Labels of the embedded world: what is projected from facts lies where the images show it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hilly import hilly_town

from roadcraft.control.expert import ExpertDriver
from roadcraft.perception.detection import iou
from roadcraft.perception.labels import (
    LANE_TAG,
    MOVABLE_TAGS,
    PARKED_RANGE,
    FrameLabels,
    frame_labels,
    standing,
)
from roadcraft.perception.projection import corners, lane_columns, project, projected_boxes
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.messages import LANE_X, Camera, Control, Labels, Mark, Traffic


@pytest.fixture(scope="module", params=["flat", "hills"])
def frames(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[FrameLabels, Labels]]:
    """A few frames along the first seconds of a drive."""
    world, town = EmbeddedWorld(), "grid"
    if request.param == "hills":
        path = tmp_path_factory.mktemp("town") / "hilly.xodr"
        path.write_text(hilly_town("grid"))
        town = str(path)
    tick = world.reset(episode_from_seed(0, town=town, camera=Camera(labels=True), traffic=Traffic(40, 20)))
    signals = {str(row["id"]): row["xyz"] for row in world.network.signals}
    out = []
    for k in range(100):
        if k % 10 == 0:
            assert tick.labels is not None
            out.append((frame_labels(tick, np.zeros(5, bool), signals), tick.labels))
        world.looking = k % 10 == 9
        tick = world.step(Control(throttle=0.4))
    world.close()
    return out


def test_projected_boxes_lie_on_the_pixels_of_what_is_in_full_view(frames: list[tuple[FrameLabels, Labels]]) -> None:
    checked = 0
    for labels, _ in frames:
        o = labels.objects[(labels.objects["fraction"] > 0.85) & (labels.objects["pixels"] > 60)]
        if not len(o):
            continue
        at = o["xyz_ego"].astype(float)
        boxes = projected_boxes(labels.camera, corners(at, o["yaw_ego"].astype(float), o["size"] / 2.0))
        for seen, expected in zip(o["box"], boxes, strict=True):
            assert iou(seen[None], expected[None].astype(np.float32))[0, 0] > 0.55
            checked += 1
    assert checked >= 3


def test_lane_lines_lie_on_paint(frames: list[tuple[FrameLabels, Labels]]) -> None:
    hits = []
    for labels, images in frames:
        lanes = labels.frame["lanes_ego"].astype(float)
        for k in (1, 2):
            if labels.frame["lane_marks"][k] != Mark.SOLID:
                continue
            points = project(labels.camera, np.stack([LANE_X, lanes[k], np.zeros(len(LANE_X))], -1))[1:5]
            for u, v, _ in points[np.isfinite(points[:, 0])]:
                r, c = int(v), int(u)
                if images.instance[r, c] == 0:
                    hits.append((images.semantic[r - 2 : r + 3, c - 6 : c + 7] == LANE_TAG).any())
    assert len(hits) > 5
    assert np.mean(hits) > 0.9


def test_columns_and_projection_agree() -> None:
    camera = Camera(xyz_ego=(0.9, 0.3, 1.7), pitch=0.05)
    lanes = np.linspace(-4.0, 4.0, 4)[:, None] + np.zeros(len(LANE_X))
    points = project(camera, np.stack([np.broadcast_to(LANE_X, lanes.shape), lanes, np.zeros(lanes.shape)], -1))
    np.testing.assert_allclose(lane_columns(camera, lanes), points[..., 0])


@pytest.mark.parametrize("hills", [False, True])
def test_parked_cars_have_the_pixels_of_vehicles_that_nobody_owns(tmp_path: Path, hills: bool) -> None:
    world, path = EmbeddedWorld(), tmp_path / "hilly.xodr"
    path.write_text(hilly_town("suburb"))
    drive = episode_from_seed(2000, camera=Camera(labels=True), traffic=Traffic(0, 0), scenarios=())
    tick = world.reset(replace(drive, town=str(path) if hills else drive.town))
    _, parked = standing(world)
    assert parked is not None
    expert, checked = ExpertDriver(), 0
    for k in range(700):
        if k % 50 == 0:
            assert tick.labels is not None
            images, labels = tick.labels, frame_labels(tick, np.zeros(5, bool), *standing(world))
            seen = labels.objects[labels.objects["pixels"] > 0]
            assert np.isin(seen["id"], parked["id"]).all()
            nobody = np.isin(images.semantic, MOVABLE_TAGS) & (images.instance == 0)
            near = nobody & (images.depth < PARKED_RANGE - 20)
            inside = np.zeros_like(nobody)
            for left, top, right, bottom in seen["box"].astype(int):
                inside[top:bottom, left:right] = True
            assert (near & ~inside).sum() <= 0.02 * near.sum() + 10
            assert seen["pixels"].sum() <= 1.1 * nobody.sum() + 10
            checked += len(seen)
        world.looking = k % 50 == 49
        tick = world.step(expert(tick).control)
    world.close()
    assert checked > 10
