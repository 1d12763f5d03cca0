"""EmbeddedWorld: the embedded simulator in this very process, as a `World`. No sockets: for training and tests.

What the server does for a client in one tick, in the same order: control, scenarios, simulation, camera.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadcraft.sim.embedded.catalogue import find
from roadcraft.sim.embedded.scenery import Shape
from roadcraft.sim.embedded.server.wire import Pose, compose
from roadcraft.sim.embedded.state import Simulation, SpawnError
from roadcraft.sim.embedded.town import Town, load_town
from roadcraft.sim.errors import UserError
from roadcraft.sim.facts import ACTOR_RADIUS, TickBuilder
from roadcraft.sim.kernels import Direct, kernel
from roadcraft.sim.messages import ACTOR, CONTACT, DT, Camera, Control, Episode, Kind, Labels, LightState, Tick
from roadcraft.sim.population import populate
from roadcraft.sim.roads import RoadNetwork
from roadcraft.sim.routes import route_of
from roadcraft.sim.rows import Rows
from roadcraft.sim.scenarios import Director
from roadcraft.sim.stage import (
    BACKGROUND_RADIUS,
    EGO_BLUEPRINT,
    EGO_COLOR,
    EGO_ROLE,
    SCENARIO,
    VEHICLE_LIFT,
    WALKER_LIFT,
    WARM_UP,
    PlaceTaken,
    as_sent,
    ground_height,
    light_bits,
)

if TYPE_CHECKING:
    from roadcraft.sim.embedded.render import View

PARKED = 1 << 31  # numbers of parked cars, above all actors'
NO_CONTACTS = np.zeros(0, CONTACT)
_MAX_KIND_OF_VEHICLES = int(Kind.BICYCLE)
_BRAKING = 0.05  # of the brake pedal, from which the brake lights are lit


class EmbeddedWorld:
    """One car in one town. Keeps the town loaded between episodes."""

    dt = DT

    def __init__(self) -> None:
        self.simulation: Simulation | None = None
        self.ego = 0  # the ego's number
        self._read = Reader()
        self._town_name = ""
        self._town: Town | None = None
        self._renderer: Any = None
        self._frame = 0
        self.looking = True  # False leaves the camera out of ticks that nobody looks at

    @property
    def network(self) -> RoadNetwork:
        """The lanes and signals of the present town."""
        assert self._town is not None, "reset() comes first"
        return self._town.network

    @property
    def parked(self) -> NDArray[np.void]:
        """The parked cars (P,) ACTOR of the present town: things of the map, not of the simulation, numbered apart."""
        assert self._town is not None, "reset() comes first"
        cars = self._town.scenery.static
        cars = cars[cars["shape"] == Shape.CAR]
        rows = np.zeros(len(cars), ACTOR)
        for name in ("xyz", "yaw", "extent"):
            rows[name] = cars[name]
        rows["id"], rows["kind"], rows["visible_px"] = PARKED + np.arange(len(cars)), Kind.CAR, -1
        return rows

    def reset(self, episode: Episode) -> Tick:
        """Begins an episode and returns its first tick. Raises UserError for an unknown town."""
        if self._town is None or episode.town != self._town_name:
            self._town, self._town_name = load_town(episode.town), episode.town
            self.simulation, self._renderer = Simulation(self._town), None
        town, simulation = self._town, self.simulation
        assert simulation is not None
        route = route_of(town.network, episode)
        simulation.reset(0)
        simulation.weather = episode.weather
        self._episode, self._frame, self.route = episode, 0, route
        self.stage = EmbeddedStage(simulation, town.network)
        self.ego = self.stage.spawn(EGO_BLUEPRINT, (*route.xy[0], route.yaw[0]), role=EGO_ROLE, color=EGO_COLOR)
        populate(self.stage, town.network, route, episode.traffic, episode.seed)
        for group in range(len(simulation.lights.groups)):
            simulation.lights.reset_group(int(np.argmax(simulation.lights.rows["group"] == group)))
        self.director = Director(self.stage, town.network, route, episode)
        extent = np.array(find(EGO_BLUEPRINT).extent)
        self._build = TickBuilder(town.network, route, extent, episode.seed, episode.camera)
        self._steer = 0.0
        simulation.control_vehicle(self.ego, 0.0, 0.0, 1.0)
        for _ in range(WARM_UP):
            simulation.step(DT)
        return self._observe()

    def step(self, control: Control) -> Tick:
        """Applies the control for one tick and returns what then is."""
        if self.simulation is None:
            raise UserError("reset() comes before step()")
        self._frame += 1
        self._steer = self.simulation.control_vehicle(self.ego, control.throttle, control.steer, control.brake)
        if self.director.scenarios:
            self.director.step(self._tick.facts)
        self.simulation.step(DT)
        return self._observe()

    def close(self) -> None:
        """Gives the memory back."""
        self.simulation = self._town = self._renderer = None
        self._town_name = ""

    def _observe(self) -> Tick:
        simulation = self.simulation
        assert simulation is not None
        bodies = simulation.bodies
        row = simulation.row(self.ego)
        state, actors, background = self._read(bodies, row, self.stage.sirens)
        looks = self.looking and self._episode.camera is not None
        rgb, labels = self._render(bodies[row]) if looks else (None, None)
        self._tick = self._build(
            self._frame,
            state,
            self._steer,
            actors,
            simulation.lights.state,
            self._contacts(simulation.contacts, state) if simulation.touched else NO_CONTACTS,
            background,
            self.director.events,
            rgb,
            labels,
        )
        return self._tick

    def _contacts(self, found: NDArray[np.void], state: NDArray[np.float64]) -> NDArray[np.void]:
        mine = found[found["a"] == self.ego]
        contacts = np.zeros(len(mine), CONTACT)
        contacts["id"], contacts["kind"], contacts["impulse"] = mine["b"], mine["kind"], mine["impulse"]
        contacts["xy"] = state[:2]
        return contacts

    def _render(self, body: np.void) -> tuple[NDArray[np.uint8], Labels | None]:
        # Compiled code that worlds without a camera never need.
        from roadcraft.sim.embedded.render import Renderer, Scene

        simulation, camera = self.simulation, self._episode.camera
        assert simulation is not None
        assert camera is not None
        assert self._town is not None
        if self._renderer is None:
            self._renderer = Renderer(self._town)
        scene = Scene(simulation.bodies, simulation.lights.state, simulation.weather, simulation.time)
        images = self._renderer.render(
            scene,
            mounted_view(camera, body),
            semantic=camera.labels,
            instance=camera.labels,
            depth=camera.labels,
            hide=self.ego,
        )
        rgb: NDArray[np.uint8] = images.rgb.copy()
        if not camera.labels:
            return rgb, None
        tilt = float(body["xyz"][2]), float(body["pitch"]), float(body["roll"])
        return rgb, Labels(images.semantic.copy(), images.instance.copy(), images.depth.copy(), tilt)


def mounted_view(camera: Camera, body: np.void) -> View:
    """What a camera fixed to a body looks at."""
    from roadcraft.sim.embedded.render import View

    x, y, z = body["xyz"].tolist()
    holder = Pose(x, y, z, float(body["yaw"]), float(body["pitch"]), float(body["roll"]))
    dx, dy, dz = camera.xyz_ego
    at = compose(holder, Pose(dx, dy, dz, pitch=camera.pitch))
    return View(at.xyz, at.yaw, at.pitch, at.roll, camera.width, camera.height, camera.fov)


class EmbeddedStage:
    """`Stage` on a simulation in this process."""

    def __init__(self, simulation: Simulation, network: RoadNetwork) -> None:
        self._simulation, self._network = simulation, network
        self.sirens = np.zeros(0, np.uint32)  # actors with blue lights on

    def spawn(
        self,
        blueprint: str,
        pose: ArrayLike,
        *,
        autopilot: int = 0,
        role: str = SCENARIO,
        color: tuple[int, int, int] | None = None,
    ) -> int:
        x, y, yaw = as_sent(pose).tolist()
        z, kind = ground_height(self._network, x, y), find(blueprint)
        if kind.kind == Kind.PEDESTRIAN:
            z = float(np.float32(z + WALKER_LIFT)) - kind.extent[2]
        else:
            z = float(np.float32(z + (VEHICLE_LIFT if kind.is_vehicle else 0.0)))
        try:
            actor = self._simulation.spawn(blueprint, (x, y, z), yaw, autopilot=autopilot, color=color)
        except SpawnError as error:
            raise PlaceTaken(str(error)) from error
        if role == SCENARIO and kind.kind != Kind.PEDESTRIAN:
            self._simulation.set_physics(actor, False)
        if kind.is_vehicle:
            self._simulation.set_lights(actor, light_bits(self._simulation.weather.dark))
        return actor

    def remove(self, actor: int) -> None:
        self._simulation.remove(actor)
        self.sirens = self.sirens[self.sirens != actor]

    def move(self, actor: int, pose: ArrayLike, velocity: ArrayLike) -> None:
        x, y, yaw = as_sent(pose).tolist()
        z = float(np.float32(ground_height(self._network, x, y)))
        vx, vy = np.asarray(velocity, np.float32).tolist()
        self._simulation.place(actor, (x, y, z), yaw, velocity=(vx, vy, 0.0))

    def walk(self, actor: int, direction: ArrayLike, speed: float) -> None:
        self._simulation.control_walker(actor, direction, speed)

    def lights(
        self, actor: int, brake: bool = False, left: bool = False, right: bool = False, siren: bool = False
    ) -> None:
        row = self._simulation.row(actor)
        self._simulation.bodies["lights"][row] = light_bits(self._simulation.weather.dark, brake, left, right, siren)
        self._simulation.bodies["brake"][row] = float(brake)
        others = self.sirens[self.sirens != actor]
        self.sirens = np.append(others, np.uint32(actor)) if siren else others

    def set_light(self, signal: int, state: LightState) -> None:
        self._simulation.lights.set_state(signal, state)


@kernel
def _read(bodies, ego, sirens, actors, state):  # type: ignore[no-untyped-def]
    """Fills `actors` and the ego's `state`; returns (actors within reach, sum of background speeds, their number)."""
    me = bodies[ego]
    x, y = me["xyz"][0], me["xyz"][1]
    state[0], state[1], state[2] = x, y, me["yaw"]
    state[3], state[4] = me["velocity"][0], me["velocity"][1]
    state[5], state[6] = me["accel"][0], me["accel"][1]
    state[7] = me["yaw_rate"]
    count, total, others = 0, 0.0, 0
    for i in range(bodies.shape[0]):
        body = bodies[i]
        if body["id"] == 0 or i == ego:
            continue
        vx, vy = body["velocity"][0], body["velocity"][1]
        dx, dy = body["xyz"][0] - x, body["xyz"][1] - y
        square = dx * dx + dy * dy
        if square < BACKGROUND_RADIUS**2 and body["autopilot"] != 0 and body["kind"] <= _MAX_KIND_OF_VEHICLES:
            total += np.sqrt(vx * vx + vy * vy)
            others += 1
        if square > ACTOR_RADIUS * ACTOR_RADIUS:
            continue
        actor = actors[count]
        actor["id"] = body["id"]
        actor["kind"] = body["kind"]
        actor["braking"] = body["brake"] > _BRAKING
        actor["emergency"] = False
        for k in range(len(sirens)):
            actor["emergency"] |= sirens[k] == body["id"]
        for k in range(3):
            actor["xyz"][k] = body["xyz"][k]
            actor["extent"][k] = body["extent"][k]
        actor["yaw"] = body["yaw"]
        actor["velocity"][0], actor["velocity"][1] = vx, vy
        actor["visible_px"] = -1
        count += 1
    return count, total, others


class Reader:
    """Reads what is around the ego from a simulation's bodies."""

    def __init__(self) -> None:
        self._kernel, self._actors = Direct(_read), Rows(ACTOR)

    def __call__(
        self, bodies: NDArray[np.void], ego: int, sirens: NDArray[np.uint32]
    ) -> tuple[NDArray[np.float64], NDArray[np.void], float]:
        """The ego's x, y, yaw, velocity (2), accel (2), yaw rate as one (8,) array; actors near it; background speed.

        `ego`: its row. `sirens`: numbers of those with blue lights on.
        """
        state, actors = np.empty(8), self._actors.take(len(bodies))
        count, total, others = self._kernel.call(bodies, ego, sirens, actors, state)
        return state, self._actors.keep(count), total / others if others else float("nan")
