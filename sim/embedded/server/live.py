"""The world that clients look at: one loaded town, its simulation, and all its actors. A reload makes a new one."""

from __future__ import annotations

import logging
from math import ceil, cos, hypot, sin
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.catalogue import INDEX, find
from roadcraft.sim.embedded.server.actors import Actor, Actors, Attachment, Category, NoActor
from roadcraft.sim.embedded.server.attributes import chosen_attributes, understood
from roadcraft.sim.embedded.server.blueprints import AUTOPILOT, by_id
from roadcraft.sim.embedded.server.debug_shapes import DebugShapes
from roadcraft.sim.embedded.server.doors import Doors
from roadcraft.sim.embedded.server.friction import Friction
from roadcraft.sim.embedded.server.limits import told_limits
from roadcraft.sim.embedded.server.poses import Poses
from roadcraft.sim.embedded.server.shown import ALL_LAYERS, Shown
from roadcraft.sim.embedded.server.signal_actors import signal_actor
from roadcraft.sim.embedded.server.snapshot import Snapshots
from roadcraft.sim.embedded.server.spawn_points import told_spawns
from roadcraft.sim.embedded.server.stop_signs import StopSigns
from roadcraft.sim.embedded.server.strayed import first_strayed
from roadcraft.sim.embedded.server.street_lights import StreetLights
from roadcraft.sim.embedded.server.wire import Pose, relative
from roadcraft.sim.embedded.state import Simulation
from roadcraft.sim.embedded.town import Town
from roadcraft.sim.errors import UserError
from roadcraft.sim.kernels import Direct
from roadcraft.sim.messages import Kind, Weather

if TYPE_CHECKING:
    from roadcraft.sim.embedded.rays import Rays
    from roadcraft.sim.embedded.server.level import Thing
    from roadcraft.sim.embedded.server.radio import Transmission

log = logging.getLogger(__name__)
AFTER_DEATH = 10.0  # s that a dead walker lies before it is gone, as in CARLA
SKIN = 0.3  # [m] around a body within which a sensor mounted on it looks through it
LONGEST_STEP = 0.05  # s; a longer tick is made of several equal steps
ACKERMANN_GAINS = (0.15, 0.0, 0.25, 0.01, 0.0, 0.01)  # CARLA's speed and acceleration PID
GRAVITY = 9.81  # m/s^2 that an accelerometer feels at rest, unless a client sets another
_KINDS = {Kind.PEDESTRIAN: Category.WALKER, Kind.PROP: Category.PROP}


class LiveWorld:
    """One episode as CARLA means it: from loading a map to loading the next."""

    def __init__(
        self, town: Town, map_name: str, *, episode: int = 1, frame: int = 0, seed: int = 0, after: int = 0,
        stream_port: int = 2001, layers: int = ALL_LAYERS,
    ) -> None:  # fmt: skip
        """`after`: the largest id of the episodes before; ids are not given twice, so that no stale one hits."""
        self.town, self.map_name, self.episode, self.frame, self.seed = town, map_name, episode, frame, seed
        self.stream_port, self.gravity = stream_port, GRAVITY
        self.simulation = Simulation(town, seed)
        while self.simulation.new_id() < after:
            pass
        self.actors, self.doors, self.poses, self.debug_shapes = Actors(), Doors(), Poses(), DebugShapes()
        self.snapshots, self.stop_signs = Snapshots(), StopSigns(town.network)
        self._first_strayed = Direct(first_strayed)
        self.told_weather = Weather()  # as clients set it
        self.blinks_from = 0.0  # simulation time [s] when synchronous mode began: for indicators and rain
        self.street_lights = StreetLights(town.scenery)
        self.shown = Shown(town, layers)
        self.air: list[Transmission] = []  # what V2X sensors send in this tick
        self.contacts: NDArray[np.void] = self.simulation.contacts
        self.told_physics: dict[int, tuple[Any, ...]] = {}  # what clients set, by actor
        self.gains: dict[int, tuple[float, ...]] = {}  # of Ackermann controllers, by actor
        self.friction = Friction()
        self.forgetful: set[int] = set()  # vehicles without sticky control
        self.carried: set[int] = set()  # props that touch nothing because they ride along, not because a client said so
        self.dying: dict[int, float] = {}  # dead walkers, and the simulation time [s] at which they go
        self.led: set[int] = set()  # walkers that a client's crowd has placed since the last tick
        self.walking: set[int] = set()  # those of the tick before
        self.last_id = after
        self._rays: Rays | None = None
        self._surfaces: list[Thing] = []
        self.rearrange()
        self.default_limit = 30 / 3.6  # [m/s] away from any lane
        self.told_limits = told_limits(town.network)
        self.told_spawns = told_spawns(town)
        self.spectator = self.actors.add(Actor(self.new_id(), "spectator", Category.OTHER, pose=self._overview()))
        self._add_signals()

    # ------------------------------------------------------------------------------------------------ what is there
    def _overview(self) -> Pose:
        spawns = self.town.network.spawns
        x, y, yaw = spawns[0] if len(spawns) else (0.0, 0.0, 0.0)
        return Pose(x - 10 * cos(yaw), y - 10 * sin(yaw), 8.0, yaw, 0.35)

    def _add_signals(self) -> None:
        signals = self.town.network.signals
        self.light_ids = np.zeros(len(signals), np.uint32)  # actor of each row of the network's signals
        self.pole_index = np.zeros(len(signals), np.uint32)  # place of a light in its group
        for row, signal in enumerate(signals):
            actor = signal_actor(self.town.network, row, self.shown.heads[row].foot, self.new_id())
            self.light_ids[row] = self.actors.add(actor).id
            group = (signals["group"] == signal["group"]) & (signals["kind"] == signal["kind"])
            self.pole_index[row] = int(np.flatnonzero(group).tolist().index(row))

    def new_id(self, wanted: int = 0) -> int:
        """The id of the next actor that is no body; `wanted`, where given and free."""
        number = self.simulation.new_id(wanted)
        self.last_id = max(self.last_id, number)
        return number

    def pose_of(self, actor: Actor) -> Pose:
        """Where an actor's CARLA origin is: that of a walker is its middle, that of others on the ground."""
        if not actor.is_body:
            return actor.pose
        body = self.body(actor)
        x, y, z = body["xyz"].tolist()
        lift = actor.extent[2] if actor.category is Category.WALKER else 0.0
        return Pose(x, y, z + lift, float(body["yaw"]), float(body["pitch"]), float(body["roll"]))

    def body(self, actor: Actor) -> np.void:
        """The simulation's row of a vehicle, walker or prop: a view."""
        row: np.void = self.simulation.bodies[self.simulation.row(actor.id)]
        return row

    def batched(self, number: int, on: bool) -> None:
        """Whether a client controls this vehicle in batches."""
        signs, bodies = self.stop_signs, self.simulation.bodies
        signs.fit(len(bodies))
        signs.batched[self.simulation.row(number)] = number if on else 0

    @property
    def seen(self) -> NDArray[np.void]:
        """(n,) BODY: what cameras and rays meet, the bodies and the leaves of open doors, these first."""
        bodies = self.simulation.bodies
        return np.concatenate([self.doors.leaves(self), bodies]) if self.doors.open else bodies

    def seen_by(self, sensor: Actor) -> NDArray[np.void]:
        """(n,) BODY: what one sensor meets, without the vehicles that it was told to ignore."""
        bodies = self.seen
        return bodies[~np.isin(bodies["id"], sensor.ignored)] if sensor.ignored else bodies

    def group(self, actor: Actor) -> list[Actor]:
        """The lights of a light's junction, itself included."""
        signals = self.town.network.signals
        junction = signals["group"][actor.signal]
        if junction < 0:
            return [actor]
        lights = (other for other in self.actors if other.category is Category.LIGHT)
        return [other for other in lights if signals["group"][other.signal] == junction]

    # ------------------------------------------------------------------------------------------ coming and going
    def spawn(
        self, type_id: str, given: list[list[Any]], pose: Pose, parent: int = 0, attachment: int = 0, wanted: int = 0
    ) -> Actor:
        """A new actor from a blueprint. `pose` is relative to the parent where there is one; `wanted` is its id, where
        given and free. Raises UserError."""
        definition = by_id().get(type_id)
        if definition is None:
            raise UserError(f"actor definition not found: {type_id}")
        attributes = chosen_attributes(definition, given)
        values = {name: understood(kind, value) for name, kind, value in attributes}
        holder = self.actors.get(parent) if parent else None
        if wanted in self.actors.by_id:
            wanted = 0
        place = pose
        style = Attachment(attachment) if attachment in (0, 1, 2) else Attachment.RIGID
        actor = Actor(0, type_id, Category.OTHER, definition[0], values, attributes, parent, pose, style, pose)
        if holder is not None:
            place = actor.pose = actor.follow(self.pose_of(holder))
        if type_id in INDEX:
            self._spawn_body(actor, place, wanted)
            if actor.category is Category.PROP:  # as in CARLA it stands where it is put, until its physics is on
                self.simulation.set_physics(actor.id, False)
                if holder is not None:  # it is carried, and is not in the way
                    self.simulation.set_collides(actor.id, False)
                    self.carried.add(actor.id)
        else:
            actor.id = self.new_id(wanted)
            if type_id.startswith("sensor."):
                actor.category = Category.SENSOR
            elif type_id == "static.trigger.friction":
                self.friction.add(actor)
        if actor.attributes.get("sticky_control", "true").lower() in ("false", "0"):
            self.forgetful.add(actor.id)
        return self.actors.add(actor)

    def _spawn_body(self, actor: Actor, place: Pose, wanted: int) -> None:
        blueprint = find(actor.type_id)
        actor.category = _KINDS.get(blueprint.kind, Category.VEHICLE)
        walker = actor.category is Category.WALKER
        actor.extent, actor.tag = blueprint.extent, blueprint.semantic_tag
        actor.centre = Pose() if walker else Pose(0.0, 0.0, blueprint.extent[2])
        xyz = (place.x, place.y, place.z - (blueprint.extent[2] if walker else 0.0))
        color = actor.attributes.get("color")
        actor.id = self.simulation.spawn(
            actor.type_id,
            xyz,
            place.yaw,
            autopilot=int(actor.attributes.get(AUTOPILOT, 0)),
            color=tuple(int(c) & 255 for c in color.split(",")) if color else None,
            wanted=wanted,
        )
        self.last_id = max(self.last_id, actor.id)

    def destroy(self, number: int) -> Actor:
        """Removes an actor and returns it; what was attached to it stays, and is in the way. Raises NoActor."""
        actor = self.actors.get(number)
        if actor is self.spectator or actor.signal >= 0:
            raise NoActor(f"actor {number} ({actor.type_id}) belongs to the map and cannot be destroyed")
        self._set_down(number)
        self.actors.remove(number)
        if actor.is_body:
            self.simulation.remove(number)
        self.friction.forget(actor)
        for notes in (self.told_physics, self.gains):
            notes.pop(number, None)
        self.dying.pop(number, None)
        self.doors.forget(number)
        self.poses.forget(number)
        for group in (self.forgetful, self.led, self.walking, self.carried):
            group.discard(number)
        return actor

    def set_collides(self, actor: Actor, on: bool) -> None:
        """A client says whether a body touches others; a prop that is carried keeps to that when it is no longer."""
        self.simulation.set_collides(actor.id, on)
        self.carried.discard(actor.id)

    def _set_down(self, holder: int) -> None:
        """Props that an actor carried, itself or by what has no body, are in the way from now on."""
        for number in self.actors.children.get(holder, ()):
            if number in self.carried:
                self.simulation.set_collides(number, True)
                self.carried.discard(number)
            elif not self.actors.by_id[number].is_body:
                self._set_down(number)

    def let_die(self, walker: Actor) -> None:
        """A walker falls, lies and is gone after a while: see `buried`."""
        self.simulation.set_physics(walker.id, True)
        self.simulation.control_walker(walker.id, (0.0, 0.0), 0.0)
        self.simulation.lay_down(walker.id, 2.0 * AFTER_DEATH)
        self.dying.setdefault(walker.id, self.simulation.time + AFTER_DEATH)

    def buried(self) -> list[Actor]:
        """Removes the walkers that have lain long enough; returns them."""
        due = [number for number, at in self.dying.items() if self.simulation.time >= at - 1e-6]
        return [self.destroy(number) for number in due]

    # ---------------------------------------------------------------------------------------------------- moving
    def place(self, actor: Actor, where: Pose) -> None:
        """Puts an actor elsewhere at once, whatever is there."""
        if actor.signal < 0:
            self._put(actor, where)
            if actor.parent:
                actor.relative = relative(self.pose_of(self.actors.get(actor.parent)), where)

    def _put(self, actor: Actor, where: Pose) -> None:
        if actor.is_body:
            lift = actor.extent[2] if actor.category is Category.WALKER else 0.0
            xyz = (where.x, where.y, where.z - lift)
            self.simulation.place(actor.id, xyz, where.yaw, pitch=where.pitch, roll=where.roll)
        else:
            actor.pose = where

    def walk(self, actor: Actor, where: Pose, speed: float) -> None:
        """A client's crowd says where a walker is and how fast it goes on.

        Its velocity, which the clients' TrafficManager looks ahead by, points where it came to since the last tick.
        """
        ground = self.simulation.ground(where.x, where.y)
        x, y, _ = self.body(actor)["xyz"].tolist()
        way = hypot(where.x - x, where.y - y)
        pace = speed / way if way > 1e-6 else 0.0
        velocity = (pace * (where.x - x), pace * (where.y - y), 0.0)
        self.simulation.place(actor.id, (where.x, where.y, ground), where.yaw, velocity=velocity)
        self.simulation.control_walker(actor.id, (cos(where.yaw), sin(where.yaw)), speed)
        self.led.add(actor.id)

    def holder(self, actor: Actor) -> Actor | None:
        """The body that an actor is or is fixed to."""
        while not actor.is_body:
            if actor.parent not in self.actors.by_id:
                return None
            actor = self.actors.by_id[actor.parent]
        return actor

    # ---------------------------------------------------------------------------------------------------- time
    def step(self, dt: float) -> None:
        """One tick of `dt` seconds; what hangs on moving things follows them."""
        if self.walking or self.led:
            for number in self.walking - self.led:
                self.simulation.set_velocity(number, (0.0, 0.0, 0.0))  # the crowd has let go of it
            self.walking, self.led = self.led, set()
        steps = max(1, ceil(dt / LONGEST_STEP - 1e-9))
        contacts = []
        pushes = self.simulation.pushes() if steps > 1 else None
        for _ in range(steps):
            if pushes is not None:
                self.simulation.push(pushes)
            self.simulation.step(dt / steps)
            contacts.append(self.simulation.contacts)
        self.contacts = contacts[0] if steps == 1 else np.concatenate(contacts)
        self.frame += 1
        self._cast_out()
        self.stop_signs.step(self.simulation.bodies, dt)
        self._forget_controls()
        self.friction.step(self)
        self.follow()

    def _cast_out(self) -> None:
        """Removes bodies that have left the world; one that is no actor any more ends the looking for others."""
        while (number := self._first_strayed.call(self.simulation.bodies)) in self.actors.by_id:
            log.warning("actor %d (%s) left the world and is gone", number, self.destroy(number).type_id)

    def follow(self) -> None:
        """Moves attached actors with their parents, parents first; bodies with physics go their own way."""
        for parent in list(self.actors.children):
            holder = self.actors.by_id.get(parent)
            if holder is not None and not holder.parent:
                self._follow(holder)

    def _follow(self, holder: Actor) -> None:
        pose = self.pose_of(holder)
        for number in self.actors.children.get(holder.id, ()):
            child = self.actors.by_id[number]
            if not (child.is_body and self.body(child)["physics"]):
                self._put(child, child.follow(pose))
            if number in self.actors.children:
                self._follow(child)

    def mounted_in(self, actor: Actor) -> int:
        """The body that a sensor is mounted in or close on, which it then looks through; 0 for none."""
        holder = self.holder(actor)
        if holder is None:
            return 0
        x, y, z = relative(self.pose_of(holder), actor.pose).xyz
        above = z + (holder.extent[2] if holder.category is Category.WALKER else 0.0)
        length, width, height = holder.extent
        near = abs(x) < length + SKIN and abs(y) < width + SKIN and -SKIN < above < 2 * height + SKIN
        return holder.id if near else 0

    @property
    def rays(self) -> Rays:
        """Casts rays in this town; made when first needed."""
        if self._rays is None:
            from roadcraft.sim.embedded.rays import Rays

            self._rays = Rays(self.shown.town)
        return self._rays

    @property
    def surfaces(self) -> list[Thing]:
        """Roads, sidewalks, paint and terrain in pieces; listed when first asked for."""
        if not self._surfaces:
            from roadcraft.sim.embedded.server.surfaces import surfaces

            self._surfaces = surfaces(self.town, self.simulation.ground)
        return self._surfaces

    def inherit(self, before: LiveWorld) -> None:
        """Takes over what the episode before prepared, where it shows the same town, and who was there."""
        self.actors.follow_on(before.actors)
        if before.town is self.town:
            self._surfaces = before._surfaces
        if before.shown.town is self.shown.town:
            self._rays = before._rays

    def rearrange(self) -> None:
        """Other standing things are shown than before."""
        self._rays = None
        self.simulation.set_scenery(self.shown.town.scenery)

    def velocity_of(self, actor: Actor) -> tuple[float, float, float]:
        """[m/s] of an actor or of the body that it is fixed to."""
        holder = self.holder(actor)
        if holder is None:
            return (0.0, 0.0, 0.0)
        x, y, z = self.body(holder)["velocity"].tolist()
        return (x, y, z)

    def _forget_controls(self) -> None:
        """Vehicles whose `sticky_control` is off are driven only by the controls of the same tick."""
        for number in self.forgetful:
            self.simulation.control_vehicle(number, 0.0, 0.0, 0.0)
