"""CarlaWorld: a `World` over the real `carla` client, synchronous at 20 Hz, whichever server answers.

This is where CARLA's left-handed degrees end. The order of things follows what makes CARLA's clients hang or crash:
sensors stop before anything is destroyed, ticks have a time limit, batches and ticks are apart, callbacks only enqueue.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import astuple, replace
from math import hypot, radians
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.carla_stage import CarlaStage, TrafficManager
from roadcraft.sim.errors import UserError, WorldLost
from roadcraft.sim.facts import TickBuilder, nearby
from roadcraft.sim.geometry import from_carla_yaw
from roadcraft.sim.messages import ACTOR, DT, Control, Episode, Kind, LightState, Tick
from roadcraft.sim.population import populate
from roadcraft.sim.roads import RoadNetwork, network_from_opendrive
from roadcraft.sim.routes import route_of
from roadcraft.sim.scenarios import Director
from roadcraft.sim.sensors import Rig, kind_of
from roadcraft.sim.stage import BACKGROUND, BACKGROUND_RADIUS, EGO_BLUEPRINT, EGO_COLOR, EGO_ROLE, WARM_UP

CONNECT_TIMEOUT = 5.0  # s
TICK_TIMEOUT = 10.0  # s
LOAD_TIMEOUT = 300.0  # s for loading a map
BRAKING = 0.05  # of the brake pedal, from which the brake lights count as lit


class Process(Protocol):
    """The server's process, where we have started it: for a better story when it dies."""

    def poll(self) -> int | None:
        """Its exit status, None while it lives."""

    def tail(self) -> str:
        """The end of what it wrote."""


class CarlaWorld:
    """One car on a CARLA server. Use it as a context manager, or call `close`: the server gets its old settings back.

    Raises UserError when nothing answers at the address or another version does, WorldLost when the server is lost in
    mid-episode.
    """

    dt = DT

    def __init__(self, host: str = "127.0.0.1", port: int = 2000, process: Process | None = None) -> None:
        self.host, self.port, self._process = host, port, process
        self._carla = _carla()
        self._client: Any = None
        self._world: Any = None
        self._settings: Any = None  # the server's own
        self._network: RoadNetwork | None = None
        self._town = ""
        self._rig: Rig | None = None
        self._ego: Any = None
        self._stage: CarlaStage | None = None
        self._known: dict[int, tuple[Kind, tuple[float, float, float], bool]] = {}  # kind, extent, background
        self._others: set[int] = set()  # actors that are no bodies
        self._lights: list[tuple[int, Any]] = []
        self._frame = self._frame0 = 0
        self._connect()

    # ------------------------------------------------------------------------------------------------- connection
    def _connect(self) -> None:
        address = f"{self.host}:{self.port}"
        try:
            socket.create_connection((self.host, self.port), CONNECT_TIMEOUT).close()
        except OSError as error:
            raise UserError(
                f"no CARLA server listens at {address} ({error.strerror or error}): "
                f"start one with `roadcraft serve --port {self.port}`, or name no server and one is started for you"
            ) from None
        try:
            self._client = self._carla.Client(self.host, self.port)
            self._client.set_timeout(CONNECT_TIMEOUT)
            self._manager = TrafficManager(self._client)
            ours, theirs = self._client.get_client_version(), self._client.get_server_version()
        except RuntimeError as error:
            self._client = None
            raise UserError(
                f"what listens at {address} does not answer as a CARLA server: {_one_line(error)}"
            ) from None
        if ours != theirs:
            self._client = None
            raise UserError(f"the server at {address} is CARLA {theirs}, the client is {ours}: they must be the same")
        self._client.set_timeout(TICK_TIMEOUT)

    def __enter__(self) -> CarlaWorld:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Destroys what we spawned, gives the server its settings back. May be called twice, and on a dead server."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            if self._alive():
                self._clear(client, mine=True)
                if self._manager.running:
                    self._world.tick(TICK_TIMEOUT)  # it sees that its vehicles are gone, or its thread fails
                    self._manager.close()
                if self._world is not None and self._settings is not None:
                    self._world.apply_settings(self._settings)
        except RuntimeError:
            pass  # it died meanwhile: nothing left to give back
        finally:
            self._forget()

    def _forget(self) -> None:
        """Drops the client's objects; with the last of them its threads end."""
        if self._rig is not None:
            for sensor in self._rig.sensors:
                if sensor.actor.is_listening():
                    sensor.actor.stop()
        self._rig = self._ego = self._stage = self._world = self._settings = None
        self._lights, self._known = [], {}

    def _alive(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            return False
        try:
            socket.create_connection((self.host, self.port), 1.0).close()
        except OSError:
            return False
        return True

    def _lost(self, error: BaseException) -> WorldLost:
        """One message that says what died."""
        parts = [f"the CARLA server at {self.host}:{self.port} was lost at tick {self._frame}"]
        code = self._process.poll() if self._process is not None else None
        if code is not None:
            parts.append(
                f"its process was killed by signal {-code}" if code < 0 else f"its process ended with status {code}"
            )
        elif self._alive():
            parts.append(f"it still listens but did not answer within {TICK_TIMEOUT:g} s")
        else:
            parts.append("nothing listens there any more")
        said = self._process.tail() if self._process is not None else ""
        parts.append(f"it said last: {_one_line(said)[-300:]}" if said.strip() else _one_line(error))
        return WorldLost("; ".join(parts))

    # ------------------------------------------------------------------------------------------------- the episode
    def reset(self, episode: Episode) -> Tick:
        """Begins an episode and returns its first tick. Raises UserError for an unknown town, WorldLost."""
        if self._client is None:
            raise UserError("this world is closed")
        self._client.set_timeout(LOAD_TIMEOUT)  # the first pictures: a server loads, ours compiles what it draws with
        try:
            return self._reset(episode)
        except RuntimeError as error:
            raise self._lost(error) from None
        finally:
            if self._client is not None:
                self._client.set_timeout(TICK_TIMEOUT)

    def _reset(self, episode: Episode) -> Tick:
        self._frame = 0
        if self._network is None or self._town != episode.town:
            # The client's TrafficManager may crash when a world is loaded under the cars that it drives.
            self._clear(self._client, mine=True)
            self._load(episode.town)
        assert self._network is not None
        carla, world, network = self._carla, self._world, self._network
        self._clear(self._client, mine=False)
        world.set_weather(carla.WeatherParameters(*astuple(episode.weather)))
        route = route_of(network, episode)
        stage = self._stage = CarlaStage(carla, self._manager, world, network, episode.seed, episode.weather.dark)
        ego = stage.spawn(EGO_BLUEPRINT, (*route.xy[0], route.yaw[0]), role=EGO_ROLE, color=EGO_COLOR)
        self._ego = stage.actors[ego]
        populate(stage, network, route, episode.traffic, episode.seed)
        self._reset_lights()
        self.director = Director(stage, network, route, episode)
        self._rig = Rig(carla, world, self._ego, episode.camera)
        self._known, self._others, self._steer = {}, set(), 0.0
        self._ego.apply_control(carla.VehicleControl(brake=1.0))
        stage.engage()
        for _ in range(WARM_UP):
            frame = world.tick(LOAD_TIMEOUT)
        self._frame0 = frame
        box = self._ego.bounding_box.extent
        extent = np.array([box.x, box.y, box.z])
        self._build = TickBuilder(network, route, extent, episode.seed, episode.camera)
        return self._observe(frame)

    def _load(self, town: str) -> None:
        """Loads a town unless the server has it loaded, and reads its roads."""
        client = self._client
        try:
            world = client.get_world()
            if self._settings is None:
                self._settings = world.get_settings()
            text = _read(town) if town.endswith(".xodr") else ""
            present = world.get_map()
            if text and present.to_opendrive() != text:
                world = client.generate_opendrive_world(text)
            elif not text and present.name.split("/")[-1] != town:
                world = client.load_world(town)
        except RuntimeError as error:
            if not self._alive() or "time-out" in str(error):
                raise
            raise UserError(f"the server at {self.host}:{self.port} cannot load {town!r}: {_one_line(error)}") from None
        settings = world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = True, DT
        world.apply_settings(settings)
        self._network = network_from_opendrive(world.get_map().to_opendrive(), town)
        self._world, self._town = world, town

    def _reset_lights(self) -> None:
        """All junctions begin their cycle."""
        assert self._network is not None
        rows = {str(name): row for row, name in enumerate(self._network.signals["id"])}
        lights = list(self._world.get_actors().filter("traffic.traffic_light"))
        self._lights = sorted((rows[a.get_opendrive_id()], a) for a in lights if a.get_opendrive_id() in rows)
        begun: set[int] = set()
        for row, light in self._lights:
            group = int(self._network.signals["group"][row])
            if group < 0 or group not in begun:
                light.reset_group()
                begun.add(group)

    def _clear(self, client: Any, mine: bool) -> None:
        """Removes our actors, or all that move: sensors stop first, then they go, then controllers, then the rest."""
        destroy = self._carla.command.DestroyActor
        if self._stage is not None:
            self._stage.disengage()
        if self._rig is not None:
            self._rig.stop()
            client.apply_batch_sync([destroy(sensor.actor) for sensor in self._rig.sensors])
            self._rig = None
        if self._world is None:
            return
        ours = list(self._stage.actors.values()) if self._stage is not None else []
        ours += self._stage.controllers if self._stage is not None else []
        if not mine:
            seen = {actor.id for actor in ours}
            ours += [actor for actor in self._world.get_actors() if _moves(actor.type_id) and actor.id not in seen]
        controllers = [actor for actor in ours if actor.type_id.startswith("controller.")]
        for controller in controllers:
            controller.stop()
        rest = [actor for actor in ours if not actor.type_id.startswith("controller.")]
        client.apply_batch_sync([destroy(actor) for actor in (*controllers, *rest)])
        self._stage = self._ego = None

    # ------------------------------------------------------------------------------------------------- one tick
    def step(self, control: Control) -> Tick:
        """Applies the control for one tick and returns what then is. Raises WorldLost."""
        if self._ego is None:
            raise UserError("reset() comes before step()")
        self._frame += 1
        try:
            self._steer = control.steer
            self._ego.apply_control(
                self._carla.VehicleControl(throttle=control.throttle, steer=-control.steer, brake=control.brake)
            )
            if self.director.scenarios:
                self.director.step(self._tick.facts)
            if self._process is not None and self._process.poll() is not None:
                raise RuntimeError("the process has ended")
            return self._observe(self._world.tick(TICK_TIMEOUT))
        except RuntimeError as error:
            raise self._lost(error) from None

    def _observe(self, frame: int) -> Tick:
        assert self._rig is not None
        assert self._network is not None
        assert self._stage is not None
        snapshot = self._world.get_snapshot()
        if snapshot.frame != frame:
            raise WorldLost(f"tick {frame} was asked for, the server's snapshot is of {snapshot.frame}")
        me = snapshot.find(self._ego.id)
        if me is None:
            raise WorldLost(f"the ego (actor {self._ego.id}) is gone: another client has destroyed it")
        place, velocity, accel = me.get_transform(), me.get_velocity(), me.get_acceleration()
        pose = place.location.x, -place.location.y, from_carla_yaw(place.rotation.yaw)
        yaw_rate = -radians(me.get_angular_velocity().z)
        state = np.array([*pose, velocity.x, -velocity.y, accel.x, -accel.y, yaw_rate])
        actors, background = self._actors(snapshot, state[:2])
        rgb, labels = self._rig.images(frame)
        if labels is not None:
            turned = place.rotation
            labels = replace(labels, tilt=(place.location.z, -radians(turned.pitch), radians(turned.roll)))
        self._tick = self._build(
            self._frame,
            state,
            float(np.float32(self._steer)),
            nearby(actors, state[:2]),
            self._light_states(),
            self._rig.contacts(frame, state[:2]),
            background,
            self.director.events,
            rgb,
            labels,
        )
        return self._tick

    def _light_states(self) -> NDArray[np.uint8]:
        assert self._network is not None
        states = np.full(len(self._network.signals), LightState.UNKNOWN, np.uint8)
        for row, light in self._lights:
            states[row] = int(light.state)
        return states

    def _actors(self, snapshot: Iterable[Any], xy: NDArray[np.float64]) -> tuple[NDArray[np.void], float]:
        """All vehicles, walkers and props but the ego (N,) ACTOR, by number; mean speed of the background [m/s] near
        the ego, which is at `xy` (2,) [m] world."""
        assert self._stage is not None
        found = [each for each in snapshot if each.id not in self._others and each.id != self._ego.id]
        found = sorted((each for each in found if self._is_body(each.id)), key=lambda each: each.id)
        actors = np.zeros(len(found), ACTOR)
        speeds = []
        for row, each in zip(actors, found, strict=True):
            kind, extent, background = self._known[each.id]
            place, velocity = each.get_transform(), each.get_velocity()
            z = place.location.z - (extent[2] if kind == Kind.PEDESTRIAN else 0.0)
            row["id"], row["kind"], row["extent"] = each.id, kind, extent
            row["xyz"] = place.location.x, -place.location.y, z
            row["yaw"] = from_carla_yaw(place.rotation.yaw)
            row["velocity"] = velocity.x, -velocity.y
            row["emergency"] = each.id in self._stage.sirens
            if kind <= Kind.BICYCLE:
                row["braking"] = self._stage.actor(each.id).get_control().brake > BRAKING
                if background and hypot(*(row["xyz"][:2] - xy)) < BACKGROUND_RADIUS:
                    speeds.append(float(np.hypot(velocity.x, velocity.y)))
        actors["visible_px"] = -1
        return actors, float(np.mean(speeds)) if speeds else float("nan")

    def _is_body(self, number: int) -> bool:
        """Whether that actor is a vehicle, a walker or a prop; looks it up when it is new."""
        if number in self._known:
            return True
        assert self._stage is not None
        actor = self._stage.actor(number)
        if actor is None or not _moves(actor.type_id):
            self._others.add(number)
            return False
        box = actor.bounding_box.extent
        role = actor.attributes.get("role_name", "")
        self._known[number] = (kind_of(actor), (box.x, box.y, box.z), role == BACKGROUND)
        return True


def _carla() -> Any:
    try:
        import carla
    except ImportError as error:
        raise UserError(
            f"the carla client is not installed ({error}): there are wheels for Linux and Windows on x86-64; "
            "elsewhere use the embedded world"
        ) from None
    return carla


def _moves(type_id: str) -> bool:
    return type_id.startswith(("vehicle.", "walker.", "static.prop.", "controller."))


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError as error:
        raise UserError(f"cannot read the map {path}: {error.strerror}") from None


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
