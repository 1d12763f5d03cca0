"""The map's traffic lights and signs as CARLA's actors, with the volumes of road that they govern."""

from __future__ import annotations

from math import cos, sin

import numpy as np

from roadcraft.sim.embedded.server.actors import Actor, Category
from roadcraft.sim.embedded.server.wire import CITY_TAGS, Pose
from roadcraft.sim.roads import LaneKind, RoadNetwork, SignalKind

TRIGGER_DEPTH = 2.0  # [m] of road before a stop line that a light's trigger volume covers
_SIGN_TYPES = {SignalKind.STOP: "traffic.stop", SignalKind.YIELD: "traffic.yield"}


def signal_actor(network: RoadNetwork, row: int, foot: Pose, number: int) -> Actor:
    """The actor of a row of the network's signals, with that id; `foot` is where its post stands."""
    signal = network.signals[row]
    kind = SignalKind(signal["kind"])
    light = kind is SignalKind.LIGHT
    type_id = "traffic.traffic_light" if light else _SIGN_TYPES.get(kind, "")
    if kind is SignalKind.SPEED:
        type_id = f"traffic.speed_limit.{round(float(signal['value']) * 3.6)}"
    centre, extent = trigger_volume(network, row, foot)
    actor = Actor(
        number, type_id, Category.LIGHT if light else Category.SIGN,
        pose=foot, centre=centre, extent=extent, signal=row,
        tag=CITY_TAGS["traffic_light" if light else "traffic_signs"],
    )  # fmt: skip
    actor.attributes = {"role_name": ""}
    actor.wire_attributes = [["role_name", 4, ""]]
    return actor


def trigger_volume(network: RoadNetwork, row: int, foot: Pose) -> tuple[Pose, tuple[float, float, float]]:
    """Centre, in the frame of `foot`, and half sizes of the road before a signal's stop line, or beside a sign."""
    lanes, where = network.lanes, []
    for name in ("signal", "stop"):
        for lane in np.flatnonzero(lanes[name] == row):
            at = max(0.0, float(lanes[f"{name}_s"][lane]) - TRIGGER_DEPTH / 2)
            where.append(network.point(int(lane), at))
    if not where:  # a sign without a line of its own: the lanes that it stands beside
        signal = network.signals[row]
        beside, at, _ = network.nearest(signal["xyz"][:2], float(signal["yaw"]))
        while beside >= 0 and lanes["kind"][beside] == LaneKind.DRIVING:
            where.append(network.point(beside, at))
            beside = int(lanes["left"][beside])
    if not where:
        return Pose(0.0, 0.0, 1.0), (1.0, 1.0, 1.0)
    x, y = np.mean([point[0] for point in where]), np.mean([point[1] for point in where])
    half = sum(point[3] for point in where) / 2
    c, s = cos(foot.yaw), sin(foot.yaw)
    dx, dy = float(x) - foot.x, float(y) - foot.y
    return Pose(dx * c + dy * s, dy * c - dx * s, 1.0), (float(half), TRIGGER_DEPTH / 2, 1.0)
