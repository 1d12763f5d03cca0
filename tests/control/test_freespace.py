"""What is seen as road is free: the mask is drawn here from the camera's geometry, so the answers are known."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from control_scenes import observation, percept

from roadcraft.control.features import Features
from roadcraft.control.freespace import (
    FEWEST,
    NARROW,
    WIDE,
    FreeSpace,
    clear_length,
    lens_of,
    refuted,
    road_end,
    road_share,
)
from roadcraft.control.paths import stations
from roadcraft.control.spacetime import OTHER
from roadcraft.perception.percept import OBJECT
from roadcraft.perception.projection import corners, project
from roadcraft.sim.messages import Camera, Kind

CAMERA = Camera(640, 360)
PATH = np.stack([np.arange(60.0), np.zeros(60)], -1)
HALF = 2.3, 0.95  # m
Place = tuple[float, float, float]  # x, y [m], yaw [rad]


def mask_of(cars: Sequence[Place] = (), camera: Camera = CAMERA) -> np.ndarray:
    """Road everywhere below the horizon, but where cars are."""
    mask = np.zeros((90, 160), np.float32)
    mask[46:] = 0.98
    for x, y, yaw in cars:
        around = corners(np.array([[x, y, 0.0]]), np.array([yaw]), np.array([[*HALF, 0.75]]))[0]
        hull = cv2.convexHull(np.round(project(camera, around)[:, :2] / 4).astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 0.02)
    return mask


def clear_along(path: np.ndarray, mask: np.ndarray) -> float:
    return clear_length(stations(path), road_share(path, mask, lens_of(CAMERA, 160), WIDE))


def end_along(path: np.ndarray, mask: np.ndarray) -> float:
    return road_end(stations(path), road_share(path, mask, lens_of(CAMERA, 160), NARROW))


def others(*places: Place, speed: float = 0.0, walker: bool = False) -> np.ndarray:
    out = np.zeros(len(places), OTHER)
    for o, (x, y, yaw) in zip(out, places, strict=True):
        o["xy"], o["yaw"], o["half"], o["velocity"], o["walker"] = (x, y), yaw, HALF, (speed, 0.0), walker
    return out


@pytest.mark.parametrize("x", [8.0, 11.0, 14.0])
def test_the_way_is_clear_up_to_the_car_that_stands_on_it(x: float) -> None:
    rear, mask = x - HALF[0], mask_of([(x, 0.0, 0.0)])
    assert clear_along(PATH, mask) == pytest.approx(rear, abs=1.6)
    assert end_along(PATH, mask) == pytest.approx(rear, abs=1.6)


def test_the_way_is_clear_beside_a_parked_car_and_along_a_bend() -> None:
    assert clear_along(PATH, mask_of([(9.0, -2.6, 0.0)])) > 20.0
    bend = np.stack([30.0 * np.sin(np.arange(60) / 30), 30.0 * (1 - np.cos(np.arange(60) / 30))], -1)
    assert clear_along(bend, mask_of()) > 15.0
    assert clear_along(bend, mask_of([(12.0, 2.5, 0.4)])) < 12.0


def test_a_few_wrong_cells_do_not_block_the_way() -> None:
    mask = mask_of()
    mask[-1, 60:100] = 0.0  # the nearest row
    mask[60, 78:82] = 0.0
    assert end_along(PATH, mask) > 1e3
    assert clear_along(PATH, mask) < 12.0


def test_no_mask_no_road() -> None:
    assert clear_along(PATH, np.zeros((90, 160), np.float32)) < 6.0


def test_only_who_stands_beside_the_way_is_doubted() -> None:
    """A parked car that seems to be turned into the way is refuted by the road that is seen there, and not where the
    road ends before it; who stands on the way, moves, or walks is believed."""
    turned = (12.0, -2.4, 0.6)
    assert refuted(PATH, others(turned), 25.0).tolist() == [True]
    assert refuted(PATH, others(turned), 9.0).tolist() == [False]
    assert refuted(PATH, others((12.0, -0.5, 0.0)), 25.0).tolist() == [False]
    assert refuted(PATH, others(turned, speed=2.0), 25.0).tolist() == [False]
    assert refuted(PATH, others(turned, walker=True), 25.0).tolist() == [False]


def test_where_the_road_ends_something_is_unless_it_is_known() -> None:
    """An unseen car on the path is there for the policy, before its rear; a seen one is not there twice; a single bad
    mask is nothing."""
    mask = mask_of([(12.0, 0.0, 0.0)])
    free = FreeSpace()
    seen = [free(PATH, others(), mask, CAMERA, 0.0) for _ in range(FEWEST)]
    assert [len(found) for found in seen] == [0] * (FEWEST - 1) + [1]
    assert seen[-1]["xy"][0] == pytest.approx([12.0 - HALF[0] - 1.5, 0.0], abs=1.6)
    assert len(free(PATH, others((12.0, 0.0, 0.0)), mask, CAMERA, 0.0)) == 1
    free.reset()
    assert len(free(PATH, others(), mask, CAMERA, 0.0)) == 0


def test_something_is_there_all_the_way_up_to_it_and_until_road_is_seen_again() -> None:
    """Also when its foot has sunk below the picture; it is never told to be farther than it is."""
    free = FreeSpace()
    for x in np.arange(12.0, 5.2, -0.4):
        found = free(PATH, others(), mask_of([(x, 0.0, 0.0)]), CAMERA, 0.4)
        assert len(found) == (x <= 12.0 - 0.4 * (FEWEST - 1) + 1e-6)
        assert all(o["xy"][0] < x - HALF[0] + 0.5 for o in found)
    left = [len(free(PATH, others(), mask_of(), CAMERA, 0.0)) for _ in range(FEWEST)]
    assert left == [1] * (FEWEST - 1) + [0]


def test_a_path_that_turns_over_a_kerb_is_not_blocked() -> None:
    sharp = np.stack([8.0 * np.sin(np.arange(60) / 8), 8.0 * (1 - np.cos(np.arange(60) / 8))], -1)
    for path, blocked in ((sharp, 0), (PATH, 1)):
        free = FreeSpace()
        found = [
            free(path, others(), mask_of([(11.0, 3.5, 0.0)] * (path is sharp) or [(11.0, 0.0, 0.0)]), CAMERA, 0.0)
            for _ in range(FEWEST)
        ]
        assert len(found[-1]) == blocked


def test_features_leave_out_who_is_refuted() -> None:
    objects = np.zeros(1, OBJECT)
    objects["kind"], objects["xy_ego"], objects["yaw_ego"] = Kind.CAR, (11.0, -2.4), 0.6
    objects["size"], objects["score"], objects["track"] = (4.6, 1.9), 0.9, 7
    objects["path_ego"] = objects["xy_ego"][:, None]
    for mask, seen in ((mask_of(), 0), (mask_of([(11.0, -2.4, 0.6)]), 1), (np.zeros((0, 0), np.float32), 1)):
        features = Features()
        for frame in range(5):
            features.update(
                observation(frame, camera=CAMERA), percept(frame, objects=objects, drivable=mask, lane_mask=mask)
            )
        assert len(features.others) == seen
