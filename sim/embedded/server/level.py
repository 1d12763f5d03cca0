"""What a town consists of, as CARLA lists it: standing things, heads of lights and plates of signs, surfaces.

Each is listed under the tag that cameras see on it.
"""

from __future__ import annotations

from math import pi
from typing import NamedTuple

from roadcraft.sim.embedded.server.wire import CITY_TAGS, Pose
from roadcraft.sim.embedded.town import Town
from roadcraft.sim.roads import SignalKind

SIGNALS, SURFACES, END = 1 << 32, 2 << 32, 3 << 32  # where the ids of these begin; those of standing things are below
HEAD, PLATE = (0.2, 0.25, 0.6), (0.4, 0.05, 0.4)  # [m] half sizes of a light's head and a sign's plate, x across


class Thing(NamedTuple):
    """One object of a town. The box's half sizes [m] are along, across and up from its `centre`."""

    id: int
    name: str
    tag: int
    foot: Pose
    centre: Pose
    extent: tuple[float, float, float]


def is_signal(number: int) -> bool:
    """Whether it is the id of a light's head or a sign's plate."""
    return SIGNALS <= number < SURFACES


def is_surface(number: int) -> bool:
    """Whether it is the id of a piece of road, sidewalk or terrain, or of a painted line."""
    return SURFACES <= number < END


def heads(town: Town) -> list[Thing]:
    """Heads of lights and plates of signs; each stands where its actor does. The row in `signals` is in the id."""
    found = []
    for row, signal in enumerate(town.network.signals):
        x, y, z = signal["xyz"].tolist()
        # CARLA turns a light's x axis across the road that it governs: scripts sample its trigger volume along x.
        yaw = float((signal["yaw"] - pi / 2 + pi) % (2 * pi) - pi)
        light = signal["kind"] == SignalKind.LIGHT
        name, tag = ("Light", "traffic_light") if light else ("Sign", "traffic_signs")
        extent = HEAD if light else PLATE
        thing = Thing(
            SIGNALS + row, f"{name}_{signal['id']}", CITY_TAGS[tag], Pose(x, y, 0.0, yaw), Pose(x, y, z, yaw), extent
        )
        found.append(thing)
    return found
