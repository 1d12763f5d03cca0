"""What the renderer is asked for and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, radians, sin, tan

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.messages import Weather


@dataclass(frozen=True, slots=True)
class View:
    """A pinhole camera in the world. Rotations are applied as yaw, then pitch, then roll (ISO 8855)."""

    xyz: tuple[float, float, float]  # [m] world
    yaw: float = 0.0  # [rad]
    pitch: float = 0.0  # [rad] positive looks down
    roll: float = 0.0  # [rad] positive leans to the right
    width: int = 640  # pixels
    height: int = 360  # pixels
    fov: float = radians(70.0)  # [rad] horizontal

    @property
    def focal(self) -> float:
        """Focal length [pixels], the same for both axes."""
        return self.width / 2 / tan(self.fov / 2)

    @property
    def axes(self) -> NDArray[np.float64]:
        """(3, 3) rows: right, down and forward of the image as unit vectors of the world."""
        return camera_axes(self.yaw, self.pitch, self.roll)


def camera_axes(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Rows right, down, forward [unit vectors, world] of a camera turned by Rz(yaw) Ry(pitch) Rx(roll)."""
    cy, sy, cp, sp, cr, sr = (
        cos(yaw),
        sin(yaw),
        cos(pitch),
        sin(pitch),
        cos(roll),
        sin(roll),
    )
    forward = (cy * cp, sy * cp, -sp)
    left = (cy * sp * sr - sy * cr, sy * sp * sr + cy * cr, cp * sr)
    up = (cy * sp * cr + sy * sr, sy * sp * cr - cy * sr, cp * cr)
    return np.array([[-v for v in left], [-v for v in up], forward])


@dataclass(frozen=True, slots=True)
class Scene:
    """What changes from frame to frame in a town."""

    bodies: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, BODY))  # (B,) BODY, rows with id 0 are free
    light_states: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))  # (S,) LightState per signal
    weather: Weather = field(default_factory=Weather)
    time: float = 0.0  # [s] moves rain and clouds and blinks indicators


@dataclass(frozen=True, slots=True)
class Images:
    """What a camera sees. The arrays belong to the renderer and change with its next call. None where not asked for."""

    rgb: NDArray[np.uint8] | None = None  # (H, W, 3)
    semantic: NDArray[np.uint8] | None = None  # (H, W) CARLA's semantic tags
    instance: NDArray[np.uint32] | None = None  # (H, W) id of the body, 0 where there is none
    depth: NDArray[np.float32] | None = None  # (H, W) [m] along the optical axis, 1000 for the sky
    bgra: NDArray[np.uint32] | None = None  # (H, W) the bytes B, G, R and 255 of each pixel as one word
