"""The localiser learns from a stop line once, however long the car stands before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import FakeWorld

from roadcraft.control.localiser import HALF_LENGTH, LEFT_AFTER_LINE, Localiser
from roadcraft.control.paths import headings, stations
from roadcraft.sim.messages import LANE_X, Episode

LINE = 15.0  # m from the bumper


def path_to_a_left_turn(corner: float) -> np.ndarray:
    """(60, 2) straight ahead, then a square turn whose middle is `corner` [m] away."""
    radius = 8.0
    start = corner - radius * np.pi / 4
    s = np.arange(60.0)
    bend = np.clip((s - start) / radius, 0.0, np.pi / 2)
    after = np.maximum(s - start - radius * np.pi / 2, 0.0)
    x = np.minimum(s, start) + radius * np.sin(bend)
    return np.stack([x, radius * (1 - np.cos(bend)) + after], -1)


def rotation(yaw: float) -> np.ndarray:
    """(2, 2): world vectors @ it are ego vectors."""
    return np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])


def test_standing_before_a_line_that_flickers_moves_nobody() -> None:
    ego = replace(FakeWorld().reset(Episode("grid", 0)).observation.ego, speed=0.0, yaw_rate=0.0)
    localiser, rng = Localiser(), np.random.default_rng(0)
    # The belief is right: the corner is where the line says, but the perceived distance is 30 % wrong either way.
    path = path_to_a_left_turn(LINE + HALF_LENGTH + LEFT_AFTER_LINE)
    for _ in range(400):
        localiser.move(ego, 0.0, 0.05)
        localiser.see_line(LINE * rng.normal(1.0, 0.3), path, 0.0)
    assert np.abs(localiser.error).max() < 0.5


def test_a_line_that_is_approached_tells_the_error_along_the_street() -> None:
    ego = replace(FakeWorld().reset(Episode("grid", 0)).observation.ego, speed=5.0, yaw_rate=0.0)
    localiser = Localiser()
    for k in range(100):  # 0.25 m a tick; the route's corner seems 1.5 m nearer than it is
        left, moved = 20.0 - 0.25 * k, 0.25 * k
        step = replace(ego, xy_world=np.array([moved, 0.0]))
        localiser.move(step, 0.0, 0.05)
        localiser.see_line(left, path_to_a_left_turn(left + HALF_LENGTH + LEFT_AFTER_LINE - 1.5), 0.0)
    assert localiser.error[0] == pytest.approx(1.0, abs=0.6)
    assert abs(localiser.error[1]) < 0.05


def test_a_line_that_goes_straight_on_where_the_path_turns_moves_nobody() -> None:
    """The kerb of the street that goes on is seen while the route turns off into another."""
    path = path_to_a_left_turn(20.0)
    s, yaw = stations(path), headings(path)
    localiser = Localiser()
    for at in np.arange(0.0, 19.0, 0.25):  # driven without error
        x, y, turned = (float(np.interp(at, s, v)) for v in (path[:, 0], path[:, 1], yaw))
        ahead = (path + localiser.error - (x, y)) @ rotation(turned)
        kerb = (-1.75 - y - np.array(LANE_X) * np.sin(turned)) / np.cos(turned)
        lanes = np.full((4, len(LANE_X)), np.nan)
        lanes[2] = np.where(kerb > -8.0, kerb, np.nan)
        localiser.see_lanes(lanes, np.array([0.0, 0.0, 0.9, 0.0]), ahead[s >= at], turned)
    assert np.abs(localiser.error).max() < 0.3


def test_a_neighbours_line_alone_does_not_move_the_car_into_its_lane() -> None:
    """Behind a turn only the far kerb may be seen at first; and the lane that perception calls ours is believed."""
    path = np.stack([np.arange(60.0), np.full(60, -1.3)], -1)
    lanes = np.full((4, len(LANE_X)), np.nan)
    lanes[0] = 1.7
    localiser = Localiser()
    localiser.memory["seen"] = 20
    for _ in range(20):
        localiser.see_lanes(lanes, np.array([1.0, 0.0, 0.0, 0.0]), path, 0.0)
    assert np.abs(localiser.error).max() == 0.0
    lanes[1], lanes[2] = -1.8, -5.3  # our lane's middle is at -3.55, the other's at -0.05
    for _ in range(40):
        localiser.see_lanes(lanes, np.array([1.0, 1.0, 1.0, 0.0]), path + localiser.error, 0.0)
    assert localiser.error[1] == pytest.approx(-2.25, abs=0.3)


def test_a_car_that_knows_its_place_is_moved_by_no_lane_that_is_not_its_own() -> None:
    path = np.stack([np.arange(60.0), np.zeros(60)], -1)
    lanes = np.repeat(np.array([[8.75], [5.25], [1.75], [-1.75]]), len(LANE_X), 1)  # called ours: the left neighbour's
    localiser = Localiser()
    localiser.memory["seen"], localiser.memory["covariance"] = 20, np.eye(2) * 0.2**2
    for shifted in (lanes, lanes - 1.75):  # it fits a lane beside ours, then none
        for _ in range(20):
            localiser.see_lanes(shifted, np.ones(4), path, 0.0)
        assert np.abs(localiser.error).max() < 0.05


@pytest.mark.parametrize(("percepts", "moved"), [(3, False), (30, True)])
def test_a_line_that_flashes_up_far_beside_the_lane_is_not_believed_at_once(percepts: int, moved: bool) -> None:
    path = np.stack([np.arange(60.0), np.zeros(60)], -1)
    lanes = np.repeat(np.array([[np.nan], [3.75], [0.25], [np.nan]]), len(LANE_X), 1)  # our lane's middle, 2 m aside
    localiser = Localiser()
    localiser.memory["seen"] = 20
    for _ in range(percepts):
        localiser.see_lanes(lanes, np.array([0.0, 0.9, 0.9, 0.0]), path + localiser.error, 0.0)
    assert bool(np.abs(localiser.error).max() > 1.0) == moved
