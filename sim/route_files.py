"""Route files of the CARLA leaderboard: `<routes><route id town><waypoints><position x y z/>...`, or `<waypoint x y/>`.

The towns that they name are CARLA's; to drive them, give the OpenDRIVE file of that town.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.errors import UserError


@dataclass(frozen=True, slots=True, eq=False)
class RouteRequest:
    """One route of a file: pass `xy` to `routes.route_from_points`."""

    id: str
    town: str
    xy: NDArray[np.float64]  # (K, 2) [m] in our world frame: y is CARLA's negated


def read_routes(path: str | Path) -> list[RouteRequest]:
    """All routes of a file in its order. UserError where it cannot be read, or a route has less than two points."""
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError) as error:
        raise UserError(f"route file {path} cannot be read: {error}") from None
    routes = [_read(path, element) for element in root.iter("route")]
    if not routes:
        raise UserError(f"route file {path} has no <route>")
    return routes


def _read(path: str | Path, element: ET.Element) -> RouteRequest:
    name = element.get("id", "?")
    places = element.findall("waypoints/position") or element.findall("waypoint")
    try:
        xy = np.array([(float(place.attrib["x"]), -float(place.attrib["y"])) for place in places])
    except (KeyError, ValueError) as error:
        raise UserError(f"route file {path}, route {name}: missing or unreadable coordinate {error}") from None
    if len(xy) < 2:
        raise UserError(f"route file {path}, route {name}: {len(xy)} points, two are needed at least")
    return RouteRequest(name, element.get("town", ""), xy)
