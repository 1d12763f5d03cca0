"""World snapshots: what a client knows of all actors after a tick, packed as one structured array.

Order of the records: vehicles, walkers, props, lights, signs, others. The layout is rebuilt only when an actor comes or
goes; a tick then costs two kernels and a few array assignments, however many actors there are.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.server.actors import Actor, Category
from roadcraft.sim.embedded.server.records import DRIVEN, fill_driven, fill_motion
from roadcraft.sim.embedded.server.wire import WORLD_OBSERVER, Pose, header, location_wire, rotation_wire

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

MAP_CHANGED, LIGHTS_CHANGED = 1, 2  # flags
ACTIVE = 1

# name, type, offset; the bytes from 65 on mean something else for each category.
_LAYOUT = [
    ("id", "<u4", 0),
    ("state", "u1", 4),
    ("location", "<3f4", 5),
    ("rotation", "<3f4", 17),  # pitch, yaw, roll [degrees]
    ("velocity", "<3f4", 29),
    ("angular_velocity", "<3f4", 41),  # [degrees/s]
    ("acceleration", "<3f4", 53),
    ("throttle", "<f4", 65),  # vehicles
    ("steer", "<f4", 69),
    ("brake", "<f4", 73),
    ("hand_brake", "u1", 77),
    ("reverse", "u1", 78),
    ("manual", "u1", 79),
    ("gear", "<i4", 80),
    ("speed_limit", "<f4", 84),  # [km/h]
    ("light_state", "u1", 88),
    ("has_light", "u1", 89),
    ("light_actor", "<u4", 90),
    ("failure", "u1", 94),
    ("direction", "<3f4", 65),  # walkers
    ("speed", "<f4", 77),
    ("jump", "u1", 81),
    ("sign", "S32", 65),  # lights and signs
    ("green", "<f4", 97),
    ("yellow", "<f4", 101),
    ("red", "<f4", 105),
    ("elapsed", "<f4", 109),
    ("pole", "<u4", 113),
    ("frozen", "u1", 117),
    ("light", "u1", 118),
]
RECORD = np.dtype(
    {
        "names": [name for name, _, _ in _LAYOUT],
        "formats": [kind for _, kind, _ in _LAYOUT],
        "offsets": [offset for _, _, offset in _LAYOUT],
        "itemsize": 119,
    }
)
_MIRROR = np.array([1.0, -1.0, 1.0])  # our vectors in CARLA's frame
MOVED = slice(5, 65)  # bytes of a record from location to acceleration
TOLD = slice(65, 65 + DRIVEN.itemsize)  # bytes of a vehicle's record from throttle to its light


class Snapshots:
    """Packs the snapshots of one world."""

    def __init__(self) -> None:
        self.version = -1
        self.records = np.zeros(0, RECORD)
        self.rows = np.zeros(0, np.intp)  # of the bodies, in the records' order
        self.vehicles = self.walkers = self.lights = slice(0, 0)
        self.moved, self.driven = np.zeros((0, 15), np.float32), np.zeros(0, DRIVEN)
        self.light_rows = np.zeros(0, np.intp)  # of the network's signals
        self.others: list[tuple[int, Actor]] = []  # place in the records, and the actor

    def _rebuild(self, live: LiveWorld) -> None:
        actors = sorted(live.actors, key=lambda actor: actor.category)  # stable: as they came
        count = [sum(actor.category == category for actor in actors) for category in Category]
        ends = np.cumsum(count).tolist()
        bodies = ends[Category.PROP]
        self.version = live.actors.version
        self.records = records = np.zeros(len(actors), RECORD)
        records["id"], records["state"] = [actor.id for actor in actors], ACTIVE
        self.rows = np.array([live.simulation.row(actor.id) for actor in actors[:bodies]], np.intp)
        self.vehicles = slice(0, ends[Category.VEHICLE])
        self.moved, self.driven = np.zeros((bodies, 15), np.float32), np.zeros(ends[Category.VEHICLE], DRIVEN)
        self.walkers = slice(ends[Category.VEHICLE], ends[Category.WALKER])
        self.lights = slice(ends[Category.SENSOR], ends[Category.LIGHT])
        self.light_rows = np.array([actor.signal for actor in actors[self.lights]], np.intp)
        self.others = list(enumerate(actors))[bodies:]
        network = live.town.network
        for at, actor in self.others:
            if actor.signal >= 0:
                records["sign"][at] = str(network.signals["id"][actor.signal]).encode()[:31]
            if not actor.parent:
                _place(records, at, actor.pose)
        self.others = [(at, actor) for at, actor in self.others if actor.parent or actor is live.spectator]

    def _bodies(self, live: LiveWorld) -> None:
        simulation = live.simulation
        records, bodies = self.records.view(np.uint8).reshape(-1, RECORD.itemsize), simulation.bodies
        fill_motion(bodies, self.rows, self.walkers.start, self.walkers.stop, self.moved)
        records[: len(self.rows), MOVED] = self.moved.view(np.uint8)
        fill_driven(
            bodies, self.rows, live.town.network.lanes, live.told_limits, live.default_limit,
            simulation.lights.state, live.light_ids, self.driven,
        )  # fmt: skip
        records[self.vehicles, TOLD] = self.driven.view(np.uint8).reshape(-1, DRIVEN.itemsize)
        on_foot, part = bodies[self.rows[self.walkers]], self.records[self.walkers]
        part["direction"][:, :2] = on_foot["target_direction"] * _MIRROR[:2]
        part["speed"] = on_foot["target_speed"]

    def _lights(self, live: LiveWorld) -> None:
        part, light = self.records[self.lights], live.simulation.lights.rows[self.light_rows]
        for name in ("green", "yellow", "red", "elapsed", "frozen"):
            part[name] = light[name]
        part["light"] = light["state"]
        part["pole"] = live.pole_index[self.light_rows]

    def pack(self, live: LiveWorld, delta: float, flags: int) -> tuple[bytes, memoryview]:
        """The two parts of the message; the second is reused by the next call."""
        if self.version != live.actors.version:
            self._rebuild(live)
        self._bodies(live)
        if len(self.light_rows):
            self._lights(live)
        for at, actor in self.others:
            _place(self.records, at, actor.pose)
        simulation = live.simulation
        head = header(WORLD_OBSERVER, live.frame, simulation.time, Pose())
        head += struct.pack("<Qdf3iI", live.episode, time.time(), delta, 0, 0, 0, flags)
        return head, self.records.view(np.uint8).data


def _place(records: NDArray[np.void], at: int, pose: Pose) -> None:
    records["location"][at] = location_wire(pose.xyz)
    records["rotation"][at] = rotation_wire(pose)
