"""Route files of the CARLA leaderboard: `<routes><route id town><waypoints><position x y z/>...`, or `<waypoint x y/>`.

The towns that they name are CARLA's; to drive them, give the OpenDRIVE file of that town. A route's `<scenarios>` are
taken as far as there is one like them here, its weather is the first of its `<weathers>`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Weather

WEATHER = Weather(cloudiness=50.0, sun_altitude_angle=70.0)  # the leaderboard's, where a route has none
# The leaderboard's types of scenario by ours.
KNOWN = {
    "HardBreakRoute": "lead_brakes",
    "OtherLeadingVehicle": "lead_brakes",
    "HighwayCutIn": "cut_in",
    "ParkingCutIn": "cut_in",
    "StaticCutIn": "cut_in",
    "DynamicObjectCrossing": "pedestrian_crossing",
    "ParkingCrossingPedestrian": "pedestrian_crossing",
    "PedestrianCrossing": "pedestrian_crossing",
    "Accident": "obstacle",
    "AccidentTwoWays": "obstacle",
    "ConstructionObstacle": "obstacle",
    "ConstructionObstacleTwoWays": "obstacle",
    "ParkedObstacle": "obstacle",
    "ParkedObstacleTwoWays": "obstacle",
    "OppositeVehicleRunningRedLight": "red_light_runner",
    "OppositeVehicleTakingPriority": "red_light_runner",
    "HazardAtSideLane": "slow_bicycle",
    "HazardAtSideLaneTwoWays": "slow_bicycle",
    "SignalizedJunctionLeftTurn": "left_turn",
    "NonSignalizedJunctionLeftTurn": "left_turn",
    "YieldToEmergencyVehicle": "emergency_vehicle",
}


@dataclass(frozen=True, slots=True, eq=False)
class RouteRequest:
    """One route of a file: pass `xy` to `routes.route_from_points`."""

    id: str
    town: str
    xy: NDArray[np.float64]  # (K, 2) [m] in our world frame: y is CARLA's negated
    weather: Weather = WEATHER
    scenarios: tuple[str, ...] = ()  # names of ours
    triggers: tuple[tuple[float, float], ...] = ()  # [m] world: where each of them is triggered
    unknown: tuple[str, ...] = ()  # types of scenario that there are none like here


def read_routes(path: str | Path) -> list[RouteRequest]:
    """All routes of a file in its order. UserError where it cannot be read, has a route twice or a broken one."""
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError, ValueError) as error:
        raise UserError(f"route file {path} cannot be read: {error}") from None
    routes = [_read(path, element) for element in root.iter("route")]
    if not routes:
        raise UserError(f"route file {path} has no <route>")
    if twice := [name for name, count in Counter(route.id for route in routes).items() if count > 1]:
        raise UserError(f"route file {path} has route {twice[0]} twice")
    return routes


def _read(path: str | Path, element: ET.Element) -> RouteRequest:
    name = element.get("id", "?")
    places = element.findall("waypoints/position") or element.findall("waypoint")
    found = [(scenario.get("type", "?"), scenario.find("trigger_point")) for scenario in element.iter("scenario")]
    known = [(KNOWN[kind], place) for kind, place in found if kind in KNOWN and place is not None]
    try:
        points = [_point(place) for place in places]
        triggers = tuple(_point(place) for _, place in known)
        weather = _weather(element)
    except (KeyError, ValueError) as error:
        raise UserError(f"route file {path}, route {name}: missing or unreadable number {error}") from None
    if len(points) < 2:
        raise UserError(f"route file {path}, route {name}: {len(points)} points, two are needed at least")
    return RouteRequest(
        name,
        element.get("town", ""),
        np.array(points),
        weather,
        tuple(ours for ours, _ in known),
        triggers,
        tuple(kind for kind, _ in found if kind not in KNOWN),
    )


def _point(place: ET.Element) -> tuple[float, float]:
    """[m] in our world frame. Raises KeyError and ValueError, also for what is not finite."""
    x, y = float(place.attrib["x"]), float(place.attrib["y"])
    if not np.isfinite((x, y)).all():
        raise ValueError(f"({x}, {y})")
    return x, -y


def _weather(element: ET.Element) -> Weather:
    """The weather at the beginning of a route."""
    given = element.findall("weathers/weather") or element.findall("weather")
    if not given:
        return WEATHER
    first = min(given, key=lambda weather: float(weather.get("route_percentage", 0.0)))
    known = {field.name for field in fields(Weather)}
    values = {name: float(value) for name, value in first.attrib.items() if name in known}
    return Weather(**{**{name: getattr(WEATHER, name) for name in known}, **values})
