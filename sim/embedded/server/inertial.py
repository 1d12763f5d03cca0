"""IMU and GNSS with CARLA's noise models."""

from __future__ import annotations

from collections.abc import Iterator
from math import pi
from typing import TYPE_CHECKING

import msgpack
import numpy as np

from roadcraft.sim.embedded.server import wire
from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.geodesy import to_geolocation
from roadcraft.sim.embedded.server.wire import rotation, turn_back

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld


class Imu:
    """Accelerometer [m/s^2, gravity included], gyroscope [rad/s] and compass [rad from north] in CARLA's axes.

    CARLA's noise: Gaussian on each axis of the accelerometer; Gaussian and a constant bias on the gyroscope.
    """

    number = wire.IMU

    def __init__(self, actor: Actor) -> None:
        self.rng = np.random.default_rng(int(actor.number("noise_seed")) & 0xFFFFFFFF)
        self.accel_sigma = [actor.number(f"noise_accel_stddev_{axis}") for axis in "xyz"]
        self.gyro_sigma = [actor.number(f"noise_gyro_stddev_{axis}") for axis in "xyz"]
        self.gyro_bias = [actor.number(f"noise_gyro_bias_{axis}") for axis in "xyz"]

    def sense(self, live: LiveWorld, actor: Actor, delta: float) -> Iterator[tuple[bytes]]:
        holder = live.holder(actor)
        accel, turning = (0.0, 0.0, 0.0), 0.0
        if holder is not None:
            body = live.body(holder)
            x, y, z = body["accel"].tolist()
            turning = float(body["yaw_rate"])
            # A sensor away from the origin moves on a circle: centripetal acceleration w^2 r towards the origin.
            origin = live.pose_of(holder)
            x -= turning**2 * (actor.pose.x - origin.x)
            y -= turning**2 * (actor.pose.y - origin.y)
            accel = (x, y, z)
        axes = rotation(actor.pose)
        ax, ay, az = turn_back(axes, (accel[0], accel[1], accel[2] + live.gravity))
        wx, wy, wz = turn_back(axes, (0.0, 0.0, turning))
        felt = self._noisy((ax, -ay, az), self.accel_sigma)
        gyro = self._noisy((-wx, wy, -wz), self.gyro_sigma)
        compass = (pi / 2 - actor.pose.yaw) % (2 * pi)  # north is CARLA's -y, our +y
        yield (msgpack.packb([felt, [a + b for a, b in zip(gyro, self.gyro_bias, strict=True)], compass]),)

    def _noisy(self, values: tuple[float, float, float], sigma: list[float]) -> list[float]:
        if not any(sigma):
            return list(values)
        return [v + s * float(n) for v, s, n in zip(values, sigma, self.rng.standard_normal(3), strict=True)]


class Gnss:
    """Latitude and longitude [degrees] and altitude [m], as the client's own `transform_to_geolocation` gives them."""

    number = wire.GNSS

    def __init__(self, actor: Actor) -> None:
        self.rng = np.random.default_rng(int(actor.number("noise_seed")) & 0xFFFFFFFF)
        self.sigma = [actor.number(f"noise_{axis}_stddev") for axis in ("lat", "lon", "alt")]
        self.bias = [actor.number(f"noise_{axis}_bias") for axis in ("lat", "lon", "alt")]

    def sense(self, live: LiveWorld, actor: Actor, delta: float) -> Iterator[tuple[bytes]]:
        place = to_geolocation(live.town.network.geo, *actor.pose.xyz)
        noise = self.rng.standard_normal(3) if any(self.sigma) else (0.0, 0.0, 0.0)
        yield (
            msgpack.packb(
                [p + b + s * float(n) for p, b, s, n in zip(place, self.bias, self.sigma, noise, strict=True)]
            ),
        )
