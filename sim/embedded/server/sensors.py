"""Sensors: which exist, when they are due, and who hears them.

A sensor turns the present world into payloads; it runs only in ticks in which somebody listens. Cameras that share a
place and an image size are rendered once. `sensor_tick` is the least time between two messages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from roadcraft.sim.embedded.server import wire
from roadcraft.sim.embedded.server.actors import Actor, Category
from roadcraft.sim.embedded.server.cameras import NUMBERS, Camera, Cameras
from roadcraft.sim.embedded.server.derived import CosmosCamera, EventCamera, FlowCamera, NormalsCamera
from roadcraft.sim.embedded.server.events import CollisionSensor, ObstacleSensor
from roadcraft.sim.embedded.server.inertial import Gnss, Imu
from roadcraft.sim.embedded.server.scans import Lidar, Radar, SemanticLidar
from roadcraft.sim.embedded.server.streams import Part
from roadcraft.sim.embedded.server.v2x import CamStation, CustomStation, Station

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.app import Server
    from roadcraft.sim.embedded.server.live import LiveWorld

log = logging.getLogger(__name__)
FAILURES = 3  # in a row, of a sensor that sends nothing any more after them
Payload = Sequence[Part]


class Sensor(Protocol):
    """Something that makes messages of the present world."""

    number: int  # its place in CARLA's registry

    def sense(self, live: LiveWorld, actor: Actor, delta: float) -> Iterable[Payload]:
        """The payloads of this tick: one, or as many as there were events."""


SENSORS: dict[str, Callable[[Actor], Sensor]] = {
    "sensor.other.collision": CollisionSensor,
    "sensor.other.obstacle": ObstacleSensor,
    "sensor.other.radar": Radar,
    "sensor.lidar.ray_cast": Lidar,
    "sensor.lidar.ray_cast_semantic": SemanticLidar,
    "sensor.other.imu": Imu,
    "sensor.other.gnss": Gnss,
    "sensor.other.v2x": CamStation,
    "sensor.other.v2x_custom": CustomStation,
}
DERIVED: dict[str, type[Camera]] = {
    "sensor.camera.normals": NormalsCamera,
    "sensor.camera.optical_flow": FlowCamera,
    "sensor.camera.dvs": EventCamera,
    "sensor.camera.cosmos_visualization": CosmosCamera,
}
SENSOR_NOTES = {  # for the compatibility page
    "sensor.camera.rgb": "the scene, weather, time of day",
    "sensor.camera.depth": "metres along the optical axis, 24 bits over 1000 m",
    "sensor.camera.semantic_segmentation": "CARLA's tags",
    "sensor.camera.instance_segmentation": "tags; ids of actors, 0 for what is no actor",
    "sensor.camera.normals": "from depth: unit normals along the world's x, y, z, (n + 1) / 2; the sky is grey",
    "sensor.camera.cosmos_visualization": "what matters to traffic in Cityscapes' colours on black: paint, vehicles, "
    "people, lights, signs; CARLA draws lines and boxes instead",
    "sensor.camera.optical_flow": "from depth and motion since this camera's last picture (none in the first): x to "
    "the right in half widths, y up in half heights, as CARLA sends it; bodies are rigid: no swing of limbs",
    "sensor.camera.dvs": "from two pictures, crossings of the thresholds in between at interpolated times; all "
    "attributes of events work, thresholds from 0.01, those of lens and film have no effect; at most 2 million events "
    "a message, and none in a tick without events, as in CARLA",
    "sensor.lidar.ray_cast": "drop-off, attenuation, noise; rays against what the cameras draw",
    "sensor.lidar.ray_cast_semantic": "angle of incidence, actor and tag of each point",
    "sensor.other.radar": "radial velocity, angles, distance",
    "sensor.other.imu": "with gravity; noise and bias",
    "sensor.other.gnss": "agrees with the client's `transform_to_geolocation`; noise and bias",
    "sensor.other.v2x": "cooperative awareness messages (CAM) of all stations in reach, in one event: sent when ETSI "
    "EN 302 637-2 wants, of vehicles, walkers and, unattached or on anything else, roadside units. Power by ETSI TR "
    "103 257-1 with CARLA's attributes; houses and props block, roofs of vehicles bend. Lateral acceleration and yaw "
    "rate grow to the right and the vertical acceleration has gravity in it, as in CARLA; lengths are in 0.1 m and a "
    "reversing vehicle tells its speed, as in the standard. By the standard as well, other than CARLA's source: "
    "how high a roof stands in the way is measured from the line of sight, a message tells the state of its own frame, "
    "and its time is the simulation's. The zones of roadside units are empty, as CARLA's would "
    "crash the client",
    "sensor.other.v2x_custom": "texts that others got by `send`, over the same radio; also without a parent",
    "sensor.other.obstacle": "the nearest thing in a tube ahead; `debug_linetrace` draws nothing",
    "sensor.other.collision": "each contact of a tick with its impulse",
    "sensor.other.lane_invasion": "found by the client itself",
}


def equipment(actor: Actor) -> Camera | Sensor:
    """What makes the data of a sensor's kind. Raises UserError for attributes that cannot be."""
    if actor.type_id in NUMBERS:
        return DERIVED.get(actor.type_id, Camera)(actor)
    return SENSORS[actor.type_id](actor)


def looks(actor: Actor) -> bool:
    """Whether a sensor sees bodies, and so can be told to ignore some: a camera, or one that casts rays."""
    return isinstance(actor.sensor, (Camera, Lidar, SemanticLidar, Radar, ObstacleSensor))


class Sensors:
    """The sensors of the present world."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.equipped: dict[int, Actor] = {}
        self.stations: dict[int, Actor] = {}  # those of them that send by radio, heard or not
        self.due_at: dict[int, float] = {}  # simulation time [s] of the next message
        self.failures: dict[int, int] = {}  # in a row, of the sensors whose last attempt failed
        self.named: set[int] = set()  # those that ever failed
        self.silenced: dict[int, str] = {}  # streams of sensors that failed for good, and what a client is told
        self.cameras = Cameras()

    def equip(self, actor: Actor) -> None:
        """Gives a new actor its stream, where it is a sensor that has one."""
        if actor.category is not Category.SENSOR or actor.type_id == "sensor.other.lane_invasion":
            return  # lane invasions are found by the client itself
        actor.sensor = equipment(actor)
        actor.stream = self.server.streams.new()
        self.equipped[actor.id] = actor
        self.due_at[actor.id] = 0.0
        if isinstance(actor.sensor, Station):
            self.stations[actor.id] = actor

    def forget(self, actor: Actor) -> None:
        """An actor is gone, or sends nothing any more."""
        self.equipped.pop(actor.id, None)
        self.stations.pop(actor.id, None)
        self.due_at.pop(actor.id, None)
        self.failures.pop(actor.id, None)
        self.named.discard(actor.id)
        self.silenced.pop(actor.stream, None)

    def clear(self) -> None:
        """A new world begins."""
        for notes in (self.equipped, self.stations, self.due_at, self.failures, self.named, self.silenced):
            notes.clear()

    def after_tick(self, delta: float) -> None:
        """Sends what is due and heard."""
        time = self.server.live.simulation.time
        if self.stations:
            self._transmit()
        heard = [actor for actor in self.equipped.values() if self.server.streams.heard(actor.stream)]
        for actor in self.equipped.values() if len(heard) < len(self.equipped) else ():
            if isinstance(actor.sensor, Camera) and not self.server.streams.heard(actor.stream):
                actor.sensor.rest()
        due = [actor for actor in heard if time + 1e-6 >= self.due_at[actor.id]]
        for actor in due:
            period = float(actor.attributes.get("sensor_tick", 0.0))
            late = time - self.due_at[actor.id]  # by less than a tick: kept, so that periods do not grow
            self.due_at[actor.id] = time + period - (late if late < delta - 1e-6 else 0.0) if period > 0 else 0.0
        for actor in due:
            if not isinstance(actor.sensor, Camera):
                self._sense(actor, delta)
        if not self.server.settings.no_rendering:
            self._picture([actor for actor in due if isinstance(actor.sensor, Camera)])

    def _transmit(self) -> None:
        """Collects what V2X sensors send in this tick, before any of them hears of it."""
        live = self.server.live
        live.air.clear()
        for actor in list(self.stations.values()):
            try:
                live.air.extend(actor.sensor.transmit(live, actor))
            except Exception as error:
                self._failed(actor, error)

    def _sense(self, actor: Actor, delta: float) -> None:
        try:
            for payload in actor.sensor.sense(self.server.live, actor, delta):
                self._send(actor, payload, "sensor.drop")
        except Exception as error:
            self._failed(actor, error)
        else:
            self.failures.pop(actor.id, None)

    def _picture(self, cameras: list[Actor]) -> None:
        """Sends the pictures of a tick's cameras: of all together, of those that are left one by one if one fails."""
        left = {actor.id: actor for actor in cameras}
        try:
            for actor, pixels in self.cameras.images(self.server.live, cameras):
                self._send(actor, pixels, "camera.drop")
                del left[actor.id]
                self.failures.pop(actor.id, None)
        except Exception:
            log.debug("cameras failed together", exc_info=True)
        for actor in list(left.values()):
            try:
                for _, pixels in self.cameras.images(self.server.live, [actor]):
                    self._send(actor, pixels, "camera.drop")
            except Exception as error:
                self._failed(actor, error)
            else:
                self.failures.pop(actor.id, None)

    def _failed(self, actor: Actor, error: Exception) -> None:
        """A sensor has nothing to send in this tick. The world goes on with the others, and with it in its next tick;
        after some failures in a row it is named, and sends nothing any more."""
        times = self.failures[actor.id] = self.failures.get(actor.id, 0) + 1
        name = f"sensor {actor.id} ({actor.type_id})"
        if actor.id not in self.named:
            self.named.add(actor.id)
            log.warning("%s failed and sends nothing in this tick", name, exc_info=error)
        if times >= FAILURES:
            told = f"{name} failed {times} times in a row and sends nothing any more: {type(error).__name__}: {error}"
            log.error("%s", told, exc_info=error)
            self.forget(actor)
            self.silenced[actor.stream] = told

    def _send(self, actor: Actor, payload: Payload, fault: str) -> None:
        live = self.server.live
        if not payload or self.server.faults.lost(fault):
            return
        head = wire.header(actor.sensor.number, live.frame, live.simulation.time, actor.pose)
        self.server.streams.send(actor.stream, (head, *payload), self.server.settings.synchronous)
