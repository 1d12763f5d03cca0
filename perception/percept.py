"""What perception publishes, and what every engine looks like from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.messages import Observation

PATH_TIMES = np.array([0.5, 1.0, 1.5, 2.0])  # [s] ahead at which an object's path is predicted
EVENTS = ("lead_braking", "cut_in", "pedestrian_crossing", "light_changed", "road_blocked")

# One row an object. `box` is in pixels of the camera's image: left, top, right, bottom.
OBJECT = np.dtype(
    [
        ("kind", np.uint8),  # sim.messages.Kind, CAR to PEDESTRIAN
        ("box", np.float32, 4),  # [pixels]; zeros for an object that is remembered but hidden
        ("xy_ego", np.float32, 2),  # [m] the centre of the object's footprint
        ("yaw_ego", np.float32),  # [rad] the object's heading
        ("size", np.float32, 2),  # [m] length, width
        ("velocity_ego", np.float32, 2),  # [m/s] over ground, along the ego's axes
        ("score", np.float32),  # [0, 1]
        ("track", np.int32),  # the same number for the same object over time
        ("path_ego", np.float32, (len(PATH_TIMES), 2)),  # [m] predicted centres, in the present ego frame
        ("path_sigma", np.float32, len(PATH_TIMES)),  # [m] standard deviation of each
    ]
)


@dataclass(frozen=True, slots=True)
class Percept:
    """One frame as perception understands it. Frame and units: ego, SI."""

    frame: int
    time: float  # [s] of the image it was made from
    drivable: NDArray[np.float32]  # (h, w) probability, at the network's output size; (0, 0) where not computed
    lane_mask: NDArray[np.float32]  # (h, w) probability of a lane line; likewise
    lanes_ego: NDArray[np.float64]  # (4, 10) [m] lateral offset at sim.messages.LANE_X; NaN where not seen
    lane_prob: NDArray[np.float64]  # (4,) that the line exists: next left, left, right, next right
    lane_marks: NDArray[np.uint8]  # (4,) sim.messages.Mark, the likeliest
    objects: NDArray[np.void]  # (N,) OBJECT
    light: NDArray[np.float64]  # (4,) probabilities: red, yellow, green, none governs us
    light_distance: float  # [m] from the front bumper to its stop line; inf when none
    stop_prob: float  # that a stop sign governs us
    stop_distance: float  # [m] from the front bumper to its line; inf when none
    events: NDArray[np.float64]  # (5,) probabilities, in the order of EVENTS
    confidence: float  # [0, 1] in the whole
    latency: float  # [s] from image to percept, as measured; nothing is decided by it

    def age(self, now: float) -> float:
        """How old its image is at `now` [s]: by the world's clock alone, so that a busy machine drives no other way."""
        return now - self.time


class Engine(Protocol):
    """Turns observations into percepts; keeps the recurrent state between calls."""

    name: str  # "torch", "openvino", ...
    precision: str  # "f32", "bf16", "int8", ...

    def reset(self) -> None:
        """Forgets everything seen so far."""

    def __call__(self, observation: Observation) -> Percept:
        """Perceives one frame. Raises ValueError for a missing image, a wrong size or a number that is not finite."""
