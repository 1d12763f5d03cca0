"""The two V2X sensors: one that tells of its vehicle and hears others do so, one for messages of the clients' own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.server import cam, wire
from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.awareness import Awareness, Motion
from roadcraft.sim.embedded.server.radio import Receiver, Transmission, antenna, owner
from roadcraft.sim.embedded.server.v2x_layout import CUSTOM, CUSTOM_MESSAGE, MOST_TEXT, PROTOCOL
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

SLOW_INTERVAL = 0.5  # s between two messages with role and lights


class Station:
    """What sends in a tick and hears what others send in the same tick, all in one message to its client."""

    number: int

    def __init__(self, actor: Actor) -> None:
        """Raises UserError for attributes that cannot be."""
        self.receiver, self.power = Receiver(actor), actor.number("transmit_power")

    def transmit(self, live: LiveWorld, actor: Actor) -> Iterator[Transmission]:
        """What it sends in this tick: one message at most, to whom does not matter yet."""
        station = owner(live, actor)
        record = self.said(live, actor, station)
        if record is not None:
            yield Transmission(self.number, station.id, antenna(live, actor), self.power, record)

    def said(self, live: LiveWorld, actor: Actor, station: Actor) -> NDArray[np.void] | None:
        """() the record that a receiver gets, without its power; None when there is nothing to say."""
        raise NotImplementedError

    def sense(self, live: LiveWorld, actor: Actor, delta: float) -> Iterator[tuple[bytes]]:
        heard = []
        for power, each in self.receiver.hear(live, actor, self.number):
            record = each.record.copy()
            record["power"] = power
            heard.append(record.tobytes())
        if heard:
            yield (b"".join(heard),)


class CamStation(Station):
    """Tells of what it is attached to."""

    number = wire.V2X_CAM

    def __init__(self, actor: Actor) -> None:
        super().__init__(actor)
        shortest, longest = actor.number("gen_cam_min"), actor.number("gen_cam_max")
        if not 0 <= shortest <= longest:
            raise UserError(f"{actor.type_id}: gen_cam_min is to be from 0 to gen_cam_max")
        self.awareness = Awareness(shortest, longest, actor.flag("fixed_rate"))
        self.errors = cam.Errors(actor)
        self.slow_at = -SLOW_INTERVAL

    def said(self, live: LiveWorld, actor: Actor, station: Actor) -> NDArray[np.void] | None:
        now, pose = live.simulation.time, live.pose_of(station)
        speed = float(live.body(station)["speed"]) if station.is_body else 0.0
        roadside = cam.station_type(station) == cam.ROADSIDE_UNIT
        if not self.awareness.due(now, Motion(pose.xyz, pose.yaw, speed), roadside):
            return None
        slow = now - self.slow_at >= SLOW_INTERVAL - 1e-6
        if slow:
            self.slow_at = now
        return cam.message(live, actor, station, self.errors, slow)


class CustomStation(Station):
    """Sends in the next tick what a client told it last, as CARLA 0.9.16 does."""

    number = wire.V2X_CUSTOM

    def __init__(self, actor: Actor) -> None:
        super().__init__(actor)
        self.text: bytes | None = None

    def tell(self, text: str) -> None:
        """Takes what is to be sent. Raises UserError when it does not fit."""
        data = text.encode()
        if len(data) > MOST_TEXT:
            raise UserError(f"a custom V2X message has at most {MOST_TEXT} bytes, this one has {len(data)}")
        self.text = data

    def said(self, live: LiveWorld, actor: Actor, station: Actor) -> NDArray[np.void] | None:
        if self.text is None:
            return None
        record = np.array((0.0, (PROTOCOL, CUSTOM_MESSAGE, station.id), self.text), CUSTOM)
        self.text = None
        return record
