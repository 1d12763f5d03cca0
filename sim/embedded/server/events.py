"""Sensors that speak only when something happens: collisions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgpack

from roadcraft.sim.embedded.server import wire
from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.wire import CITY_TAGS, location_wire

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

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
