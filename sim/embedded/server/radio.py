"""Who hears whom by radio: antennas, what stands between them, and the power that arrives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.path_loss import Edge, PathLoss, Sight, Way
from roadcraft.sim.embedded.server.wire import Vector
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Kind

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

MAST = 0.02  # [m] of an antenna over the roof, as in CARLA


class Antenna(NamedTuple):
    """Where a station's signals leave and arrive."""

    xyz: Vector
    height: float  # [m] over its own ground
    body: int  # that carries it, 0 for none


class Transmission(NamedTuple):
    """Something that is being sent in the present tick."""

    kind: int  # of message: the sensor's number in CARLA's registry
    station: int  # actor
    antenna: Antenna
    power: float  # [dBm]
    record: NDArray[np.void]  # () for a receiver, its power still 0


def owner(live: LiveWorld, actor: Actor) -> Actor:
    """The station that a V2X sensor speaks for: what it is attached to, otherwise itself."""
    return live.actors.by_id.get(actor.parent, actor)


def antenna(live: LiveWorld, actor: Actor) -> Antenna:
    """On the roof of what carries the sensor, or where the sensor itself is."""
    station = owner(live, actor)
    if not station.is_body:
        x, y, z = actor.pose.xyz
        return Antenna((x, y, z + MAST), MAST, 0)
    body = live.body(station)
    x, y, z = body["xyz"].tolist()
    height = 2 * float(body["extent"][2]) + MAST
    return Antenna((x, y, z + height), height, station.id)


def way(live: LiveWorld, sender: Antenna, receiver: Antenna) -> Way:
    """How a signal goes: standing things and props block it, roofs of vehicles bend it, people let it through."""
    start, end = np.asarray(sender.xyz), np.asarray(receiver.xyz)
    distance = float(np.linalg.norm(end - start))
    low = min(sender.xyz[2] - sender.height, receiver.xyz[2] - receiver.height)
    heights = (sender.xyz[2] - low, receiver.xyz[2] - low)
    ahead, left = ((end - start) / max(distance, 1e-9))[None], live.simulation.bodies
    edges: list[Edge] = []
    while True:
        hits = live.rays.cast(sender.xyz, ahead, distance, left, hide=receiver.body)
        number = int(hits.id[0])
        if not np.isfinite(hits.distance[0]):
            break
        kind = Kind(left["kind"][left["id"] == number][0]) if number else Kind.STATIC
        if kind >= Kind.PROP and (number != sender.body or not number):
            return Way(distance, heights, Sight.BUILDING)
        if kind < Kind.PEDESTRIAN and number != sender.body:
            edges.append(_edge(left[left["id"] == number][0], start, end))
        left = left[left["id"] != number]
    return Way(distance, heights, Sight.VEHICLE if edges else Sight.CLEAR, tuple(edges))


def _edge(body: np.void, start: NDArray[np.float64], end: NDArray[np.float64]) -> Edge:
    """The roof of a vehicle in the way, seen from the side."""
    before = float(np.hypot(*(body["xyz"][:2] - start[:2])))
    behind = float(np.hypot(*(body["xyz"][:2] - end[:2])))
    line = start[2] + (end[2] - start[2]) * before / max(before + behind, 1e-6)
    return Edge(before, behind, float(body["xyz"][2] + 2 * body["extent"][2] - line))


class Receiver:
    """What one V2X sensor hears. Its attributes are those of the whole way: gain and losses are the receiver's."""

    def __init__(self, actor: Actor) -> None:
        """Raises UserError for attributes that cannot be."""
        self.loss = PathLoss.of(actor)
        self.gain, self.sensitivity = actor.number("combined_antenna_gain"), actor.number("receiver_sensitivity")
        self.reach, self.sigma = actor.number("filter_distance"), actor.number("custom_fading_stddev")
        if not (self.reach >= 0 and self.sigma >= 0):
            raise UserError(f"{actor.type_id}: filter_distance and custom_fading_stddev cannot be negative")
        self.standard = actor.flag("use_etsi_fading")
        self.rng = np.random.default_rng([int(actor.number("noise_seed")) & 0xFFFFFFFF, 1])

    def hear(self, live: LiveWorld, actor: Actor, kind: int) -> Iterator[tuple[float, Transmission]]:
        """Power [dBm] and message of each transmission of that kind that arrives, but for the station's own."""
        station = owner(live, actor).id
        foreign = [each for each in live.air if each.kind == kind and each.station != station]
        mine = antenna(live, actor) if foreign else None
        for each in foreign:
            assert mine is not None
            if np.linalg.norm(np.subtract(each.antenna.xyz, mine.xyz)) >= self.reach:
                continue
            power = each.power + self.gain - self._lost(way(live, each.antenna, mine))
            if power >= self.sensitivity:
                yield power, each

    def _lost(self, found: Way) -> float:
        sigma = self.loss.fading(found.sight) if self.standard else self.sigma
        return self.loss(found) + (float(self.rng.normal(0.0, sigma)) if sigma > 0 else 0.0)
