"""The state of the embedded simulator and the order of one tick.

| step | what happens in `ticking.tick` | kernel |
|---|---|---|
| 1 | lights run their clocks | `lights.run_clocks` |
| 2 | bodies are sorted into cells, vehicles into lanes | `bins.fill_bins`, `traffic.register` |
| 3 | built-in drivers set pedals, steering and indicators | `traffic.drive` |
| 4 | built-in walkers choose where to step | `walkers.stroll` |
| 5 | all bodies move, and fall to the ground | `motion.move`, `motion.settle` |
| 6 | collisions push bodies apart, contacts are told | `collisions.collide` |
| 7 | frame and time advance | |

Controls set between two ticks act in the next one. The same calls give the same bits, in whatever process.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, pi

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadcraft.sim.embedded import collisions, motion, traffic, walkers
from roadcraft.sim.embedded.bins import WIDEST_HULL, is_free, make_bins
from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.catalogue import INDEX, find
from roadcraft.sim.embedded.footpaths import make_footpaths
from roadcraft.sim.embedded.handles import Bodies
from roadcraft.sim.embedded.lights import LightTable
from roadcraft.sim.embedded.physics import default_row
from roadcraft.sim.embedded.relief import height_at
from roadcraft.sim.embedded.scenery import Scenery
from roadcraft.sim.embedded.stuck import LOOK_EVERY, elsewhere, stuck
from roadcraft.sim.embedded.ticking import tick
from roadcraft.sim.embedded.town import Town
from roadcraft.sim.errors import UserError
from roadcraft.sim.kernels import Direct
from roadcraft.sim.messages import DT, Kind, LightState, Weather

WET_GRIP = 0.7  # share of the dry road's friction on a road that stands under water


class SpawnError(UserError):
    """The place is taken. The text is CARLA's, which users match."""


class Simulation(Bodies):
    """All that moves in one town. World frame and SI units; see `sim/messages.py`."""

    def __init__(self, town: Town, seed: int = 0) -> None:
        super().__init__()
        self.town, self.network = town, town.network
        self.frame, self.time = 0, 0.0  # ticks and [s] since the beginning or the last reset
        self.weather = Weather()
        self._felt: Weather | None = None  # the weather that the next two are of
        self._night, self._grip = False, 1.0
        self.lights = LightTable(town.network.signals, seed)
        self._graph = traffic.make_graph(town.network)
        self._paths = make_footpaths(town.network, town.scenery.solids)
        self._buffer = np.zeros(collisions.MAX_CONTACTS, collisions.CONTACTS)
        self._contact_count = np.zeros(1, np.int64)
        self._bins = make_bins(town.network.xy, town.scenery)
        self._way, self._clock = np.zeros((traffic.SAMPLES, 4)), np.zeros(1)
        self._tick = Direct(tick)
        self._last_id = 0

    # ------------------------------------------------------------------------------------------------ what there is
    @property
    def contacts(self) -> NDArray[np.void]:
        """(k,) collisions.CONTACTS of the last tick, the first MAX_CONTACTS: a copy, where there are any. Each pair of
        bodies is told from both sides."""
        return self._buffer[: self._contact_count[0]].copy() if self.touched else self._buffer[:0]

    @property
    def touched(self) -> bool:
        """Whether there are contacts of the last tick."""
        return bool(self._contact_count[0])

    @property
    def grip(self) -> float:
        """The road's friction as a share of the dry road's, by the water that stands on it."""
        wet = max(self.weather.precipitation_deposits, self.weather.wetness, 0.5 * self.weather.precipitation)
        return 1.0 - (1.0 - WET_GRIP) * min(max(wet / 100.0, 0.0), 1.0)

    def new_id(self, wanted: int = 0) -> int:
        """An id that nothing else in this simulation has or had; `wanted`, where given and no body has it."""
        number = wanted if wanted and wanted not in self._rows else self._last_id + 1
        self.keep_ids(number)
        return number

    def keep_ids(self, number: int) -> None:
        """Ids up to `number` are from now on given only to who wants them."""
        self._last_id = max(self._last_id, number)

    # ---------------------------------------------------------------------------------------------- coming and going
    def spawn(
        self,
        blueprint: str,
        xyz: ArrayLike,
        yaw: float,
        *,
        autopilot: int = 0,
        color: Sequence[int] | None = None,
        wanted: int = 0,
    ) -> int:
        """Puts a body into the world and returns its id. `xyz`: x, y or x, y, z [m]; `yaw` [rad].

        `autopilot` other than 0 is the seed of a built-in driver, `wanted` as in `new_id`. Raises SpawnError when the
        place is taken.
        """
        kind = find(blueprint)
        x, y, *rest = (float(value) for value in np.asarray(xyz, float))
        if not all(map(isfinite, (x, y, yaw, *rest))):
            raise UserError(f"spawn of {blueprint}: position {x, y, *rest} or yaw {yaw} is not finite")
        z = rest[0] if rest else self.ground(x, y)
        # The box is raised a little: kerbs and the road do not count.
        bins = self._bins
        hit = is_free(
            self.bodies,
            bins.frame,
            bins.cells,
            bins.solids,
            x,
            y,
            z + 0.1,
            yaw,
            kind.extent[0],
            min(kind.extent[1], WIDEST_HULL),
            2 * kind.extent[2],
        )
        if hit != -1:
            raise SpawnError("Spawn failed because of collision at spawn position")
        number, row = self.new_id(wanted), self._free_row()
        self._rows[number] = row
        self._bodies[row] = np.zeros((), BODY)
        self._motion[row] = np.zeros((), motion.MOTION)
        self._drivers[row] = np.zeros((), traffic.DRIVER)
        self._strollers[row] = np.zeros((), walkers.STROLLER)
        index = INDEX[blueprint]
        self._physics[row] = default_row(index)
        self._settings.pop(number, None)
        body = self._bodies[row]
        body["id"], body["kind"], body["blueprint"] = number, kind.kind, index
        chosen = color if color is not None else kind.colors[(autopilot or number) % len(kind.colors)]
        body["color"] = np.clip(np.asarray(chosen, int), 0, 255)
        body["xyz"], body["yaw"], body["extent"] = (x, y, z), _wrapped(yaw), kind.extent
        body["physics"] = body["collides"] = body["gravity"] = True
        body["target_direction"] = np.cos(yaw), np.sin(yaw)
        body["gear"] = 1 if kind.is_vehicle else 0
        body["lane"] = -1
        self._register(row)
        if autopilot:
            self.set_autopilot(number, autopilot)
        return number

    def remove(self, number: int) -> None:
        """Takes a body out of the world. KeyError when there is none of that id."""
        row = self._rows.pop(number)
        self._bodies[row]["id"] = 0
        self._settings.pop(number, None)
        while self._used and self._bodies["id"][self._used - 1] == 0:
            self._used -= 1

    def reset(self, seed: int = 0) -> None:
        """Removes all bodies, restarts ids, clocks and lights. The weather stays."""
        for number in list(self._rows):
            self.remove(number)
        self._last_id, self.frame, self.time = 0, 0, 0.0
        self._contact_count[0], self._clock[0] = 0, 0.0
        self.lights = LightTable(self.network.signals, seed)

    # -------------------------------------------------------------------------------------------------------- moving
    def set_autopilot(self, number: int, seed: int) -> None:
        """Gives a vehicle or walker a built-in driver with that seed, or takes it away (0)."""
        row = self._rows[number]
        body = self._bodies[row]
        body["autopilot"] = seed
        body["throttle"] = body["steer"] = 0.0
        body["brake"] = 0.0
        self._motion[row]["ackermann"] = False
        if not seed:
            body["lights"] = 0
        elif body["kind"] <= Kind.BICYCLE:
            body["hand_brake"] = body["reverse"] = body["manual_gear"] = False
            traffic.engage(self.network.grid, self._bodies, self._drivers, row)
        elif body["kind"] == Kind.PEDESTRIAN:
            walkers.engage(self._paths, self._bodies, self._strollers, row)

    def place(
        self, number: int, xyz: ArrayLike, yaw: float, velocity: ArrayLike | None = None, pitch: float = 0.0,
        roll: float = 0.0,
    ) -> None:  # fmt: skip
        """Puts a body elsewhere, without asking what is there. Without `velocity` [m/s] it keeps its own."""
        row = self._rows[number]
        body = self._bodies[row]
        place = np.asarray(xyz, float)
        if not (np.isfinite(place).all() and isfinite(yaw)):
            raise UserError(f"place {number}: position {place.tolist()} or yaw {yaw} is not finite")
        body["xyz"][: len(place)] = place
        body["yaw"], body["pitch"], body["roll"] = _wrapped(yaw), pitch, roll
        if velocity is not None:
            self.set_velocity(number, velocity)
        self._register(row)
        if body["autopilot"]:
            self.set_autopilot(number, int(body["autopilot"]))

    def set_light(self, index: int, state: LightState | int) -> None:
        """Shows `state` on the signal in that row of the network's signals."""
        self.lights.set_state(index, LightState(state))

    def set_scenery(self, scenery: Scenery) -> None:
        """Other things stand in the way from now on; built-in walkers keep to the paths that they have."""
        self._bins = make_bins(self.network.xy, scenery)

    def ground(self, x: float, y: float) -> float:
        """Height [m] of the ground."""
        return float(height_at(self.town.relief, float(x), float(y)))

    # ---------------------------------------------------------------------------------------------------------- time
    def step(self, dt: float = DT) -> None:
        """One tick of `dt` [s], in the order of the table above."""
        graph, paths, bins, lights, weather = self._graph, self._paths, self._bins, self.lights, self.weather
        if weather is not self._felt:
            self._felt, self._night, self._grip = weather, weather.dark, self.grip
        self._tick.call(
            self.bodies, self._physics, self._motion, self._drivers, self._strollers, self._chain,
            lights.rows, lights.groups, graph.lanes, graph.points, graph.links, graph.meetings,
            paths.nodes, paths.edges, paths.signals, bins.frame, bins.cells, bins.solids,
            self.network.grid, self.town.relief, self._way, self._clock,
            self._buffer, self._contact_count, self._night, self._grip, float(dt),
        )  # fmt: skip
        self.frame += 1
        self.time += dt
        if self.frame % LOOK_EVERY == 0:
            self._free_the_stuck()

    def _free_the_stuck(self) -> None:
        bodies = self.bodies
        for row in stuck(bodies, self._drivers):
            found = elsewhere(self.network, bodies, int(row), self.frame)
            if found:
                (x, y), yaw = found
                self.place(int(bodies[row]["id"]), (x, y, self.ground(x, y)), yaw, (0.0, 0.0, 0.0))
            self._drivers[row]["standing"] = 0.0

    def _register(self, row: int) -> None:
        """Notes the lane that a body is in."""
        body = self._bodies[row]
        if body["kind"] <= Kind.BICYCLE:
            lane, s, lateral = self.network.nearest(body["xyz"][:2], float(body["yaw"]))
            near = lane >= 0 and abs(lateral) < 3.0
            body["lane"], body["lane_s"] = (lane, s) if near else (-1, 0.0)


def _wrapped(yaw: float) -> float:
    """The same angle in [-pi, pi) [rad]."""
    return (float(yaw) + pi) % (2 * pi) - pi
