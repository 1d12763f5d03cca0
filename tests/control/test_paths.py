"""Speeds that a path's curves allow."""

from __future__ import annotations

import numpy as np
import pytest

from roadcraft.control.paths import COMFORT_BRAKE, LATERAL_ACCEL, curve_speed_on


@pytest.mark.parametrize("seed", range(20))
def test_no_curve_is_passed_over_that_asks_for_less_speed(seed: int) -> None:
    """The least over all points of the speed from which one can slow down to what the curve there takes."""
    rng = np.random.default_rng(seed)
    s = np.arange(0.0, 60.0)
    k = rng.normal(0.0, 0.1, len(s)) * (rng.random(len(s)) < 0.2)
    in_curves = np.sqrt(LATERAL_ACCEL / np.maximum(np.abs(k), 1e-4))
    allowed = np.sqrt(in_curves**2 + 2.0 * COMFORT_BRAKE * np.maximum(0.0, s - 1.0))
    for limit in (3.0, 10.0, 28.0):
        assert curve_speed_on(s, k, limit) == pytest.approx(min(limit, allowed.min()), rel=1e-12)
