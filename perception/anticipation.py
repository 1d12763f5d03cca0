"""What the tracks' places say of the events: the events' own definition (`events.py`) on what is seen.

Who stands in the corridor, or goes towards it fast enough, is told by geometry and not learned: such moments are too
rare for a small model to find the rule in.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.events import BESIDE, CHANGE_LASTS, CORRIDOR, path_position
from roadcraft.perception.percept import EVENTS
from roadcraft.perception.tracker import NEW, SEEN_OFTEN
from roadcraft.sim.kernels import njit

CUT_IN, CROSSING, CHANGED = (EVENTS.index(name) for name in ("cut_in", "pedestrian_crossing", "light_changed"))
# Chosen on the drives of seeds 1060-1069.
AHEAD = 1.5  # [s] for which an object is followed on: an event is told up to two before, and few go on for so long
REACH = np.array(
    [25.0, 25.0, 30.0]
)  # [m] along the path: beyond, vehicles', cyclists' and walkers' sideways speed is noise
ROOM = 0.5  # [m] of a walker's half width and of what its place is off
SOFT = 0.3  # [m] inside the corridor's edge in which the odds grow by e
SETTLED, PACE, SIDEWAYS = 0.6, 1.0, 0.4  # [m], [m/s], [m/s]: as `events.corridor_flags` has them
_WALKER = 2  # group


@njit
def entering(objects: NDArray[np.void], tracks: NDArray[np.void], path: NDArray[np.float64]) -> tuple[float, float]:
    """Probabilities that a vehicle cuts in and that a pedestrian is in the way or about to be, from objects (N,)
    OBJECT, their tracks (N,) TRACK and the corridor (60, 2) [m]; zero for nobody."""
    cut_in, crossing = 0.0, 0.0
    for i in range(len(objects)):
        o, t = objects[i], tracks[i]
        group = t.last.group
        if t.hits < SEEN_OFTEN or t.score < NEW:
            continue
        along, aside, direction = path_position(path, float(o.xy_ego[0]), float(o.xy_ego[1]))
        if along < 1.0 or along > REACH[group] or abs(aside) > BESIDE + 2.0:
            continue
        c, s = math.cos(direction), math.sin(direction)
        pace = c * o.velocity_ego[0] + s * o.velocity_ego[1]
        sideways = c * o.velocity_ego[1] - s * o.velocity_ego[0]
        nears = aside * sideways < 0.0
        nearest = max(abs(aside) - abs(sideways) * AHEAD, 0.0) if nears else abs(aside)
        if group == _WALKER:
            crossing = max(crossing, _sure(CORRIDOR + ROOM - nearest))
        elif nears and pace > 0.0 and abs(sideways) > SIDEWAYS and math.hypot(pace, sideways) > PACE:
            inside = abs(aside) < CORRIDOR
            cut_in = max(cut_in, _sure(abs(aside) - SETTLED if inside else CORRIDOR - nearest))
    return cut_in, crossing


@njit
def _sure(margin):  # type: ignore[no-untyped-def]
    """Probability of somebody `margin` [m] beyond the edge from which it is so."""
    return 1.0 / (1.0 + math.exp(-min(max(margin / SOFT, -30.0), 30.0)))


def anticipated(
    events: NDArray[np.float64],
    objects: NDArray[np.void],
    tracks: NDArray[np.void],
    path: NDArray[np.float64],
    light: NDArray[np.float64],
    changed: tuple[float, bool],
) -> NDArray[np.float64]:
    """The probabilities (5,) of EVENTS that were learned, with those that are known. `light` (4,): its probabilities;
    `changed`: what the LightWatch says of it. A light that has just been seen to change has changed, and a yellow
    one is about to."""
    out = events.copy()
    out[CUT_IN], out[CROSSING] = entering(objects, tracks, path)
    since, yellow = changed
    if since <= CHANGE_LASTS or yellow:
        out[CHANGED] = max(out[CHANGED], 1.0 - float(light[3]))
    return out
