"""How far the near face of somebody before us can be at most, by the lower edge of his box.

Close before the car a network tells the distance of what fills the picture up to some metres wrong. But what stands on
the road hides it from the lower edge of its box on, and below the picture the odometer knows better.
"""

from __future__ import annotations

from math import atan2, inf, tan

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import Camera

BESIDE = 1.5  # m from the car's axis: who is farther is not before us
LEAST = 0.2  # score of whom is looked at
NEAR = 16.0  # m from the camera within which the lower edge tells
LIFTED = 0.8  # true by apparent distance of a bumper that hangs 0.3 m over the road, seen from 1.5 m
STANDING_SEEN = 0.8  # m/s: a vehicle that is seen to move more slowly stands; so large is a velocity's error
SAME = 4.0  # m beyond the remembered face within which whoever stands is who was there
FORGOTTEN = 1.0  # s without anybody after which nobody is remembered


@kernel
def hold_back(objects: NDArray[np.void], lens: tuple[float, float, float, float, float], before: float) -> float:
    """Draws those of `objects` (N,) OBJECT that are before us to where they can be at most, in place, and returns where
    the nearest face is [m] ahead of the ego's origin, inf where there is none. `before`: where it was, moved on."""
    nearest = inf
    for i in range(len(objects)):
        o = objects[i]
        x, half = float(o.xy_ego[0]), 0.5 * float(o.size[0])
        boxed = o.box[0] != 0.0 or o.box[1] != 0.0 or o.box[2] != 0.0 or o.box[3] != 0.0
        if o.score < LEAST or x < 0.0 or abs(o.xy_ego[1]) > BESIDE or not boxed:
            continue
        face = min(face_at(float(o.box[3]), lens), x - half)
        if o.velocity_ego[0] < STANDING_SEEN and face < before + SAME:
            face = min(face, before)
        nearest = min(nearest, face)
        o.xy_ego[0] = min(x, face + half)
    return nearest


@kernel
def face_at(bottom: float, lens: tuple[float, float, float, float, float]) -> float:
    """Distance [m] from the ego's origin to what stands on the road at image row `bottom`; inf beyond NEAR."""
    x, z, pitch, middle, focal = lens
    down = atan2(bottom - middle, focal) + pitch
    away = z / tan(down) if down > 0.02 else inf
    return x + LIFTED * away if away < NEAR else inf


def lens_of(camera: Camera) -> tuple[float, float, float, float, float]:
    """x and z [m] of a camera, its pitch [rad], the row of its optical axis and its focal length [pixels]."""
    x, _, z = camera.xyz_ego
    return float(x), float(z), float(camera.pitch), 0.5 * camera.height, camera.focal


class Faces:
    """Call it once a percept; it remembers the nearest face before the car."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """A new episode."""
        self._face = inf  # [m] ahead of the ego's origin
        self._missed = 0.0  # s

    def __call__(self, objects: NDArray[np.void], camera: Camera | None, moved: float, dt: float) -> NDArray[np.void]:
        """`objects` (N,) OBJECT with those before us no farther than they can be. `moved` [m] and `dt` [s] since the
        last percept."""
        if camera is None:
            return objects
        out, before = objects.copy(), self._face - moved
        nearest = hold_back(out, lens_of(camera), before)
        self._missed = 0.0 if nearest < inf else self._missed + dt
        self._face = nearest if nearest < inf else before if self._missed < FORGOTTEN else inf
        return out
