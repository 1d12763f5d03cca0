"""What stands beside the roads: buildings, trees, poles, parked cars, read from a map's OpenDRIVE objects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.roads import RoadNetwork


class Shape(IntEnum):
    """How a thing is drawn and collided with; `extent` are the half sizes of its bounding box in any case."""

    BOX = 0  # walls, benches, boxes
    CYLINDER = 1  # posts
    TREE = 2  # trunk and crown; only the trunk (TRUNK_RADIUS) is solid
    BUILDING = 3  # box with windows; `style` chooses facade and roof
    CAR = 4  # parked car; `style` chooses the model
    LAMP = 5  # street lamp: post with an arm along its yaw
    SIGNAL = 6  # traffic light: post, and an arm along its yaw to the head; see `signal`
    SIGN = 7  # traffic sign on a post, plate facing back against its yaw; see `signal`
    BUSH = 8  # hedge or bush


TRUNK_RADIUS = 0.25  # [m]

STATIC = np.dtype(
    [
        ("id", np.uint32),  # OpenDRIVE object id
        ("shape", np.uint8),  # Shape
        ("tag", np.uint8),  # CARLA's semantic tag
        ("xyz", np.float64, 3),  # [m] foot: on the ground, below its middle (posts: below the post)
        ("yaw", np.float64),  # [rad]
        ("extent", np.float64, 3),  # [m] half sizes: along yaw, across, up
        ("color", np.uint8, 3),  # RGB
        ("style", np.uint8),
        ("solid", np.bool_),  # stops a car
        ("signal", np.int32),  # row in the network's `signals` that hangs on it, -1
    ]
)


@dataclass(frozen=True, slots=True)
class Scenery:
    """All standing things of a town."""

    static: NDArray[np.void]  # (K,) STATIC

    @property
    def solids(self) -> NDArray[np.void]:
        """The rows that stop a car."""
        return self.static[self.static["solid"]]


def read_scenery(text: str, network: RoadNetwork) -> Scenery:
    """The standing things of an OpenDRIVE text."""
    return Scenery(np.zeros(0, STATIC))
