"""The line through the route's points: straight between points in a row, an arc at a corner, points a metre apart."""

from __future__ import annotations

import numpy as np
import pytest

from roadcraft.control.knots import dense

ALONG = np.stack([np.arange(0.0, 80.0, 10.0), np.zeros(8)], -1)


def test_points_in_a_row_give_a_straight_line_a_metre_apart() -> None:
    np.testing.assert_allclose(dense(ALONG), np.stack([np.arange(71.0), np.zeros(71)], -1), atol=1e-9)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_points_for_a_bend(count: int) -> None:
    line = dense(ALONG[:count])
    np.testing.assert_allclose(line, np.stack([np.arange(10.0 * count - 9.0), np.zeros(len(line))], -1), atol=1e-9)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_corner_is_an_arc_between_two_straights(side: float) -> None:
    radius, theta = 9.0, np.pi / 2  # the turn begins 3 m behind the point at 30 m
    s = np.arange(0.0, 90.0, 10.0)
    angle = np.clip((s - 33.0) / radius, 0.0, theta)
    x = np.minimum(s, 33.0) + radius * np.sin(angle)
    y = radius * (1.0 - np.cos(angle)) + np.maximum(s - 33.0 - radius * theta, 0.0)
    line = dense(np.stack([x, side * y], -1))
    away = np.hypot(line[:, 0] - 33.0, side * line[:, 1] - radius)  # from the arc's middle
    turning = (line[:, 0] > 33.0) & (side * line[:, 1] < radius)
    assert turning.sum() > 10
    np.testing.assert_allclose(away[turning], radius, atol=0.05)
    np.testing.assert_allclose(line[~turning & (line[:, 0] <= 33.0), 1], 0.0, atol=1e-9)
    np.testing.assert_allclose(np.hypot(*np.diff(line[:-1], axis=0).T), 1.0, atol=0.01)


def test_it_goes_through_the_points_of_a_bend() -> None:
    angle = np.arange(0.0, 1.2, 10.0 / 60.0)  # radius 60 m
    points = 60.0 * np.stack([np.sin(angle), 1.0 - np.cos(angle)], -1)
    line = dense(points)
    assert max(np.hypot(*(line - point).T).min() for point in points) < 0.5
    np.testing.assert_allclose(np.hypot(line[:, 0], line[:, 1] - 60.0), 60.0, atol=0.15)
