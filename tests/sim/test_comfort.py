"""Comfort against closed forms."""

import numpy as np
import pytest

from roadcraft.sim.comfort import comfort, savgol

TIME = np.arange(60) * 0.1


@pytest.mark.parametrize("derivative", [0, 1, 2])
def test_the_filter_leaves_parabolas_as_they_are(derivative: int) -> None:
    want = (3 + 2 * TIME - 0.5 * TIME**2, 2 - TIME, np.full(60, -1.0))[derivative]
    assert savgol(3 + 2 * TIME - 0.5 * TIME**2, derivative) == pytest.approx(want)


def test_the_filter_has_the_published_weights() -> None:
    """Savitzky and Golay (1964): (-2, 3, 6, 7, 6, 3, -2) / 21 for 7 samples and degree 2."""
    impulse = np.zeros(13)
    impulse[6] = 1
    assert savgol(impulse)[3:10] * 21 == pytest.approx([-2, 3, 6, 7, 6, 3, -2])


def test_smooth_driving_is_comfortable() -> None:
    speed = 5 + 1.0 * TIME
    assert comfort(np.stack([speed, 0 * speed], -1), 0.05 * TIME) == 1


@pytest.mark.parametrize(
    ("accel", "yaw_rate", "good"),
    [(2.3, 0.0, True), (2.5, 0.0, False), (-4.0, 0.0, True), (-4.1, 0.0, False)],
)
def test_limits_of_the_longitudinal_acceleration(accel: float, yaw_rate: float, good: bool) -> None:
    speed = 30 + accel * TIME
    assert comfort(np.stack([speed, 0 * speed], -1), yaw_rate * TIME) == good


def test_limits_across() -> None:
    """In a circle the lateral acceleration is speed times yaw rate."""

    def circle(speed: float, yaw_rate: float) -> float:
        return comfort(np.stack([np.full(60, speed), np.zeros(60)], -1), yaw_rate * TIME)

    assert circle(9.7, 0.5) == 1
    assert circle(9.9, 0.5) == 0
    assert circle(3.0, 0.94) == 1
    assert circle(3.0, 0.96) == 0


def eased(slope: float, half: float, first: float = 0.0) -> np.ndarray:
    """Integral over one window of a rate that is `first` in its middle, rises there with `slope` for `half` [s] before
    and after, and is constant otherwise: what a filter of degree 2 differentiates exactly in the middle."""
    t = (np.arange(20) - 10) * 0.1
    inner = np.minimum(np.abs(t), half)
    return first * t + 0.5 * slope * inner**2 + slope * half * (np.abs(t) - inner)


@pytest.mark.parametrize(("jerk", "good"), [(4.1, True), (4.2, False), (-4.1, True), (-4.2, False)])
def test_limits_of_the_longitudinal_jerk(jerk: float, good: bool) -> None:
    """The acceleration goes from -0.8 - 0.6 jerk to -0.8 + 0.6 jerk, within its own limits."""
    speed = 20 + eased(jerk, 0.6, -0.8)
    assert comfort(np.stack([speed, 0 * speed], -1), np.zeros(20)) == good


@pytest.mark.parametrize(("across", "good"), [(7.3, True), (7.5, False)])
def test_limits_of_the_jerk_in_all(across: float, good: bool) -> None:
    """4 m/s^3 along, within its limit, and 7.3 or 7.5 across: 8.32 and 8.5 in all, around 8.37."""
    velocity = np.stack([20 + eased(4.0, 0.6, -0.8), eased(across, 0.55)], -1)
    assert comfort(velocity, np.zeros(20)) == good


@pytest.mark.parametrize(("yaw_accel", "good"), [(1.92, True), (1.94, False), (-1.94, False)])
def test_limits_of_the_yaw_acceleration(yaw_accel: float, good: bool) -> None:
    """A turn on the spot, whose rate stays below its limit."""
    assert comfort(np.zeros((20, 2)), eased(yaw_accel, 0.45)) == good


def test_one_bad_window_of_three() -> None:
    speed = np.full(60, 10.0)
    speed[:20] = 10 + 3 * TIME[:20]
    speed[20:] = speed[19]
    assert comfort(np.stack([speed, 0 * speed], -1), 0 * TIME) in (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_too_short_a_drive_has_no_comfort() -> None:
    assert np.isnan(comfort(np.zeros((19, 2)), np.zeros(19)))
