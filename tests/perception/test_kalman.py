"""The filter's compiled steps are the textbook's matrices."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from roadcraft.perception import kalman
from roadcraft.perception.detection import DETECTION

GROUP = 1
STEP = np.eye(4) + 0.2 * np.eye(4, k=2)  # 0.2 s on


def covariance(seed: int) -> NDArray[np.float64]:
    """Of four numbers that all hang together."""
    factor = np.random.default_rng(seed).standard_normal((4, 4))
    return factor @ factor.T + 0.1 * np.eye(4)


def test_prediction() -> None:
    mean, cov = np.array([10.0, -2.0, 3.0, 1.0]), covariance(0)
    push = np.array([[0.02, 0], [0, 0.02], [0.2, 0], [0, 0.2]]) * kalman.ACCEL[GROUP]  # an acceleration for 0.2 s
    expected = STEP @ mean, STEP @ cov @ STEP.T + push @ push.T
    kalman.predict(mean, cov, GROUP, 0.2)
    np.testing.assert_allclose(mean, expected[0])
    np.testing.assert_allclose(cov, expected[1])


@pytest.mark.parametrize(("dt", "repeats"), [(0.1, 6.0), (0.6, 1.0), (2.0, 1.0)])
def test_correction(dt: float, repeats: float) -> None:
    mean, cov, z = np.array([10.0, -2.0, 3.0, 1.0]), covariance(1), np.array([9.0, -1.0, 2.0, 4.0])
    r = np.zeros((4, 4))
    r[:2, :2], r[2:, 2:] = covariance(2)[:2, :2], 0.5 * np.eye(2)
    noise = r.copy()
    noise[2:, 2:] *= repeats  # the network repeats its error in a velocity
    gain = cov @ np.linalg.inv(cov + noise)
    expected = mean + gain @ (z - mean), (np.eye(4) - gain) @ cov
    kalman.correct(mean, cov, z, r, dt, np.empty((4, 4)), np.empty((4, 4)))
    np.testing.assert_allclose(mean, expected[0])
    np.testing.assert_allclose(cov, expected[1], atol=1e-12)


def test_a_detection_errs_along_its_sight_as_it_says_and_across_by_its_bearing() -> None:
    d = np.zeros(1, DETECTION)
    d["xy_ego"], d["velocity_ego"], d["range_sigma"], d["velocity_sigma"] = (30.0, 40.0), (5.0, 0.0), 3.0, 2.0
    pose, z, r = np.array([100.0, -20.0, np.pi / 2]), np.empty(4), np.empty((4, 4))
    kalman.measure(d[0], pose, z, r)
    np.testing.assert_allclose(z, (60.0, 10.0, 0.0, 5.0), atol=1e-9)
    sight, across = np.array([-0.8, 0.6]), np.array([0.6, 0.8])
    np.testing.assert_allclose(sight @ r[:2, :2] @ sight, 3.0**2)
    np.testing.assert_allclose(across @ r[:2, :2] @ across, (kalman.BEARING_SIGMA * 50.0 + 0.1) ** 2)
    np.testing.assert_allclose(sight @ r[:2, :2] @ across, 0.0, atol=1e-12)
    np.testing.assert_allclose(r[2:, 2:], 4.0 * np.eye(2))
    assert not r[:2, 2:].any()


def test_a_new_one_moves_as_fast_as_can_be_believed() -> None:
    z, r, mean, cov = np.array([1.0, 2.0, 8.0, -4.0]), np.eye(4), np.empty(4), np.empty((4, 4))
    r[2, 2] = r[3, 3] = kalman.START_SPEED[GROUP] ** 2  # as much as what it may be anyhow: half of it
    kalman.begin(z, r, GROUP, mean, cov)
    np.testing.assert_allclose(mean, (1.0, 2.0, 4.0, -2.0))
    np.testing.assert_allclose(cov, np.diag((1.0, 1.0, r[2, 2] / 2, r[2, 2] / 2)))
