"""What a cooperative awareness message (ETSI EN 302 637-2) says of its station, in the units of ETSI TS 102 894-2.

Signs are those that CARLA sends: lateral acceleration and yaw rate grow to the right, and gravity is in the vertical
acceleration. What nobody measures here is told as unavailable, by the numbers that the standard has for that.
"""

from __future__ import annotations

from math import degrees, pi
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.server.actors import Actor, Category
from roadcraft.sim.embedded.server.geodesy import to_geolocation
from roadcraft.sim.embedded.server.v2x_layout import AWARENESS_MESSAGE, CAM, PROTOCOL
from roadcraft.sim.embedded.server.wire import CITY_TAGS, rotation, turn_back

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

UNKNOWN, PEDESTRIAN, SPECIAL, ROADSIDE_UNIT = 0, 1, 10, 15  # types of stations
STATIONS = {CITY_TAGS[tag]: number for tag, number in (
    ("bicycle", 2), ("motorcycle", 4), ("car", 5), ("bus", 6), ("truck", 7),
)}  # fmt: skip
ROLES = {6: 1, SPECIAL: 6}  # public transport, emergency
NOTHING, MOTION, ZONES = range(3)  # which of the fast containers is there
NO_ELLIPSE, NO_ALTITUDE_CONFIDENCE = (4095, 4095, 3601), 15
NO_ACCELERATION, NO_ACCELERATION_CONFIDENCE = 161, 102
NO_CURVATURE, NO_YAW_RATE, NO_YAW_CONFIDENCE, NO_TRAILER_KNOWN = (30001, 7), 32767, 8, 4
ONE_DEGREE, THREE_CENTIMETRES = 10, 3  # confidence of heading and speed
FASTEST, LONGEST, WIDEST = 16382, 1022, 61  # what the fields hold at most
# CARLA's light flags in the order of the standard's bits, the highest first; there are no daytime lights.
LIGHTS = (2, 4, 32, 16, 0, 64, 128, 1)
NOISES = (
    *("lat_stddev", "lon_stddev", "alt_stddev", "head_stddev", "vel_stddev_x", "yawrate_stddev"),
    *("accel_stddev_x", "accel_stddev_y", "accel_stddev_z"),
    *("lat_bias", "lon_bias", "alt_bias", "head_bias", "yawrate_bias"),
)


class Errors:
    """The errors of one station's receiver and gauges: CARLA's Gaussian noise and biases."""

    def __init__(self, actor: Actor) -> None:
        self.rng = np.random.default_rng([int(actor.number("noise_seed")) & 0xFFFFFFFF, 0])
        self.size = {name: actor.number(f"noise_{name}") for name in NOISES}
        self.none = not any(self.size.values())

    def __call__(self, name: str, axis: str = "") -> float:
        """Noise and bias of one gauge."""
        if self.none:
            return 0.0
        sigma = self.size[f"{name}_stddev{axis}"]
        return self.size.get(f"{name}_bias", 0.0) + sigma * float(self.rng.standard_normal())


def station_type(station: Actor) -> int:
    """What a station is; what neither drives nor walks stands at the roadside."""
    if station.category is Category.WALKER:
        return PEDESTRIAN
    if station.category is not Category.VEHICLE:
        return ROADSIDE_UNIT
    if station.attributes.get("special_type") == "emergency":
        return SPECIAL
    return STATIONS.get(station.tag, UNKNOWN)


def message(live: LiveWorld, actor: Actor, station: Actor, errors: Errors, slow: bool) -> NDArray[np.void]:
    """() CAM of what the sensor `actor` is attached to; `slow`: with role and lights as well."""
    cam = np.zeros((), CAM)
    kind = station_type(station)
    cam["header"] = (PROTOCOL, AWARENESS_MESSAGE, station.id)
    cam["time"] = round(live.simulation.time * 1000) % 65536
    cam["station_type"] = kind
    _place(cam["place"], live, station if station.is_body else actor, errors)
    if kind == ROADSIDE_UNIT:
        cam["motion_kind"] = ZONES
    elif kind != PEDESTRIAN:
        cam["motion_kind"] = MOTION
        _motion(cam["motion"], live, live.body(station), errors)
        if slow:
            cam["slow_kind"] = 1
            lights = int(live.body(station)["lights"])
            cam["slow"]["role"] = ROLES.get(kind, 0)
            cam["slow"]["lights"] = sum(1 << (7 - bit) for bit, flag in enumerate(LIGHTS) if lights & flag)
    return cam


def _place(place: Any, live: LiveWorld, at: Actor, errors: Errors) -> None:
    latitude, longitude, altitude = to_geolocation(live.town.network.geo, *live.pose_of(at).xyz)
    place["latitude"] = round((latitude + errors("lat")) * 1e6) * 10
    place["longitude"] = round((longitude + errors("lon")) * 1e6) * 10
    place["ellipse"] = NO_ELLIPSE
    place["altitude"] = (round((altitude + errors("alt")) * 100), NO_ALTITUDE_CONFIDENCE)


def _motion(motion: Any, live: LiveWorld, body: np.void, errors: Errors) -> None:
    heading = degrees(pi / 2 - float(body["yaw"])) + errors("head")  # from north, CARLA's -y, to the right
    motion["heading"] = (round(heading * 10) % 3600, ONE_DEGREE)
    speed = float(body["speed"])
    motion["speed"] = (min(round(abs(speed + errors("vel", "_x")) * 100), FASTEST), THREE_CENTIMETRES)
    motion["direction"] = int(speed < 0)
    length, width, _ = (20 * body["extent"]).round().astype(int).tolist()
    motion["length"] = (min(length, LONGEST), NO_TRAILER_KNOWN)
    motion["width"] = min(width, WIDEST)
    motion["curvature"] = NO_CURVATURE
    yaw_rate = round(100 * (degrees(-float(body["yaw_rate"]) + errors("yawrate"))))
    motion["yaw_rate"] = (yaw_rate if abs(yaw_rate) < NO_YAW_RATE else NO_YAW_RATE, NO_YAW_CONFIDENCE)
    axes = rotation(live.pose_of(live.actors.by_id[int(body["id"])]))
    x, y, z = body["accel"].tolist()
    along, across, up = turn_back(axes, (x, y, z + live.gravity))
    for name, value, axis in (("along", along, "_x"), ("across", -across, "_y"), ("up", up, "_z")):
        motion[name] = (_tenths(value + errors("accel", axis)), NO_ACCELERATION_CONFIDENCE)
    motion["has_across"] = motion["has_up"] = True


def _tenths(acceleration: float) -> int:
    value = round(10 * acceleration)
    return value if -160 <= value < NO_ACCELERATION else NO_ACCELERATION
