"""The reward as named terms over the referee's own facts and events.

After CaRL (Jaeger et al. 2025): progress along the route, made less where the driving is poor, and an end to the
episode with a penalty at each infraction that counts. One metre of progress is worth PROGRESS.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

from roadcraft.sim.messages import Facts

PROGRESS = 0.1  # a metre
LATERAL_FREE = 0.4  # m from the lane's centre that cost nothing
LATERAL_COST = 0.5  # share of the progress lost at 1 m more
COMFORT_ACCEL = (-4.0, 2.4)  # m/s^2, Bench2Drive's bounds
COMFORT_COST = 0.02  # a decision outside them, per m/s^2
LATERAL_ACCEL = 2.6  # m/s^2 in bends, as the teacher drives; the supervisor takes over at 3
LATERAL_ACCEL_COST = 0.05  # a decision above it, per m/s^2
TIME_COST = 0.02  # a decision, so that standing about costs

# What an event costs, in the proportions of the leaderboard's 2.1 table; those in ENDS also end the episode.
EVENT_COST = {
    "collision_pedestrian": 24.0,
    "collision_vehicle": 18.0,
    "collision_static": 16.0,
    "red_light": 12.0,
    "stop_sign": 8.0,
    "out_of_lane": 2.0,
    "route_deviation": 16.0,
    "blocked": 12.0,
    "timeout": 12.0,
    "scenario_timeout": 8.0,
    "yield_emergency": 8.0,
    "min_speed": 0.0,  # the time it takes already costs
}
ENDS = frozenset(("collision_pedestrian", "collision_vehicle", "collision_static", "red_light", "route_deviation"))
TERMS = ("progress", "lane", "comfort", "time", *EVENT_COST)
_NOTHING = dict.fromkeys(TERMS, 0.0)


def reward_terms(before: Facts, after: Facts, accel: tuple[float, float], events: Iterable[str]) -> dict[str, float]:
    """Every term of TERMS for one decision. Raises ValueError for one that is not finite.

    `accel`: the largest longitudinal and lateral accelerations [m/s^2] in this decision; `events`: kinds.
    """
    terms = _NOTHING.copy()
    gained = PROGRESS * max(0.0, after.progress - before.progress)
    off = max(0.0, abs(after.lateral_error) - LATERAL_FREE)
    terms["progress"] = gained
    terms["lane"] = -gained * min(1.0, LATERAL_COST * off)
    along, across = accel
    terms["comfort"] = -COMFORT_COST * max(0.0, COMFORT_ACCEL[0] - along, along - COMFORT_ACCEL[1])
    terms["comfort"] -= LATERAL_ACCEL_COST * max(0.0, abs(across) - LATERAL_ACCEL)
    terms["time"] = -TIME_COST
    for kind in events:
        terms[kind] -= EVENT_COST[kind]
    if not isfinite(terms["progress"] + terms["lane"] + terms["comfort"]):  # what events cost is finite
        for name, value in terms.items():
            if not isfinite(value):
                raise ValueError(f"reward term {name} is {value} at frame {after.frame}")
    return terms
