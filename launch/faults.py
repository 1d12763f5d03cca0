"""Cameras that fail, for showing that the camera drives the car: black, frozen, late, or in another town."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.decision import Decision
from roadcraft.launch.loop import decided, reset_driver
from roadcraft.sim.messages import DT, Driver, Tick

LATE = 3.0  # s
Image = NDArray[np.uint8]


class FaultyCamera:
    """A driver whose camera fails as `fault` says. `elsewhere` gives another town's frames, for other_town."""

    def __init__(self, driver: Driver, fault: str, elsewhere: Iterator[Image] | None = None) -> None:
        self.driver, self.fault, self.elsewhere = driver, fault, elsewhere
        self._past: deque[Image] = deque(maxlen=1 + round(LATE / DT))

    def reset(self) -> None:
        """A new episode begins."""
        self._past.clear()
        reset_driver(self.driver)

    def __call__(self, tick: Tick) -> Decision:
        rgb = tick.observation.rgb
        if rgb is None:
            return decided(self.driver, tick)
        if self.fault != "frozen" or not self._past:
            self._past.append(rgb.copy())
        seen = replace(tick.observation, rgb=self.spoilt(rgb))
        return decided(self.driver, replace(tick, observation=seen))

    def spoilt(self, rgb: Image) -> Image:
        """What the failing camera shows instead of `rgb`."""
        if self.fault == "black":
            return np.zeros_like(rgb)
        if self.fault == "other_town":
            assert self.elsewhere is not None
            return next(self.elsewhere)
        return self._past[0]  # frozen: the first ever; late: the oldest of the last three seconds
