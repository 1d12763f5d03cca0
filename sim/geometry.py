"""Angles, frames and polylines. World: OpenDRIVE's right hand; CARLA's left hand has y and yaw negated."""

from __future__ import annotations

from math import degrees, pi

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadcraft.sim.kernels import kernel


@kernel
def wrap(angle: float) -> float:
    """The same angle in (-pi, pi] [rad]."""
    return -((-angle + np.pi) % (2 * np.pi) - np.pi)


def to_carla_yaw(yaw: float) -> float:
    """Yaw [rad], counter-clockwise, to CARLA's [degrees], clockwise, in (-180, 180]."""
    angle = degrees((pi - float(yaw)) % (2 * pi) - pi)  # `wrap`, whose call would take longer than its work
    return 180.0 if angle <= -180.0 else float(angle)


def from_carla_yaw(degrees: float) -> float:
    """CARLA's yaw [degrees], clockwise, to [rad], counter-clockwise, in (-pi, pi]."""
    return wrap(-float(np.radians(degrees)))


def world_to_ego(xy_world: ArrayLike, pose: ArrayLike) -> NDArray[np.float64]:
    """Points (..., 2) [m] seen from `pose` (x, y, yaw)."""
    x, y, yaw = np.asarray(pose, float)
    delta = np.asarray(xy_world, float) - (x, y)
    c, s = np.cos(yaw), np.sin(yaw)
    return np.stack([delta[..., 0] * c + delta[..., 1] * s, delta[..., 1] * c - delta[..., 0] * s], -1)


def world_to_tilted(xyz_world: ArrayLike, pose: ArrayLike, tilt: tuple[float, float, float]) -> NDArray[np.float64]:
    """The same for places (..., 3) [m] and an ego that is at `tilt` (z [m], pitch, roll [rad]) besides: it stands on a
    slope, and what is level to it is not to the world."""
    xyz, (z, pitch, roll) = np.asarray(xyz_world, float), tilt
    x, y = np.moveaxis(world_to_ego(xyz[..., :2], pose), -1, 0)
    c, s = np.cos(pitch), np.sin(pitch)
    x, up = c * x - s * (xyz[..., 2] - z), s * x + c * (xyz[..., 2] - z)
    c, s = np.cos(roll), np.sin(roll)
    return np.stack([x, c * y + s * up, c * up - s * y], -1)


def ego_to_world(xy_ego: ArrayLike, pose: ArrayLike) -> NDArray[np.float64]:
    """The inverse of `world_to_ego`."""
    x, y, yaw = np.asarray(pose, float)
    p = np.asarray(xy_ego, float)
    c, s = np.cos(yaw), np.sin(yaw)
    return np.stack([x + p[..., 0] * c - p[..., 1] * s, y + p[..., 0] * s + p[..., 1] * c], -1)


def arc_length(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cumulative length (N,) [m] along a polyline (N, 2)."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])


def resample(xy: NDArray[np.float64], at: ArrayLike) -> NDArray[np.float64]:
    """Points (len(at), 2) of a polyline (N, 2) at the arc lengths `at` [m]; beyond the ends the end repeats."""
    s = arc_length(xy)
    where = np.asarray(at, float)
    return np.stack([np.interp(where, s, xy[:, 0]), np.interp(where, s, xy[:, 1])], -1)
