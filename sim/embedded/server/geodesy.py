"""Places on the globe, as CARLA 0.9.16's client computes them.

The client projects by a transverse Mercator on a sphere (Snyder, Map Projections, eq. 8-6 and 8-7) with the usual scale
of 0.9996 whatever the map's own says, and lets CARLA's y, which points south on the map, grow northwards. A GNSS
receiver must agree with `Map.transform_to_geolocation`, so the same is done here.
"""

from __future__ import annotations

from math import asin, atan2, cos, cosh, degrees, radians, sin, sinh

EARTH_RADIUS = 6_378_137.0  # m
SCALE = 0.9996


def to_geolocation(origin: tuple[float, float], x: float, y: float, z: float) -> tuple[float, float, float]:
    """Latitude, longitude [degrees], altitude [m] of a place in our frame; `origin` (latitude, longitude) [degrees]."""
    east, north = x / (EARTH_RADIUS * SCALE), -y / (EARTH_RADIUS * SCALE)
    d = north + radians(origin[0])
    latitude = asin(sin(d) / cosh(east))
    return degrees(latitude), origin[1] + degrees(atan2(sinh(east), cos(d))), z
