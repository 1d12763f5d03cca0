"""The camera's geometry: what of the ego frame falls where in the image, and back."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.messages import LANE_X, Camera

NEAR = 0.3  # [m] things nearer to the image plane than this have no pixel


def camera_frame(camera: Camera, xyz_ego: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (..., 3) [m] of the ego frame as (..., 3) depth along the optical axis, left, up [m] of the camera."""
    p = np.asarray(xyz_ego, float) - camera.xyz_ego
    c, s = np.cos(camera.pitch), np.sin(camera.pitch)
    return np.stack([c * p[..., 0] - s * p[..., 2], p[..., 1], s * p[..., 0] + c * p[..., 2]], -1)


def project(camera: Camera, xyz_ego: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (..., 3) [m] of the ego frame as (..., 3): column, row [pixels] and depth [m]; NaN pixels behind."""
    p = camera_frame(camera, xyz_ego)
    depth = p[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(depth > NEAR, camera.focal / depth, np.nan)
    return np.stack([camera.width / 2 - p[..., 1] * scale, camera.height / 2 - p[..., 2] * scale, depth], -1)


def ground_from_column(camera: Camera, column: NDArray[np.float64], depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """The point (..., 2) [m] of the ego's ground plane that is seen in `column` [pixels] at `depth` [m]."""
    c, s = np.cos(camera.pitch), np.sin(camera.pitch)
    x = (depth - s * camera.xyz_ego[2]) / c + camera.xyz_ego[0]
    y = (camera.width / 2 - column) * depth / camera.focal + camera.xyz_ego[1]
    return np.stack([x, y], -1)


@lru_cache(maxsize=64)
def lane_depth(camera: Camera) -> NDArray[np.float64]:
    """Depth (10,) [m] of the ground at LANE_X."""
    points = np.stack([LANE_X, np.zeros_like(LANE_X), np.zeros_like(LANE_X)], -1)
    return camera_frame(camera, points)[:, 0]


def lane_columns(camera: Camera, lanes_ego: NDArray[np.float64]) -> NDArray[np.float64]:
    """Image columns (..., 10) [pixels] of lane offsets (..., 10) [m] at LANE_X; NaN where there is none."""
    return camera.width / 2 - (lanes_ego - camera.xyz_ego[1]) * camera.focal / lane_depth(camera)


def lanes_in_view(camera: Camera, lanes_ego: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same offsets with NaN at every point that lies to the left or right of the image."""
    column = lane_columns(camera, lanes_ego)
    with np.errstate(invalid="ignore"):
        inside = (column >= 0) & (column <= camera.width)
    return np.where(inside, lanes_ego, np.nan)


def corners(xyz: NDArray[np.float64], yaw: NDArray[np.float64], extent: NDArray[np.float64]) -> NDArray[np.float64]:
    """The eight corners (N, 8, 3) of upright boxes that stand on `xyz` (N, 3) with half sizes `extent` (N, 3) [m]."""
    sign = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (0, 2)], float)
    local = sign[None] * extent[:, None]
    c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    x = c * local[..., 0] - s * local[..., 1]
    y = s * local[..., 0] + c * local[..., 1]
    return np.stack([x, y, local[..., 2]], -1) + xyz[:, None]


def projected_boxes(camera: Camera, corners_ego: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes (N, 4) left, top, right, bottom [pixels] around corners (N, 8, 3), clipped; NaN where out of view."""
    p = camera_frame(camera, corners_ego)
    depth = p[..., 0]
    scale = camera.focal / np.maximum(depth, NEAR)
    u = camera.width / 2 - p[..., 1] * scale
    v = camera.height / 2 - p[..., 2] * scale
    box = np.stack([u.min(1), v.min(1), u.max(1), v.max(1)], -1)
    clipped = np.clip(box, 0, [camera.width, camera.height, camera.width, camera.height])
    seen = (depth.max(1) > NEAR) & (clipped[:, 2] - clipped[:, 0] > 0.5) & (clipped[:, 3] - clipped[:, 1] > 0.5)
    return np.where(seen[:, None], clipped, np.nan)
