"""Who of the built-in drivers is found to have been standing for too long."""

from __future__ import annotations

import numpy as np

from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.driver import DRIVER
from roadcraft.sim.embedded.stuck import STUCK, stuck


def test_only_built_in_drivers_that_stood_too_long_are_stuck() -> None:
    bodies, drivers = np.zeros(5, BODY), np.zeros(8, DRIVER)  # drivers have room for more
    bodies["id"], bodies["autopilot"] = [1, 2, 0, 4, 5], [1, 1, 1, 0, 1]
    drivers["standing"] = [STUCK - 1, STUCK, 3 * STUCK, 3 * STUCK, 0.0, 9 * STUCK, 0.0, 0.0]
    assert stuck(bodies, drivers).tolist() == []
    drivers["standing"][4] = STUCK + 0.05
    assert stuck(bodies, drivers).tolist() == [4]
    drivers["standing"][[2, 3, 5]] = 0.0
    assert stuck(bodies, drivers).tolist() == [4]
    drivers["standing"][4] = 0.0
    assert stuck(bodies, drivers).tolist() == []
    assert stuck(bodies[:0], drivers).tolist() == []
