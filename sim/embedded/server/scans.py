"""Lidar, semantic lidar and radar: rays into the scene, as CARLA's sensors shoot them.

A lidar turns: in each tick every channel takes an equal share of the points along the angle that the head turned.
Points are in the sensor's frame, CARLA's axes, channel after channel.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import pi, radians, tan
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.server import wire
from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.streams import Part
from roadcraft.sim.embedded.server.wire import rotation
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.sim.embedded.rays import Hits
    from roadcraft.sim.embedded.server.live import LiveWorld

MOST_CHANNELS = 512
MOST_POINTS = 2_000_000  # a tick
DETECTION = np.dtype([("velocity", "<f4"), ("azimuth", "<f4"), ("altitude", "<f4"), ("depth", "<f4")])
POINT = np.dtype([("xyz", "<f4", 3), ("cosine", "<f4"), ("id", "<u4"), ("tag", "<u4")])  # of a semantic lidar


def shoot(live: LiveWorld, actor: Actor, local: NDArray[np.float64], reach: float, tags: bool = True) -> Hits:
    """Casts unit vectors (N, 3) of the sensor's own frame."""
    axes = np.array(rotation(actor.pose))
    hide = live.mounted_in(actor)
    return live.rays.cast(actor.pose.xyz, local @ axes.T, reach, live.seen_by(actor), hide, tags)


class Scanner:
    """What the two lidars have in common: where they look in a tick."""

    def __init__(self, actor: Actor) -> None:
        self.channels = int(actor.number("channels"))
        self.range = actor.number("range")
        self.rate = actor.number("points_per_second")
        self.frequency = actor.number("rotation_frequency")
        self.width = actor.number("horizontal_fov")  # [degrees]
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise UserError(f"{actor.type_id}: channels = {self.channels} is outside [1, {MOST_CHANNELS}]")
        if not (0 < self.range <= 1000.0 and 0 <= self.rate <= 1e8 and 0 < self.width <= 360.0):
            raise UserError(f"{actor.type_id}: range, points_per_second or horizontal_fov is out of bounds")
        upper, lower = actor.number("upper_fov"), actor.number("lower_fov")
        self.elevation = np.radians(np.linspace(upper, lower, self.channels))
        self.angle = 0.0  # [degrees] that the head has turned, in [0, horizontal_fov)

    def directions(self, delta: float) -> NDArray[np.float64]:
        """(channels, points, 3) unit vectors of this tick in our axes; turns the head on."""
        points = min(round(self.rate * delta / self.channels), MOST_POINTS // self.channels)
        turned = self.frequency * self.width * delta
        azimuth = (self.angle + turned / max(points, 1) * np.arange(points)) % self.width - self.width / 2
        self.angle = (self.angle + turned) % self.width
        yaw = -np.radians(azimuth)  # the head turns to the right
        c = np.cos(self.elevation)[:, None]
        up = np.broadcast_to(np.sin(self.elevation)[:, None], (self.channels, points))
        return np.stack([c * np.cos(yaw), c * np.sin(yaw), up], -1)

    def head(self, kept: NDArray[np.bool_]) -> bytes:
        """The beginning of a payload; `kept` (channels, points)."""
        counts = kept.sum(1).astype("<u4").tobytes()
        return struct.pack("<fI", radians(self.angle), self.channels) + counts


class Lidar(Scanner):
    """Points with intensity: what is left of the light after exp(-attenuation * distance), with CARLA's drop-off."""

    number = wire.LIDAR

    def __init__(self, actor: Actor) -> None:
        super().__init__(actor)
        self.rng = np.random.default_rng(int(actor.number("noise_seed")) & 0xFFFFFFFF)
        self.attenuation = actor.number("atmosphere_attenuation_rate")
        self.lost = actor.number("dropoff_general_rate")
        self.limit = actor.number("dropoff_intensity_limit")
        self.lost_at_zero = actor.number("dropoff_zero_intensity")
        self.sigma = actor.number("noise_stddev")

    def sense(self, live: LiveWorld, actor: Actor, delta: float) -> Iterator[tuple[Part, ...]]:
        directions = self.directions(delta)
        shape = directions.shape[:2]
        hits = shoot(live, actor, directions.reshape(-1, 3), self.range, tags=False)
        distance = hits.distance.reshape(shape)
        kept = np.isfinite(distance)
        intensity = np.exp(-self.attenuation * np.where(kept, distance, 0.0))
        if self.lost > 0:
            kept &= self.rng.random(shape) >= self.lost
        if self.lost_at_zero > 0 and self.limit > 0:
            # Above the limit nothing is lost, below it linearly more.
            chance = 1.0 - self.lost_at_zero * (1.0 - intensity / self.limit)
            kept &= (intensity > self.limit) | (self.rng.random(shape) < chance)
        if self.sigma > 0:
            distance = distance + self.rng.normal(0.0, self.sigma, shape)
        points = np.empty((int(kept.sum()), 4), "<f4")
        points[:, :3] = directions[kept] * distance[kept][:, None] * (1.0, -1.0, 1.0)
        points[:, 3] = intensity[kept]
        yield self.head(kept), points.data.cast("B") if points.size else b""


class SemanticLidar(Scanner):
    """Points with the angle of incidence, the actor and the tag that they hit; no noise."""

    number = wire.SEMANTIC_LIDAR

    def sense(self, live: LiveWorld, actor: Actor, delta: float) -> Iterator[tuple[Part, ...]]:
        directions = self.directions(delta)
        hits = shoot(live, actor, directions.reshape(-1, 3), self.range)
        kept = np.isfinite(hits.distance)
        points = np.empty(int(kept.sum()), POINT)
        points["xyz"] = directions.reshape(-1, 3)[kept] * hits.distance[kept][:, None] * (1.0, -1.0, 1.0)
        points["cosine"], points["id"], points["tag"] = hits.cosine[kept], hits.id[kept], hits.tag[kept]
        yield self.head(kept.reshape(directions.shape[:2])), points.tobytes()


class Radar:
    """Detections in a cone, spread at random: radial velocity [m/s, negative when closing], angles [rad], depth [m]."""

    number = wire.RADAR

    def __init__(self, actor: Actor) -> None:
        self.rng = np.random.default_rng(int(actor.number("noise_seed")) & 0xFFFFFFFF)
        self.range, self.rate = actor.number("range"), actor.number("points_per_second")
        self.tangents = tuple(tan(radians(actor.number(f"{axis}_fov")) / 2) for axis in ("horizontal", "vertical"))
        if not (0 < self.range <= 1000.0 and 0 <= self.rate <= 1e7 and min(self.tangents) >= 0):
            raise UserError(f"{actor.type_id}: range, points_per_second or field of view is out of bounds")

    def sense(self, live: LiveWorld, actor: Actor, delta: float) -> Iterator[tuple[bytes]]:
        count = min(round(self.rate * delta), MOST_POINTS)
        radius, angle = self.rng.random(count), self.rng.random(count) * 2 * pi
        local = np.stack(
            [
                np.ones(count),
                -self.tangents[0] * radius * np.cos(angle),
                self.tangents[1] * radius * np.sin(angle),
            ],
            -1,
        )
        local /= np.linalg.norm(local, axis=1)[:, None]
        hits = shoot(live, actor, local, self.range, tags=False)
        kept = np.isfinite(hits.distance)
        found = np.zeros(int(kept.sum()), DETECTION)
        towards = (local @ np.array(rotation(actor.pose)).T)[kept]
        target = _velocities(live, hits.id[kept])
        found["velocity"] = ((target - live.velocity_of(actor)) * towards).sum(1)
        found["azimuth"] = -np.arctan2(local[kept, 1], local[kept, 0])
        found["altitude"] = np.arcsin(local[kept, 2])
        found["depth"] = hits.distance[kept]
        yield (found.tobytes(),)


def _velocities(live: LiveWorld, owners: NDArray[np.uint32]) -> NDArray[np.float64]:
    """(N, 3) [m/s] of the bodies with these ids; zero for id 0."""
    bodies = live.simulation.bodies
    velocities = np.zeros((len(owners), 3))
    for owner in np.unique(owners):
        if owner:
            velocities[owners == owner] = bodies["velocity"][live.simulation.row(int(owner))]
    return velocities
