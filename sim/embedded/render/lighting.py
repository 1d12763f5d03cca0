"""From CARLA's weather parameters to colours: sun, sky, haze, night, wetness.

Colours are display values in [0, 1], not radiances: the picture is shaded in the space in which it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, exp, radians, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.messages import Weather

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Light:
    """The light of one weather."""

    sun: Vector  # (3,) unit vector towards the sun, world
    direct: Vector  # (3,) RGB of direct sunlight, 0 at night and under clouds
    ambient: Vector  # (3,) RGB of the sky's light on an upright wall
    zenith: Vector  # (3,) RGB of the sky overhead
    horizon: Vector  # (3,) RGB of the sky at the horizon
    glow: Vector  # (3,) RGB of the sky around the sun
    fog: Vector  # (3,) RGB of fog and haze
    fog_density: float  # [1/m]
    fog_start: float  # [m]
    clouds: float  # [0, 1]
    night: float  # [0, 1]
    wet: float  # [0, 1] how much the road shines
    puddles: float  # [0, 1] share of the road under water
    rain: float  # [0, 1]


def _mix(a: Vector, b: Vector, share: float) -> Vector:
    return a + (b - a) * share


def _smooth(low: float, high: float, value: float) -> float:
    t = min(max((value - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)


def light_of(weather: Weather) -> Light:
    """The light of a weather. CARLA's azimuth is clockwise from +x in its left-handed frame; ours is mirrored."""
    altitude, azimuth = (
        radians(weather.sun_altitude_angle),
        -radians(weather.sun_azimuth_angle),
    )
    height = max(altitude, radians(8.0))  # keeps shadows finite
    sun = np.array([cos(height) * cos(azimuth), cos(height) * sin(azimuth), sin(height)])
    day = _smooth(-8.0, 10.0, weather.sun_altitude_angle)
    gold = day * (1 - _smooth(4.0, 28.0, weather.sun_altitude_angle))
    clouds = weather.cloudiness / 100
    cover = _smooth(0.3, 1.0, clouds)
    rain = weather.precipitation / 100
    sunny = day * (1 - cover) * _smooth(-2.0, 6.0, weather.sun_altitude_angle)
    direct = _mix(np.array([0.62, 0.58, 0.50]), np.array([0.66, 0.44, 0.24]), gold) * sunny
    sky_light = _mix(np.array([0.50, 0.53, 0.58]), np.array([0.64, 0.66, 0.68]), cover) * (1 - 0.18 * rain)
    ambient = _mix(np.array([0.075, 0.085, 0.115]), sky_light, day)
    clear_zenith, clear_horizon = (
        np.array([0.24, 0.45, 0.76]),
        np.array([0.70, 0.80, 0.90]),
    )
    grey_zenith, grey_horizon = (
        np.array([0.60, 0.63, 0.67]) - 0.16 * rain,
        np.array([0.76, 0.78, 0.80]) - 0.14 * rain,
    )
    zenith = _mix(_mix(clear_zenith, grey_zenith, cover), np.array([0.30, 0.36, 0.52]), 0.7 * gold)
    horizon = _mix(
        _mix(clear_horizon, grey_horizon, cover),
        np.array([0.90, 0.68, 0.50]),
        0.8 * gold * (1 - cover),
    )
    zenith = _mix(np.array([0.012, 0.018, 0.045]), zenith, day)
    horizon = _mix(np.array([0.050, 0.058, 0.085]), horizon, day)
    # CARLA's fog: density in percent, beginning at fog_distance; 100 % hides things at some 20 m, 2 % is clear air.
    density = weather.fog_density / 100
    fog_density = 0.0009 + 0.055 * density**1.6 + 0.0025 * rain + 0.02 * weather.dust_storm / 100
    fog_color = _mix(
        horizon,
        np.array([0.72, 0.74, 0.76]) * max(day, 0.09),
        _smooth(0.1, 0.6, density),
    )
    return Light(
        sun=sun,
        direct=direct,
        ambient=ambient,
        zenith=_mix(zenith, fog_color, _smooth(0.15, 0.8, density)),
        horizon=_mix(horizon, fog_color, _smooth(0.05, 0.4, density)),
        glow=direct * 0.9 * exp(-density * 4),
        fog=fog_color,
        fog_density=fog_density,
        fog_start=weather.fog_distance,
        clouds=clouds,
        night=1 - day,
        wet=min(
            1.0,
            max(
                weather.wetness,
                weather.precipitation_deposits,
                0.8 * weather.precipitation,
            )
            / 100,
        ),
        puddles=weather.precipitation_deposits / 100,
        rain=rain,
    )
