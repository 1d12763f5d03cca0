"""`Stage` over the real `carla` client: what scenarios and the population do on a CARLA server.

Vehicles and walkers of the background are driven by the server itself where their blueprints have the attribute
`server_autopilot`; elsewhere by the client's TrafficManager and walker controllers, as CARLA's own scripts do.
"""

from __future__ import annotations

import socket
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from roadcraft.sim.errors import UserError
from roadcraft.sim.geometry import to_carla_yaw
from roadcraft.sim.messages import LightState
from roadcraft.sim.roads import RoadNetwork
from roadcraft.sim.stage import (
    SCENARIO,
    VEHICLE_LIFT,
    WALKER_LIFT,
    PlaceTaken,
    ground_height,
    light_bits,
)

WALKING_SPEED = 1.4  # m/s
SERVER_AUTOPILOT = "server_autopilot"  # blueprint attribute: seed of the server's own driver, 0 for none


class TrafficManager:
    """The client's TrafficManager, started when first asked for and kept: a new one an episode crashes the client."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._manager: Any = None

    def get(self) -> Any:
        """The manager, in synchronous mode, on a port of its own."""
        if self._manager is None:
            self._manager = self._client.get_trafficmanager(free_port())
            self._manager.set_synchronous_mode(True)
        return self._manager

    @property
    def running(self) -> bool:
        """Whether it was asked for."""
        return self._manager is not None

    def close(self) -> None:
        """Ends it. May be called twice."""
        manager, self._manager = self._manager, None
        if manager is not None:
            manager.set_synchronous_mode(False)
            manager.shut_down()


class CarlaStage:
    """The actors of one episode."""

    def __init__(
        self, carla: Any, manager: TrafficManager, world: Any, network: RoadNetwork, seed: int, dark: bool
    ) -> None:
        self._carla, self._manager, self._world, self._network, self._seed = carla, manager, world, network, seed
        self._dark = dark  # headlights are on
        self._library = world.get_blueprint_library()
        self.actors: dict[int, Any] = {}  # those that we spawned
        self.controllers: list[Any] = []
        self.sirens: set[int] = set()
        self._foreign: dict[int, Any] = {}  # actors of others that were looked up
        self._managed: list[Any] = []  # vehicles that the client's TrafficManager drives
        self._engaged = False
        self._waiting: list[Any] = []  # background actors that the client must drive
        self._lights: dict[int, Any] = {}

    def actor(self, number: int) -> Any:
        """The client's object of any actor, None when there is no such."""
        if number in self.actors:
            return self.actors[number]
        if number not in self._foreign:
            self._foreign[number] = self._world.get_actor(number)
        return self._foreign[number]

    def spawn(
        self,
        blueprint: str,
        pose: ArrayLike,
        *,
        autopilot: int = 0,
        role: str = SCENARIO,
        color: tuple[int, int, int] | None = None,
    ) -> int:
        description = self._library.find(blueprint)
        description.set_attribute("role_name", role)
        if color is not None and description.has_attribute("color"):
            description.set_attribute("color", ",".join(map(str, color)))
        served = description.has_attribute(SERVER_AUTOPILOT)
        if served and autopilot:
            description.set_attribute(SERVER_AUTOPILOT, str(autopilot))
        walker = blueprint.startswith("walker.")
        lift = WALKER_LIFT if walker else VEHICLE_LIFT if blueprint.startswith("vehicle.") else 0.0
        try:
            actor = self._world.spawn_actor(description, self._transform(pose, lift))
        except RuntimeError as error:
            if "collision" in str(error):
                raise PlaceTaken(f"{blueprint}: {error}") from None
            raise
        self.actors[actor.id] = actor
        if autopilot and not served:
            self._waiting.append(actor)
            if self._engaged:
                self._drive()
        if role == SCENARIO and not walker:
            actor.set_simulate_physics(False)
        if self._dark and description.id.startswith("vehicle."):
            actor.set_light_state(self._carla.VehicleLightState(light_bits(True)))
        return int(actor.id)

    def remove(self, actor: int) -> None:
        self.actors.pop(actor).destroy()
        self.sirens.discard(actor)

    def move(self, actor: int, pose: ArrayLike, velocity: ArrayLike) -> None:
        body = self.actors[actor]
        lift = body.bounding_box.extent.z if body.type_id.startswith("walker.") else 0.0
        body.set_transform(self._transform(pose, lift))
        vx, vy = np.asarray(velocity, float).tolist()
        body.set_target_velocity(self._carla.Vector3D(vx, -vy, 0.0))

    def walk(self, actor: int, direction: ArrayLike, speed: float) -> None:
        dx, dy = np.asarray(direction, float).tolist()
        self.actors[actor].apply_control(self._carla.WalkerControl(self._carla.Vector3D(dx, -dy, 0.0), speed))

    def lights(
        self, actor: int, brake: bool = False, left: bool = False, right: bool = False, siren: bool = False
    ) -> None:
        body = self.actors[actor]
        body.set_light_state(self._carla.VehicleLightState(light_bits(self._dark, brake, left, right, siren)))
        body.apply_control(self._carla.VehicleControl(brake=float(brake)))
        (self.sirens.add if siren else self.sirens.discard)(actor)

    def set_light(self, signal: int, state: LightState) -> None:
        if not self._lights:
            rows = {str(name): row for row, name in enumerate(self._network.signals["id"])}
            for light in self._world.get_actors().filter("traffic.traffic_light"):
                self._lights[rows.get(light.get_opendrive_id(), -1)] = light
        self._lights[signal].set_state(getattr(self._carla.TrafficLightState, state.name.capitalize()))

    def engage(self) -> None:
        """Gives those background actors to the client's own drivers whose server has none."""
        self._engaged = True
        if not self._waiting:
            return
        self._world.set_pedestrians_seed(self._seed)
        self._manager.get().set_random_device_seed(self._seed)
        walkers = [actor for actor in self._waiting if actor.type_id.startswith("walker.")]
        controller = self._library.find("controller.ai.walker")
        self._drive()
        self.controllers = [
            self._world.spawn_actor(controller, self._carla.Transform(), attach_to=walker) for walker in walkers
        ]
        self._world.tick()
        for each in self.controllers:
            each.start()
            each.go_to_location(self._world.get_random_location_from_navigation())
            each.set_max_speed(WALKING_SPEED)

    def _drive(self) -> None:
        """The TrafficManager takes the vehicles that wait."""
        manager = self._manager.get()
        for actor in self._waiting:
            if actor.type_id.startswith("vehicle."):
                actor.set_autopilot(True, manager.get_port())
                manager.update_vehicle_lights(actor, True)
                self._managed.append(actor)
        self._waiting = []

    def disengage(self) -> None:
        """Takes the client's drivers off, a tick before what they drive is destroyed: else its threads fail."""
        if not self._managed and not self.controllers:
            return
        for controller in self.controllers:
            controller.stop()
        for actor in self._managed:
            actor.set_autopilot(False, self._manager.get().get_port())
        self._managed = []
        self._world.tick()

    def _transform(self, pose: ArrayLike, lift: float) -> Any:
        x, y, yaw = np.asarray(pose, float).tolist()
        z = ground_height(self._network, float(np.float32(x)), float(np.float32(y))) + lift
        return self._carla.Transform(self._carla.Location(x, -y, z), self._carla.Rotation(yaw=to_carla_yaw(yaw)))


def free_port() -> int:
    """A TCP port that nobody listens on. Raises UserError when there is none."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            return int(sock.getsockname()[1])
    except OSError as error:
        raise UserError(f"no free TCP port for the TrafficManager: {error.strerror}") from None
