"""Episodes from seeds: one number says the town, its weather, the route, the traffic and the scenarios.

Seeds below 1000 train, 1000 to 1999 validate, 2000 on show, 9000 on only evaluate. A town belongs to one thousand of
seeds alone, so that no evaluation drives through a town that training has seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Episode, Weather
from roadcraft.sim.scenarios import scenarios_of

STYLES = ("grid", "suburb", "arterial", "roundabout", "highway")  # of town, by seed % 5
TOWNS = 4  # of each style in every thousand of seeds
WEATHERS: dict[str, Weather] = {  # by (seed // 5) % 4
    "clear": Weather(),
    "rain": Weather(
        cloudiness=90.0,
        precipitation=70.0,
        precipitation_deposits=60.0,
        wind_intensity=50.0,
        sun_altitude_angle=40.0,
        fog_density=7.0,
        wetness=80.0,
    ),
    "fog": Weather(cloudiness=70.0, sun_altitude_angle=30.0, fog_density=50.0, fog_distance=5.0, wetness=20.0),
    "night": Weather(sun_altitude_angle=-20.0),
}


def town_of(seed: int) -> str:
    """The town in which a seed's episode takes place."""
    return f"{STYLES[seed % len(STYLES)]}-{10 * (seed // 1000) + (seed // 20) % TOWNS}"


def look_number(seed: int, looks: int) -> int:
    """Which of `looks` looks (`embedded.render.looks`) a seed's town has where they are drawn, 0 with one of them."""
    return int(np.random.default_rng([seed, 0x100C]).integers(max(looks, 1)))


def with_look(town: str, look: int) -> str:
    """A town's name with a look, 0 being that which it has without."""
    return f"{town}@{look}" if look else town


def weather_of(seed: int) -> Weather:
    return list(WEATHERS.values())[(seed // len(STYLES)) % len(WEATHERS)]


def episode_from_seed(seed: int, **overrides: Any) -> Episode:
    """The seed's episode; `overrides` replace fields of Episode, `weather` also by the name of a preset.

    Raises UserError for a negative seed and an unknown weather.
    """
    if seed < 0:
        raise UserError(f"seed {seed} is negative")
    weather = overrides.get("weather")
    if isinstance(weather, str):
        if weather not in WEATHERS:
            raise UserError(f"unknown weather {weather!r}: there are {', '.join(WEATHERS)}")
        overrides["weather"] = WEATHERS[weather]
    drawn = {"town": town_of(seed), "seed": seed, "weather": weather_of(seed), "scenarios": scenarios_of(seed)}
    return Episode(**{**drawn, **overrides})
