"""From an observation to what the network is fed: the frame at its input size and the vector of motion and camera.

The network knows one lens: depths are given as if seen through REFERENCE_FOCAL, so that a camera with another field of
view works too. A picture of another shape is scaled to the network's width and cut or padded at the top.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.messages import Camera

REFERENCE_FOCAL = 320.0 / np.tan(np.radians(35.0))  # [pixels] of the default camera
STRIDE = 8  # input pixels in a cell of the heatmaps
REFERENCE_HEIGHT = 1.5  # [m]
MOST_CUT = 8  # times the network's height that a picture scaled to its width may be high
LONGEST_GAP = 0.5  # [s] between frames; after a longer one the memory means nothing


def input_camera(camera: Camera, width: int, height: int) -> Camera:
    """The camera that would have taken the network's input: same lens, other size."""
    return Camera(width, height, camera.fov, camera.xyz_ego, camera.pitch, camera.labels)


def motion_vector(camera: Camera, speed: float, yaw_rate: float, dt: float) -> NDArray[np.float32]:
    """(7,) what the memory is told beside the frame: speed [m/s], yaw rate [rad/s], time since the last frame [s]
    (0 for the first), the camera's height [m], pitch [rad] and field of view [rad]."""
    focal = 1.0 / np.tan(camera.fov / 2)
    return np.array(
        [
            speed / 10.0,
            yaw_rate * 2.0,
            dt * 10.0,
            float(dt == 0.0),
            (camera.xyz_ego[2] - REFERENCE_HEIGHT) * 2.0,
            camera.pitch * 10.0,
            np.log(focal * np.tan(np.radians(35.0))) * 2.0,
        ],
        np.float32,
    )


class Fitter:
    """Fits frames to the network's input size; keeps its buffer, so that a frame of the right size costs no copy."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._room = np.zeros((1, height, width, 3), np.uint8)

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) to (1, height, width, 3); the answer is reused by the next call. ValueError for no picture,
        and for one so wide or high that fitting it makes no sense."""
        if rgb.ndim != 3 or rgb.shape[2] != 3 or min(rgb.shape) < 1:
            raise ValueError(f"a frame must have shape (H, W, 3), this one has {rgb.shape}")
        if rgb.dtype != np.uint8:
            raise ValueError(f"a frame must be uint8, this one is {rgb.dtype}")
        if rgb.shape == (self.height, self.width, 3):
            return np.ascontiguousarray(rgb)[None]
        import cv2  # not in the slim installation, whose kernels are compiled by a frame of the right size

        scaled_height = round(rgb.shape[0] * self.width / rgb.shape[1])
        if not 1 <= scaled_height <= MOST_CUT * self.height:
            raise ValueError(f"a frame of shape {rgb.shape} does not fit into {self.width}x{self.height}")
        shrinks = self.width < rgb.shape[1]
        scaled = cv2.resize(
            rgb, (self.width, scaled_height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        # The optical axis stays in the middle row.
        off = (self.height - scaled_height) // 2
        self._room[:] = 0
        self._room[0, max(off, 0) : max(off, 0) + scaled_height] = scaled[max(-off, 0) : max(-off, 0) + self.height]
        return self._room

    def to_camera(self, camera: Camera) -> tuple[float, float]:
        """(scale, shift) that bring input pixels back to the camera's: u * scale, (v - shift) * scale."""
        scale = camera.width / self.width
        return scale, (self.height - round(camera.height / scale)) // 2
