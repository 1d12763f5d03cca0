"""What is going on around the ego's path: the events of `percept.EVENTS`, from facts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import Facts, Kind, LightState
from roadcraft.sim.norm import norm

REACH = 45.0  # [m] along the path: what is further ahead is no event yet
CORRIDOR = 1.7  # [m] half width of the strip that the ego is going to sweep, beside an object's own half width
BESIDE = 4.5  # [m] how far beside the path a vehicle or pedestrian can be that is about to enter it
AWAY = BESIDE + 4.0  # [m] beyond the leftmost or rightmost point of the path: too far beside it wherever it leads
FORESIGHT = 1.0  # [s] an event begins this long before the corridor is entered
STILL = 0.3  # [m/s]
CHANGE_LASTS = 2.0  # [s] that a light counts as just changed
BLOCKED_AFTER = 2.0  # [s] that something must have stood in the way

_PEDESTRIAN, _CAR_LIKE = int(Kind.PEDESTRIAN), int(Kind.BICYCLE)
_RED, _YELLOW = int(LightState.RED), int(LightState.YELLOW)

# What is remembered from tick to tick.
WATCH = np.dtype(
    [
        ("light", np.int64),  # LightState
        ("changed", np.float64),  # [s] when it last changed
        ("blocked_since", np.float64),  # [s]
    ],
    align=True,
)


@kernel
def wrapped(angle: float) -> float:
    """The same angle in [-pi, pi) [rad]."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


@kernel
def path_position(path: NDArray, x: float, y: float) -> tuple[float, float, float]:
    """Arc length [m], lateral offset [m, left +] and heading [rad] of the path (N, 2), 1 m apart, nearest to x, y."""
    best, at = 1e18, 0
    for i in range(path.shape[0]):
        d = (path[i, 0] - x) ** 2 + (path[i, 1] - y) ** 2
        if d < best:
            best, at = d, i
    j = min(at, path.shape[0] - 2)
    heading = math.atan2(path[j + 1, 1] - path[j, 1], path[j + 1, 0] - path[j, 0])
    dx, dy = x - path[at, 0], y - path[at, 1]
    along = dx * math.cos(heading) + dy * math.sin(heading)
    return at + along, dy * math.cos(heading) - dx * math.sin(heading), heading


@kernel
def corridor_flags(path: NDArray, pose: NDArray, actors: NDArray) -> tuple[bool, bool, bool, float]:
    """Lead braking, cut-in, pedestrian crossing now or within FORESIGHT, and the arc length [m] of the nearest thing
    that stands in the corridor (inf when there is none)."""
    c, s = math.cos(pose[2]), math.sin(pose[2])
    left, right = -math.inf, math.inf  # of the path
    for i in range(path.shape[0]):
        left, right = max(left, path[i, 1]), min(right, path[i, 1])
    lead_s, lead_brakes = math.inf, False
    cut_in, crossing, still_s = False, False, math.inf
    for i in range(actors.shape[0]):
        a = actors[i]
        dx, dy = a.xyz[0] - pose[0], a.xyz[1] - pose[1]
        x, y = c * dx + s * dy, c * dy - s * dx
        if x < -2.0 or x > REACH + 5.0 or abs(y) > REACH or y > left + AWAY or y < right - AWAY:
            continue
        along, aside, heading = path_position(path, x, y)
        if along < 1.0 or along > REACH or abs(aside) > BESIDE + 2.0:
            continue
        vx = c * a.velocity[0] + s * a.velocity[1]
        vy = c * a.velocity[1] - s * a.velocity[0]
        v_aside = vy * math.cos(heading) - vx * math.sin(heading)
        speed = norm(vx, vy)
        turned = abs(wrapped(a.yaw - pose[2] - heading))
        half = min(a.extent[1], 1.2)
        inside = abs(aside) < CORRIDOR
        enters = not inside and aside * v_aside < 0 and abs(aside) - abs(v_aside) * FORESIGHT < CORRIDOR
        if a.kind == _PEDESTRIAN:
            if abs(aside) < CORRIDOR + half or enters:
                crossing = True
        elif a.kind <= _CAR_LIKE and turned < 1.0:
            if inside and along < lead_s:
                lead_s, lead_brakes = along, a.braking and speed > 1.0
            settling = inside and abs(aside) > 0.6 and abs(v_aside) > 0.4 and aside * v_aside < 0
            if along < 30.0 and speed > 1.0 and ((enters and abs(v_aside) > 0.4) or settling):
                cut_in = True
        if inside and speed < STILL and a.kind != _PEDESTRIAN and along < still_s:
            still_s = along
    return lead_brakes, cut_in, crossing, still_s


@kernel
def happening(watch, path, pose, actors, now, light, distance, same, governed):  # type: ignore[no-untyped-def]
    """Which of EVENTS hold now, in their order; `watch` (1,) WATCH.

    light: its state. distance: to its line [m]. same: it governed in the last tick, too. governed: there is one.
    """
    w = watch[0]
    braking, cut_in, crossing, still_s = corridor_flags(path, pose, actors)
    if same and light != w.light and distance < 60.0:
        w.changed = now
    w.light = light
    waits = light in (_RED, _YELLOW) and distance < REACH
    w.blocked_since = min(w.blocked_since, now) if still_s < 30.0 and not waits else math.inf
    changed = governed and now - w.changed <= CHANGE_LASTS
    return braking, cut_in, crossing, changed, now - w.blocked_since >= BLOCKED_AFTER


def new_watch() -> NDArray[np.void]:
    """(1,) WATCH, before the first tick of an episode."""
    watch = np.zeros(1, WATCH)
    watch["light"], watch["changed"], watch["blocked_since"] = LightState.UNKNOWN, -math.inf, math.inf
    return watch


class EventWatch:
    """Facts in time order -> which of EVENTS hold now (5,) bool. Forgets all at `reset()`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Before the first tick of an episode."""
        self._light_id, self._watch = "", new_watch()

    def __call__(self, facts: Facts) -> NDArray[np.bool_]:
        """The events of this tick (5,), in the order of EVENTS."""
        same, self._light_id = facts.light_id == self._light_id, facts.light_id
        light, governed = int(facts.light), facts.light_id != ""
        seen = facts.path_ego, facts.pose, facts.actors, facts.time
        return np.array(happening(self._watch, *seen, light, facts.light_distance, same, governed))
