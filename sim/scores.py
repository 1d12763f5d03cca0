"""From infractions to a driving score: the CARLA leaderboard's 1.0, 2.0 and 2.1, and Bench2Drive's success.

Driving score = route completion x penalty. Sources: leaderboard.carla.org (tables of 1.0, 2.0 and 2.1), Bench2Drive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

# Every kind is always present in every count.
KINDS = (
    "collision_pedestrian",
    "collision_vehicle",
    "collision_static",
    "red_light",
    "stop_sign",
    "out_of_lane",
    "route_deviation",
    "blocked",
    "timeout",
    "scenario_timeout",
    "min_speed",
    "yield_emergency",
)

FACTORS_10 = {
    "collision_pedestrian": 0.5,
    "collision_vehicle": 0.6,
    "collision_static": 0.65,
    "red_light": 0.7,
    "stop_sign": 0.8,
}
FACTORS_20 = FACTORS_10 | {"scenario_timeout": 0.7, "yield_emergency": 0.7}
MIN_SPEED_20 = 0.3  # lost at a checkpoint that was reached at speed zero
WEIGHTS_21 = {
    "collision_pedestrian": 1.0,
    "collision_vehicle": 0.7,
    "collision_static": 0.6,
    "red_light": 0.4,
    "stop_sign": 0.25,
    "scenario_timeout": 0.4,
    "yield_emergency": 0.4,
}
MIN_SPEED_21 = 0.4

Counts = Mapping[str, int]


def no_infractions() -> dict[str, int]:
    """A count of zero for every kind."""
    return dict.fromkeys(KINDS, 0)


def penalty_10(counts: Counts, outside: float = 0.0) -> float:
    """Leaderboard 1.0: prod(p^n) (1 - o/100); `outside` = o is the percentage of driven metres out of lane."""
    return prod(p ** counts[kind] for kind, p in FACTORS_10.items()) * (1 - outside / 100)


def penalty_20(counts: Counts, outside: float = 0.0, min_speeds: Sequence[float] = ()) -> float:
    """Leaderboard 2.0: prod(p^n) (1 - o/100), times 1 - 0.3 (1 - v/100) at each checkpoint with v < 100 percent.

    `min_speeds` are the v of the checkpoints passed: the ego's mean speed in percent of the background's.
    """
    p = prod(p ** counts[kind] for kind, p in FACTORS_20.items()) * (1 - outside / 100)
    return p * prod(1 - MIN_SPEED_20 * (1 - v / 100) for v in min_speeds if v < 100)


def penalty_21(counts: Counts, outside: float = 0.0, min_speeds: Sequence[float] = ()) -> float:
    """Leaderboard 2.1: (1 - o/100) / (1 + sum c n), with c = 0.4 (1 - v/100) at each checkpoint with v < 100."""
    cost = sum(c * counts[kind] for kind, c in WEIGHTS_21.items())
    cost += sum(MIN_SPEED_21 * (1 - v / 100) for v in min_speeds if v < 100)
    return (1 - outside / 100) / (1 + cost)


def penalty_bench2drive(counts: Counts, outside: float = 0.0) -> float:
    """Bench2Drive: the 2.0 table without the minimum speed."""
    return penalty_20(counts, outside)


def success(completed: bool, counts: Counts) -> bool:
    """Bench2Drive's success: the route completed without any infraction but minimum speed."""
    return completed and not any(n for kind, n in counts.items() if kind != "min_speed")
