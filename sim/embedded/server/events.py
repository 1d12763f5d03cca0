"""Sensors that speak only when something happens: collisions, obstacles."""

from __future__ import annotations

from collections.abc import Iterator
from math import cos, pi, sin
from typing import TYPE_CHECKING, Any

import msgpack
import numpy as np

from roadcraft.sim.embedded.server import wire
from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.wire import CITY_TAGS, location_wire, rotation
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

GROUND = [CITY_TAGS[name] for name in ("roads", "sidewalks", "terrain", "road_lines", "ground")]
BEAM = 6  # rays on each of the two rings of an obstacle sensor
_TAG_NAMES = {tag: name for name, tag in CITY_TAGS.items()}
# What CARLA calls the static things that cars hit.
_STATIC_TYPES = {CITY_TAGS["traffic_light"]: "traffic.traffic_light", CITY_TAGS["traffic_signs"]: "traffic.unknown"}


def static_wire(tag: int) -> list[Any]:
    """The actor tuple of something that is no actor."""
    type_id = _STATIC_TYPES.get(
        tag, f"static.{_TAG_NAMES.get(tag, 'unknown').rstrip('s')}" if tag else "static.unknown"
    )
    box = [[0.0] * 3, [0.0] * 3, [0.0] * 3, 0]
    return [0, 0, [0, type_id, []], box, bytes([tag]) if tag else b"", wire.NO_TOKEN]


class CollisionSensor:
    """One message for each contact of the parent in a tick, with the impulse [N s] on it in CARLA's axes."""

    number = wire.COLLISION

    def __init__(self, actor: Actor) -> None:
        pass

    def sense(self, live: LiveWorld, actor: Actor, delta: float) -> Iterator[tuple[bytes]]:
        contacts = live.contacts
        if not len(contacts):
            return
        parent = live.actors.by_id.get(actor.parent)
        for contact in contacts[contacts["a"] == actor.parent] if parent is not None else ():
            other = live.actors.by_id.get(int(contact["b"]))
            known = other.wire(live.stream_port) if other is not None else static_wire(int(contact["tag"]))
            impulse = float(contact["impulse"])
            push = location_wire((impulse * contact["normal"][0], impulse * contact["normal"][1], 0.0))
            assert parent is not None
            yield (msgpack.packb([parent.wire(live.stream_port), known, push]),)


class ObstacleSensor:
    """Tells in each tick what is ahead within `distance`, in a beam of `hit_radius`: the nearest thing in the way."""

    number = wire.OBSTACLE

    def __init__(self, actor: Actor) -> None:
        self.distance, self.radius = actor.number("distance"), actor.number("hit_radius")
        if not (0 < self.distance <= 1000.0 and 0 <= self.radius <= 20.0):
            raise UserError(f"{actor.type_id}: distance or hit_radius is out of bounds")
        self.only_moving = actor.attributes["only_dynamics"].lower() in ("true", "1")
        rings = [(r * cos(a), r * sin(a)) for r in (0.5, 1.0) for a in np.linspace(0, 2 * pi, BEAM, endpoint=False)]
        self.beam = np.array([(0.0, y * self.radius, z * self.radius) for y, z in [(0.0, 0.0), *rings]])

    def sense(self, live: LiveWorld, actor: Actor, delta: float) -> Iterator[tuple[bytes]]:
        parent = live.actors.by_id.get(actor.parent)
        holder = live.holder(actor)
        if parent is None:
            return
        axes = np.array(rotation(actor.pose))
        origins = np.asarray(actor.pose.xyz) + self.beam @ axes.T
        ahead = np.broadcast_to(axes[:, 0], origins.shape)
        hits = live.rays.cast(origins, ahead, self.distance, live.seen_by(actor), holder.id if holder else 0)
        seen = np.isfinite(hits.distance) & ((hits.id > 0) if self.only_moving else ~np.isin(hits.tag, GROUND))
        if not seen.any():
            return
        nearest = int(np.flatnonzero(seen)[hits.distance[seen].argmin()])
        other = live.actors.by_id.get(int(hits.id[nearest]))
        known = other.wire(live.stream_port) if other is not None else static_wire(int(hits.tag[nearest]))
        yield (msgpack.packb([parent.wire(live.stream_port), known, float(hits.distance[nearest])]),)
