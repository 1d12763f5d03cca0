"""From a world's tables to a tick: what the ego may see, and the truth beside it. Every world builds its ticks here.

A world gives the ego's state, the table of actors, the lights' states and the contacts; what follows from the map and
the route is worked out in `tracking.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.kernels import Direct
from roadcraft.sim.localisation import Localisation
from roadcraft.sim.making import maker
from roadcraft.sim.messages import (
    DT,
    Camera,
    Command,
    Ego,
    Facts,
    Kind,
    Labels,
    LightState,
    Mark,
    Observation,
    Tick,
)
from roadcraft.sim.roads import RoadNetwork
from roadcraft.sim.routes import Route
from roadcraft.sim.rows import Columns
from roadcraft.sim.tracking import VIEW, new_memory, route_points, track

ACTOR_RADIUS = 150.0  # m around the ego within which actors are facts

_facts, _ego, _observation, _tick = maker(Facts), maker(Ego), maker(Observation), maker(Tick)
_LIGHT_STATES = tuple(LightState)
_COMMANDS = {int(command): command for command in Command}
_MARKS = tuple(Mark)


class TickBuilder:
    """Builds the ticks of one episode. Call it once a tick, in order: it remembers progress and the GNSS error."""

    def __init__(
        self, network: RoadNetwork, route: Route, extent: NDArray[np.float64], seed: int, camera: Camera | None
    ) -> None:
        self.camera = camera
        self._extent = extent
        self._grid = network.grid
        self._lanes = network.lanes
        self._route, self._stops = route_points(network, route), route.stops
        self._length = route.length
        self._signal_ids = [*map(str, network.signals["id"]), ""]  # the last is that of row -1
        self._memory = new_memory()
        self._track, self._views = Direct(track), Columns(VIEW)
        self._localisation = Localisation(seed)

    def __call__(
        self,
        frame: int,
        state: NDArray[np.float64],
        steer: float,
        actors: NDArray[np.void],
        lights: NDArray[np.uint8],
        contacts: NDArray[np.void],
        background_speed: float,
        scenario_events: tuple[str, ...] = (),
        rgb: NDArray[np.uint8] | None = None,
        labels: Labels | None = None,
    ) -> Tick:
        """The tick of `frame` (0 is the reset's).

        `state` (8,) of the ego: x, y [m], yaw [rad], velocity (2,) [m/s], acceleration (2,) [m/s^2], yaw rate [rad/s],
        world frame; `steer` in effect, [-1, 1]; `actors` (N,) ACTOR within 150 m; `lights` (S,) LightState per row of
        the network's signals; `contacts` (C,) CONTACT.
        """
        views = self._views
        row = views.take()
        (
            (yaw_world, speed, yaw_rate),
            (progress, lateral, heading, width, off_lane, nearest_width, wrong_way, speed_limit, junction_distance),
            (light, light_distance, stop, stop_distance, run, zone, left, right, command),
        ) = self._track.call(
            self._grid,
            self._lanes,
            self._route,
            self._stops,
            self._memory,
            np.ascontiguousarray(lights),
            state,
            self._extent,
            *self._localisation.draw(),
            self._localisation.offset,
            views.block,
            row,
        )
        velocity_ego, path_ego, lanes_ego, route_ego, xy_world, accel_ego, lane_marks = views.columns
        if labels is not None:
            count_visible(actors, labels.instance)
        time, ids = frame * DT, self._signal_ids
        # In the order of the fields: thirty names take the interpreter four times as long.
        facts = _facts(
            frame,
            time,
            state[:3],  # pose
            velocity_ego[row],
            self._extent,
            progress,
            self._length,
            lateral,
            heading,
            width,
            off_lane,
            wrong_way,
            speed_limit,
            path_ego[row],
            junction_distance,
            lanes_ego[row],
            lane_marks[row],
            _LIGHT_STATES[lights[light]] if light >= 0 else LightState.UNKNOWN,
            light_distance,
            ids[light],
            stop_distance,
            ids[stop],
            actors,
            contacts,
            tuple(_MARKS[mark] for mark in (left, right) if mark) if left or right else (),  # crossings
            background_speed,
            nearest_width,
            ids[run],
            ids[zone],
            scenario_events,
        )
        ego = _ego(xy_world[row], yaw_world, speed, yaw_rate, accel_ego[row], steer)
        observation = _observation(frame, time, rgb, self.camera, ego, route_ego[row], _COMMANDS[command])
        return _tick(observation, facts, labels)


def nearby(actors: NDArray[np.void], xy: NDArray[np.float64]) -> NDArray[np.void]:
    """The rows of ACTOR within 150 m of a place."""
    away = actors["xyz"][:, :2] - xy
    return actors[np.einsum("ij,ij->i", away, away) <= ACTOR_RADIUS**2]


def count_visible(actors: NDArray[np.void], instance: NDArray[np.uint32]) -> None:
    """Fills `visible_px` from an instance image."""
    ids, pixels = np.unique(instance, return_counts=True)
    seen = dict(zip(ids.tolist(), pixels.tolist(), strict=True))
    actors["visible_px"] = [seen.get(i, 0) for i in actors["id"].tolist()]


def is_vehicle(kinds: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the kinds are vehicles."""
    return kinds <= Kind.BICYCLE
