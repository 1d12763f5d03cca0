"""The compiled part of `truth.py`: one tick's percept from the facts, with what is missed, invented and blurred."""

from __future__ import annotations

import math

import numpy as np

from roadcraft.perception.events import happening
from roadcraft.perception.percept import EVENTS
from roadcraft.perception.truth_objects import DISTANCES, bin_of, sense, with_ghosts
from roadcraft.sim.draws import normal
from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import LANE_LINES, LANE_X, LightState

LANE_NOISES = 3 + len(LANE_X)  # per lane line: found, invented, moved, each of its points
SIGN_NOISES = 4  # of the light and of the stop sign: seen, distance, state, which
SIGN_RANGE = 80.0  # [m] a light or stop sign further away than this governs nothing yet
FALSE_DISTANCE = 25.0, 20.0  # [m] to the line of a light, of a stop sign that is none
_LIGHTS = int(LightState.GREEN)  # the last of the states that a light shows us

# An `ErrorModel` as the kernel reads it. Probabilities p of signs and lines are given as z with P(Z < z) = p.
MODEL = np.dtype(
    [
        ("detect", np.float64, (3, len(DISTANCES))),  # of vehicles, cyclists, pedestrians
        ("range_sigma", np.float64, len(DISTANCES)),
        ("velocity_sigma", np.float64, (2, len(DISTANCES))),  # of those who move and of those who stand
        ("bearing_sigma", np.float64),
        ("yaw_sigma", np.float64),
        ("hold", np.float64),
        ("lane_sigma", np.float64, len(LANE_X)),
        ("lane_recall", np.float64),
        ("lane_false", np.float64),
        ("light_recall", np.float64, len(DISTANCES)),
        ("light_false", np.float64),
        ("light_wrong", np.float64),
        ("stop_recall", np.float64, len(DISTANCES)),
        ("stop_false", np.float64),
        ("sign_sigma", np.float64),
        ("false_alarms", np.float64),  # probability of one in a tick
        ("false_alarm_life", np.float64),
    ],
    align=True,
)
# What it remembers from tick to tick, beside the table of objects.
MEMORY = np.dtype(
    [
        ("lines", np.float64, (LANE_LINES, LANE_NOISES)),  # latent errors
        ("signs", np.float64, (2, SIGN_NOISES)),
        ("random", np.uint64),  # see `draws.py`
        ("next_track", np.int32),
        ("ghosts", np.int32),  # how many live
    ],
    align=True,
)

# What it perceives, beside the objects; the fields of `Percept`.
SEEN = np.dtype(
    [
        ("lanes", np.float64, (LANE_LINES, len(LANE_X))),
        ("lane_prob", np.float64, LANE_LINES),
        ("light", np.float64, 4),
        ("events", np.float64, len(EVENTS)),
    ],
    align=True,
)


@kernel
def _lines(lanes_ego, depth, camera, keep, fresh, m, memory, lanes, prob):  # type: ignore[no-untyped-def]
    """Fills `lanes` (4, 10) [m], NaN where nothing is seen, and `prob` (4,)."""
    z = memory["lines"]
    for line in range(LANE_LINES):
        for k in range(LANE_NOISES):
            z[line, k] = z[line, k] * keep + fresh * normal(memory)
        exists = False
        for k in range(len(LANE_X)):
            y = lanes_ego[line, k]
            column = camera[5] / 2 - (y - camera[1]) * camera[4] / depth[k]
            y = y if 0.0 <= column <= camera[5] else np.nan
            lanes[line, k] = y + m["lane_sigma"][k] * (0.8 * z[line, 2] + 0.6 * z[line, 3 + k])
            exists = exists or math.isfinite(lanes[line, k])
        seen = z[line, 0] < m["lane_recall"] if exists else z[line, 1] > -m["lane_false"]
        if not seen:
            lanes[line] = np.nan
        prob[line] = 0.95 if seen else 0.04


@kernel
def _drift(z, memory, known, keep, fresh):  # type: ignore[no-untyped-def]
    """The latent errors of a sign, drawn anew for another one."""
    for k in range(SIGN_NOISES):
        z[k] = keep * z[k] + fresh * normal(memory) if known else normal(memory)


@kernel
def _light(state, distance, z, m, light):  # type: ignore[no-untyped-def]
    """Fills `light` (4,) and returns the distance [m] to its line."""
    pick = int(abs(z[3]) * 7)
    if state > _LIGHTS or distance >= SIGN_RANGE:
        if z[0] > -m["light_false"]:
            for k, p in enumerate((0.9, 0.04, 0.03, 0.03)):
                light[(k + pick % 3) % 4] = p
            return FALSE_DISTANCE[0]
        light[:] = 0.01
        light[3] = 0.97
        return math.inf
    if z[0] > m["light_recall"][bin_of(distance)]:
        light[0], light[1], light[2], light[3] = 0.08, 0.04, 0.08, 0.80
        return math.inf
    if z[2] > -m["light_wrong"]:
        state = (state + 1 + pick % 2) % 3
    light[:] = 0.01
    light[state] = 0.97
    return distance * max(0.2, 1.0 + m["sign_sigma"] * z[1])


@kernel
def _stop(distance, z, m):  # type: ignore[no-untyped-def]
    """Probability of a stop sign and the distance [m] to its line."""
    if distance < SIGN_RANGE:
        if z[0] < m["stop_recall"][bin_of(distance)]:
            return 0.95, distance * max(0.2, 1.0 + m["sign_sigma"] * z[1])
        return 0.2, math.inf
    if z[0] > -m["stop_false"]:
        return 0.8, FALSE_DISTANCE[1]
    return 0.02, math.inf


@kernel
def perceive(  # type: ignore[no-untyped-def]
    actors, pose, path_ego, now, lanes_ego, light, light_distance, stop_distance, same_light, same_stop, governed,
    camera, keep, models, memories, watch, table, ghosts, sights, covered, objects, out, row,
):  # fmt: skip
    """One tick: fills `objects` (rows of OBJECT, as many as actors and GHOSTS) and `out[row]`, SEEN; returns how many
    objects, the distance [m] to the light's line, the probability of a stop sign and the distance [m] to its line.

    light: its state. same_light, same_stop: whether they are those of the last tick. governed: whether there is a
    light. camera: (17,) x, y, z [m], pitch [rad], focal, width, height [pixels], then the depth [m] of the ground at
    LANE_X. keep: of the latent processes. sights, covered: working memory of `truth_objects.look`.
    """
    m, memory, seen = models[0], memories[0], out[row]
    fresh, depth = math.sqrt(1.0 - keep * keep), camera[7:]
    _lines(lanes_ego, depth, camera, keep, fresh, m, memory, seen.lanes, seen.lane_prob)
    signs = memory["signs"]
    _drift(signs[0], memory, same_light, keep, fresh)
    light_distance_seen = _light(light, light_distance, signs[0], m, seen.light)
    _drift(signs[1], memory, same_stop, keep, fresh)
    stop_prob, stop_distance = _stop(stop_distance, signs[1], m)
    count = sense(actors, pose, now, camera, keep, fresh, m, table, memory, sights, covered, objects)
    count = with_ghosts(pose, now, m, memory, ghosts, objects, count)
    flags = happening(watch, path_ego, pose, actors, now, light, light_distance, same_light, governed)
    for k in range(len(EVENTS)):
        seen.events[k] = 0.9 if flags[k] else 0.05
    return count, light_distance_seen, stop_prob, stop_distance
