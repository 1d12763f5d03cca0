"""World snapshots: what a client knows of all actors after a tick, packed as one structured array.

Order of the records: vehicles, walkers, props, lights, signs, others. The layout is rebuilt only when an actor comes or
goes; a tick then costs one kernel, however many actors there are, and sensors that have moved a few steps each.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.server.actors import Actor, Category
from roadcraft.sim.embedded.server.records import ANY, LIGHT, MOTION, VEHICLE, WALKER, fill
from roadcraft.sim.embedded.server.wire import WORLD_OBSERVER, Pose, location_wire, rotation_wire
from roadcraft.sim.kernels import Direct

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

MAP_CHANGED, LIGHTS_CHANGED = 1, 2  # flags
ACTIVE = 1
PLACED = 5  # first byte of a record's location and rotation
PLACE = struct.Struct("<6f")  # location and rotation
HEAD = struct.Struct("<QQd24xQdf12xI")  # a sensor's header without a place, and that of a snapshot without an origin


@dataclass(slots=True)
class Loose:
    """An actor that is no body, its place among the records and the pose that stands there."""

    at: int
    actor: Actor
    told: Pose | None = None


class Snapshots:
    """Packs the snapshots of one world."""

    def __init__(self) -> None:
        self.version = -1
        self.fill = Direct(fill)
        self.records = np.zeros(0, ANY)
        self.message = self.records.view(np.uint8).data  # the same bytes
        self.rows = np.zeros(0, np.intp)  # of the bodies, in the records' order
        self.light_rows = np.zeros(0, np.intp)  # of the network's signals
        self.views: tuple[NDArray[Any], ...] = ()  # of the records, for `records.fill`
        self.others: list[Loose] = []  # those that may move

    def _rebuild(self, live: LiveWorld) -> None:
        actors = sorted(live.actors, key=lambda actor: actor.category)  # stable: as they came
        count = [sum(actor.category == category for actor in actors) for category in Category]
        ends = np.cumsum(count).tolist()
        vehicles, walkers, bodies = (ends[Category.VEHICLE], ends[Category.WALKER], ends[Category.PROP])
        lights = slice(ends[Category.SENSOR], ends[Category.LIGHT])
        self.version = live.actors.version
        live.stop_signs.fit(len(live.simulation.bodies))
        self.records = records = np.zeros(len(actors), ANY)
        self.message = records.view(np.uint8).data
        records["id"], records["state"] = [actor.id for actor in actors], ACTIVE
        self.rows = np.array([live.simulation.row(actor.id) for actor in actors[:bodies]], np.intp)
        self.light_rows = np.array([actor.signal for actor in actors[lights]], np.intp)
        self.views = (
            records[:bodies].view(MOTION), records[:vehicles].view(VEHICLE), records[vehicles:walkers].view(WALKER),
            records[lights].view(LIGHT),
        )  # fmt: skip
        self.others = [Loose(at, actor) for at, actor in enumerate(actors)][bodies:]
        self._place()
        for other in self.others:
            if other.actor.signal >= 0:
                records["sign"][other.at] = str(live.town.network.signals["id"][other.actor.signal]).encode()[:31]
        self.others = [other for other in self.others if other.actor.signal < 0]

    def _place(self) -> None:
        """Writes where actors that are no bodies are, of those that have moved."""
        for other in self.others:
            pose = other.actor.pose
            if pose is not other.told:
                other.told = pose
                x, y, z = location_wire(pose.xyz)
                PLACE.pack_into(self.message, other.at * ANY.itemsize + PLACED, x, y, z, *rotation_wire(pose))

    def pack(self, live: LiveWorld, delta: float, flags: int) -> tuple[bytes, memoryview]:
        """The two parts of the message; the second is reused by the next call."""
        if self.version != live.actors.version:
            self._rebuild(live)
        simulation, signs = live.simulation, live.stop_signs
        self.fill.call(
            simulation.bodies, signs.go, signs.held, signs.batched, self.rows, live.town.network.lanes,
            live.told_limits, live.default_limit, simulation.lights.rows, self.light_rows, live.pole_index,
            live.light_ids, *self.views,
        )  # fmt: skip
        self._place()
        head = HEAD.pack(WORLD_OBSERVER, live.frame, simulation.time, live.episode, time.time(), delta, flags)
        return head, self.message
