"""Doors that stand open: which, and what cameras and rays see of them.

An open door is a leaf of the vehicle's colour, tag and id, turned out about its hinge. Nothing collides with it.
"""

from __future__ import annotations

from math import cos, pi, radians, sin
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.catalogue import INDEX, find
from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.wire import Pose, compose
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

ALL = 6  # carla.VehicleDoor.All
THICKNESS = 0.03  # [m] half of it
PANEL = INDEX["static.prop.box01"]  # whose mesh is a plain box


class Leaf(NamedTuple):
    """An open door. Places are shares of half the vehicle's length and width, and of its height."""

    hinge: tuple[float, float, float]
    yaw: float  # [rad] where it points from its hinge
    pitch: float  # [rad] positive downwards
    length: float  # share of half the vehicle's length
    width: float  # share of the vehicle's width, of lids that lie; 0 for doors
    height: float  # share of the vehicle's height, of doors that stand


def _side(forward: float, left: float) -> Leaf:
    """A door that is hinged at its front edge and stands open by 65 degrees."""
    return Leaf((forward, left, 0.17), left * (pi - radians(65.0)), 0.0, 0.42, 0.0, 0.48)


LEAVES = (  # in the order of carla.VehicleDoor
    _side(0.34, 1.0), _side(0.34, -1.0), _side(-0.1, 1.0), _side(-0.1, -1.0),
    Leaf((0.4, 0.0, 0.6), 0.0, -radians(50.0), 0.55, 0.85, 0.0),
    Leaf((-0.6, 0.0, 0.95), pi, -radians(20.0), 0.4, 0.8, 0.0),
)  # fmt: skip


class Doors:
    """The open doors of one world."""

    def __init__(self) -> None:
        self.open: dict[int, set[int]] = {}  # by vehicle: numbers of carla.VehicleDoor

    def move(self, vehicle: Actor, door: int, opened: bool) -> None:
        """Opens or shuts one door, or all. Raises UserError for a vehicle without doors."""
        if not find(vehicle.type_id).has_dynamic_doors:
            raise UserError(f"actor {vehicle.id} ({vehicle.type_id}) has no doors that open")
        which = set(range(ALL)) if door == ALL else {door}
        now = self.open.pop(vehicle.id, set())
        now = now | which if opened else now - which
        if now:
            self.open[vehicle.id] = now

    def forget(self, number: int) -> None:
        """The vehicle is gone."""
        self.open.pop(number, None)

    def leaves(self, live: LiveWorld) -> NDArray[np.void]:
        """One BODY for each open door, with its vehicle's id."""
        pairs = [(number, door) for number, doors in self.open.items() for door in sorted(doors)]
        rows = np.zeros(len(pairs), BODY)
        for row, (number, door) in zip(rows, pairs, strict=True):
            vehicle, leaf = live.actors.by_id[number], LEAVES[door]
            body = live.body(vehicle)
            long, wide, high = vehicle.extent
            reach, up = leaf.length * long / 2, leaf.height * high or THICKNESS
            forward, level = reach * cos(leaf.pitch), -reach * sin(leaf.pitch)
            middle = Pose(
                leaf.hinge[0] * long + forward * cos(leaf.yaw), leaf.hinge[1] * wide + forward * sin(leaf.yaw),
                leaf.hinge[2] * 2 * high + level, leaf.yaw, leaf.pitch,
            )  # fmt: skip
            place = compose(live.pose_of(vehicle), middle)
            row["id"], row["kind"], row["blueprint"], row["color"] = number, body["kind"], PANEL, body["color"]
            row["xyz"], row["yaw"], row["pitch"], row["roll"] = place.xyz, place.yaw, place.pitch, place.roll
            row["extent"] = reach, leaf.width * wide or THICKNESS, up
        return rows
