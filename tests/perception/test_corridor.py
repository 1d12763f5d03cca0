"""The strip that the ego is going to drive: from lanes where they are seen, along the route elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.corridor import corridor
from roadcraft.sim.messages import LANE_X

NOTHING = np.full((4, len(LANE_X)), np.nan)


def lanes(centre: NDArray[np.float64], width: float = 3.5) -> NDArray[np.float64]:
    out = NOTHING.copy()
    out[1], out[2] = centre + width / 2, centre - width / 2
    return out


def straight(aside: float = 0.0) -> NDArray[np.float64]:
    return np.stack([np.arange(0.0, 200.0, 10.0), np.full(20, aside)], -1)


def corner(aside: float = 0.0) -> NDArray[np.float64]:
    """20 m ahead, then to the left."""
    ahead = [(x, aside) for x in (0.0, 10.0, 20.0)]
    return np.array([*ahead, *((20.0, aside + y) for y in np.arange(10.0, 171.0, 10.0))])


def test_the_routes_error_is_taken_out_by_the_lane() -> None:
    path = corridor(lanes(np.full(len(LANE_X), 0.4)), straight(2.5))
    np.testing.assert_allclose(path[:, 1], 0.4, atol=1e-9)
    np.testing.assert_allclose(np.diff(path[:, 0]), 1.0)


def test_one_line_is_enough() -> None:
    seen = lanes(np.zeros(len(LANE_X)))
    seen[1] = np.nan
    np.testing.assert_allclose(corridor(seen, straight(-1.5))[:, 1], 0.0, atol=1e-9)


def test_without_lanes_the_route_begins_where_the_ego_is() -> None:
    np.testing.assert_allclose(corridor(NOTHING, straight(2.0))[:, 1], 0.0, atol=1e-9)


def test_a_bent_lane_is_followed_where_the_route_is_straight() -> None:
    bend = LANE_X**2 / 1000.0
    path = corridor(lanes(bend), straight(0.0))
    at = int(np.argmin(abs(path[:, 0] - 30.0)))
    np.testing.assert_allclose(path[at, 1], 0.9, atol=0.3)


def test_a_turn_is_the_routes_where_the_lane_goes_straight_on() -> None:
    path = corridor(lanes(np.zeros(len(LANE_X))), corner(1.0))
    np.testing.assert_allclose(path[10], (10.0, 0.0), atol=1e-6)
    assert path[40, 1] > 15.0
    assert abs(path[40, 0] - 20.0) < 0.1


def test_it_begins_beside_the_ego_when_the_route_begins_behind() -> None:
    path = corridor(NOTHING, straight(0.0) - (7.0, 0.0))
    assert abs(path[0, 0]) < 0.6


def test_without_a_route_it_is_the_lane() -> None:
    path = corridor(lanes(np.full(len(LANE_X), -0.3)), np.zeros((20, 2)))
    np.testing.assert_allclose(path[5:50, 1], -0.3, atol=1e-9)
    np.testing.assert_allclose(corridor(NOTHING, np.zeros((20, 2)))[:, 1], 0.0)
