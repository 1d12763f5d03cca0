"""Is what the camera shows what the car just did? Dark, frozen and implausible pictures, told from picture and wheels.

A picture must show something; it must change while the car rolls; and it must move as the car does, see `selfmotion`.
A camera that failed a few times in one drive is not believed again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roadcraft.control.selfmotion import MotionLimits, SelfMotion
from roadcraft.perception.percept import Percept
from roadcraft.sim.messages import DT, Observation

STEP = 8  # pixels between those that are looked at


@dataclass(frozen=True)
class EyeLimits(MotionLimits):
    """When a picture is not believed."""

    contrast: float = 3.0  # grey levels (of 255), least standard deviation of a picture that shows anything
    frozen: int = 5  # ticks with the very same picture or percept while moving
    moving: float = 0.5  # m/s above which pictures must change
    doubt: float = 3.0  # s for which an implausible picture is remembered
    failures: int = 3  # in one drive, after which the camera is not believed again


class Eyes:
    """Call it once a tick; then `reason` says why the picture is not believed, "" when it is."""

    def __init__(self, limits: EyeLimits) -> None:
        self.limits = limits
        self._motion = SelfMotion(limits)
        self.reset()

    def reset(self) -> None:
        """A new episode."""
        self.reason = ""
        self.failures = 0
        self._motion.reset()
        self._print = 0
        self._repeats = 0
        self._doubt = 0.0  # s left

    def __call__(self, observation: Observation, percept: Percept | None) -> None:
        """Looks at one tick."""
        before = self.reason
        self.reason = self._look(observation, percept)
        self.failures += self.reason in ("frozen_image", "implausible_image") and not before
        if self.failures >= self.limits.failures:
            self.reason = self.reason or "failed_camera"

    def _look(self, observation: Observation, percept: Percept | None) -> str:
        speed, limits = observation.ego.speed, self.limits
        self._doubt = max(0.0, self._doubt - DT)
        if observation.rgb is None:
            self._motion.lose()
            return self._repeated(fingerprint(percept), speed)
        picture = observation.rgb[::STEP, ::STEP].astype(np.int16)
        if float(picture.std()) < limits.contrast:
            self._motion.lose()
            return "dark_image"
        if self._motion(observation):
            self._doubt = limits.doubt
        frozen = self._repeated(hash(picture.tobytes()), speed)
        return frozen or ("implausible_image" if self._doubt > 0.0 else "")

    def _repeated(self, mark: int, speed: float) -> str:
        """Counts how often the same picture came while the car moved; a frozen one stays so until it changes."""
        if mark != self._print:
            self._print, self._repeats = mark, 0
        elif mark and speed > self.limits.moving:
            self._repeats += 1
        return "frozen_image" if self._repeats >= self.limits.frozen else ""


def fingerprint(percept: Percept | None) -> int:
    """A number for what a percept says where there is no picture; 0 when it says too little to tell."""
    if percept is None or not (len(percept.objects) or np.isfinite(percept.lanes_ego).any()):
        return 0
    return hash((percept.lanes_ego.tobytes(), percept.objects.tobytes(), percept.light_distance))
