"""Does the picture move as the car does? What wheels and gyro say beside what the camera shows.

Two measurements in each picture: by how much what is far away shifts sideways (the car turns), by phase correlation
(Kuglin and Hines 1975) of a band above the horizon; and by how much the road right before the car changes (it rolls or
it stands). Pictures of another time or place seldom agree with the car for long.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.messages import DT, Observation

BAND = 0.22, 0.50  # of the height: what is far, above the horizon
ROAD = 0.845, 0.2, 0.8  # of height and width: the road before the bumper, below the first and between the others
EVERY = 2  # pixels: each so many is looked at
STANDS = 0.05  # m/s below which the car stands
LEVEL = 0.1  # rad of the camera's pitch beyond which that band is no longer above the horizon
MEMORY = 5  # ticks whose strongest change counts: a camera may give some pictures twice


@dataclass(frozen=True)
class MotionLimits:
    """When picture and car are at odds. Measured on 20 drives of the expert in all weathers, seeds 1000-1019."""

    span: float = 1.0  # s over which turns are compared
    turned: float = 0.35  # rad in it by the gyro, from which the picture must have turned too ...
    share: float = 0.5  # ... by this share, at least
    peak: float = 0.2  # of the phase correlation, below which a picture tells nothing of turning
    stirs: float = 1.0  # grey levels, median, by which the road changes if it moves at all; 1.9 and more above 2 m/s
    settle: float = 0.5  # s of standing before that counts: the body pitches when it stops
    restless: float = 0.7  # s for which the road moves though the car stands
    rolling: float = 2.0  # m/s above which the road must move ...
    calm: float = 0.5  # ... and s for which it does not
    texture: float = 1.0  # grey levels, median, from pixel to pixel, from which a road can be seen moving


class SelfMotion:
    """Call it with each tick; true when the picture cannot be what this car sees now."""

    def __init__(self, limits: MotionLimits) -> None:
        self.limits = limits
        self.reset()

    def reset(self) -> None:
        """A new episode."""
        ticks = round(self.limits.span / DT)
        self._turns: deque[tuple[float, float]] = deque(maxlen=ticks)  # rad by gyro, by picture
        self._changes: deque[float] = deque(maxlen=MEMORY)
        self._profile: NDArray[np.float64] | None = None
        self._road: NDArray[np.int16] | None = None
        self._floor = np.inf  # the road's least change so far: the camera's own noise, once the road has been still
        self._unseen, self._same = 0.0, 0  # rad by the gyro, and pictures, since the last new one
        self._picture = 0  # a number for the last one
        self._stood = self._restless = self._calm = 0.0  # s

    def lose(self) -> None:
        """No picture, or one that shows nothing: the next one is not compared with those before."""
        self._profile, self._road, self._unseen, self._same = None, None, 0.0, 0
        self._turns.clear()
        self._changes.clear()
        self._restless = self._calm = 0.0

    def __call__(self, observation: Observation) -> bool:
        """Looks at one tick's picture."""
        assert observation.rgb is not None
        turns = self._turns_otherwise(observation)
        moves = self._moves_otherwise(observation.rgb, observation.ego.speed)
        return turns or moves

    def _turns_otherwise(self, observation: Observation) -> bool:
        """Whether the car has turned and the picture has not."""
        rgb, camera, limits = observation.rgb, observation.camera, self.limits
        if rgb is None or camera is None:
            return False
        height, width = rgb.shape[:2]
        top, bottom = (round(share * height) for share in BAND)
        if bottom - top < 2 or abs(camera.pitch) > LEVEL:
            return False
        last, self._profile = self._profile, rgb[top:bottom, ::EVERY, 1].mean(0)
        gyro = self._unseen + observation.ego.yaw_rate * DT
        if self._same < MEMORY and last is not None and self._again(rgb):  # a slower camera
            self._unseen, self._same = gyro, self._same + 1
            return False
        self._unseen, self._same = 0.0, 0
        shift, peak = (0.0, 0.0) if last is None or last.shape != self._profile.shape else shifted(last, self._profile)
        seen = np.arctan(shift * EVERY / (camera.focal * width / camera.width))
        self._turns.append((gyro, float(seen) if peak > limits.peak else gyro))
        turns, saw = np.transpose(self._turns)
        turned, typical = float(turns.sum()), float(np.median(saw)) * len(saw)  # lamps at night look alike
        return abs(turned) > limits.turned and typical * np.sign(turned) < limits.share * abs(turned)

    def _again(self, rgb: NDArray[np.uint8]) -> bool:
        """Whether this is the picture before once more."""
        before, self._picture = self._picture, hash(rgb[:: 4 * EVERY, :: 4 * EVERY].tobytes())
        return before == self._picture

    def _moves_otherwise(self, rgb: NDArray[np.uint8], speed: float) -> bool:
        """Whether the road moves though the car stands, or stands though the car rolls."""
        height, width = rgb.shape[:2]
        top, left, right = round(ROAD[0] * height), round(ROAD[1] * width), round(ROAD[2] * width)
        limits, last = self.limits, self._road
        self._road = road = rgb[top::EVERY, left:right:EVERY, 1].astype(np.int16)
        self._stood = self._stood + DT if abs(speed) < STANDS else 0.0
        if last is None or last.shape != road.shape or len(road) < 2 or not road.size:
            return False
        self._changes.append(float(np.median(np.abs(road - last))))
        change = max(self._changes)
        if len(self._changes) == MEMORY:
            self._floor = min(self._floor, change)
        stirred = change > limits.stirs + 2.0 * self._floor
        textured = float(np.median(np.abs(np.diff(road, axis=0)))) >= limits.texture
        self._restless = self._restless + DT if stirred and self._stood > limits.settle else 0.0
        still = change < 0.5 * limits.stirs and textured and speed > limits.rolling
        self._calm = self._calm + DT if still else 0.0
        return self._restless > limits.restless or self._calm > limits.calm


def shifted(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float]:
    """By how many samples `after` (N,) lies right of `before`, and the peak [0, 1] of their phase correlation."""
    window = np.hanning(len(before))
    a, b = (np.fft.rfft((profile - profile.mean()) * window) for profile in (before, after))
    cross = np.conj(a) * b
    strength = np.abs(cross)
    if not strength.max() > 0.0:
        return 0.0, 0.0
    peaks = np.fft.irfft(cross / (strength + 1e-3 * strength.max()), len(before))
    k = int(peaks.argmax())
    left, peak, right = peaks[k - 1], peaks[k], peaks[(k + 1) % len(peaks)]
    bend = left - 2.0 * peak + right
    at = k + (0.5 * (left - right) / bend if bend < 0.0 else 0.0)
    return float(at - len(before) if at > len(before) / 2 else at), float(peak)
