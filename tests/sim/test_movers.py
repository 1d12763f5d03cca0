"""Places on a path."""

import numpy as np
import pytest

from roadcraft.sim.movers import Path


def test_a_pose_lies_between_the_points_and_is_held_at_the_ends() -> None:
    random = np.random.default_rng(0)
    s = np.concatenate([[0.0], np.cumsum(random.uniform(0.3, 2.0, 50))])
    path = Path(random.normal(size=(51, 2)).cumsum(0), random.normal(size=51).cumsum(), s)
    for at in (-1.0, 0.0, *s[[1, 25, 50]], s[-1] + 1.0, *random.uniform(0.0, s[-1], 100)):
        x, y, yaw = path.pose(at)
        assert (x, y) == (np.interp(at, s, path.xy[:, 0]), np.interp(at, s, path.xy[:, 1]))
        assert yaw == np.interp(at, s, path.yaw)


def test_a_pose_beside_the_path_is_to_its_left() -> None:
    path = Path(np.array([[0.0, 0.0], [0.0, 10.0]]), np.full(2, np.pi / 2), np.array([0.0, 10.0]))
    assert path.pose(5.0, 2.0) == pytest.approx((-2.0, 5.0, np.pi / 2))
