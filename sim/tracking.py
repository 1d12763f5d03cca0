"""The ego against its route and the lanes, one compiled call a tick: progress, errors, signals ahead, what it crosses.

Definitions that the referee relies on are the CARLA leaderboard's: progress (a route point is passed when the ego is
beyond it along its heading), a red light run (the tail crosses the stop line), a stop sign's box.
"""

from __future__ import annotations

from math import cos, inf, pi, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.kernels import kernel
from roadcraft.sim.lines import BORDERS, lines_ahead, route_borders
from roadcraft.sim.localisation import sense_ego
from roadcraft.sim.messages import LANE_LINES, LANE_X, PATH_POINTS, ROUTE_POINTS, ROUTE_SPACING, LightState
from roadcraft.sim.norm import norm
from roadcraft.sim.roads import DRIVING, PARKING, LaneGrid, RoadNetwork, SignalKind, lane_point, nearest_lane
from roadcraft.sim.routes import Route

WINDOW = 2  # route points looked ahead for progress a tick
SIGNAL_REACH = 80.0  # m ahead within which lights and stop signs are told
WRONG_WAY = -0.5  # cosine of the heading difference below which a lane leads the other way
LINE_HALF = 0.6  # of the lane's width: how far a stop line reaches to either side
TAIL_NEAR, TAIL_FAR = 0.8, 1.0  # the tail: from 0.8 half lengths to 1 m behind the bumper
STOP_BOX_BEFORE = 4.0  # m before the line at which the box begins, for the front bumper
_LIGHT, _STOP = int(SignalKind.LIGHT), int(SignalKind.STOP)
STOP_BOX_BEYOND = 1.2  # m behind the line at which it ends, for the ego's origin: a box of 1 m made 1.2 times as long


# What the kernel finds out, beside single numbers; the fields of `Facts`, `Observation` and `Ego`.
VIEW = np.dtype(
    [
        ("velocity_ego", np.float64, 2),
        ("path_ego", np.float64, (PATH_POINTS, 2)),
        ("lanes_ego", np.float64, (LANE_LINES, len(LANE_X))),
        ("route_ego", np.float64, (ROUTE_POINTS, 2)),
        ("xy_world", np.float64, 2),
        ("accel_ego", np.float64, 2),
        ("lane_marks", np.uint8, LANE_LINES),
    ],
    align=True,
)
# A route point as the kernel reads it; see `lines.py` for the borders.
POINT = np.dtype(
    [
        ("xy", np.float64, 2),  # [m]
        ("yaw", np.float64),  # [rad] of the route
        ("cos", np.float64),  # of it
        ("sin", np.float64),
        ("s", np.float64),  # [m] from the route's beginning
        ("width", np.float64),  # [m] of its lane
        ("speed_limit", np.float64),  # [m/s]
        ("junction_s", np.float64),  # [m] along the route of the next point inside a junction, inf after the last
        ("offsets", np.float64, BORDERS),
        ("marks", np.uint8, BORDERS),
        ("shift", np.int64),
        ("command", np.uint8),  # messages.Command
    ],
    align=True,
)


def route_points(network: RoadNetwork, route: Route) -> NDArray[np.void]:
    """(N,) POINT: everything about the route that does not change while it is driven."""
    points = np.zeros(len(route.s), POINT)
    for name in ("xy", "yaw", "s", "width", "speed_limit", "command"):
        points[name] = getattr(route, name)
    points["offsets"], points["marks"], points["shift"] = route_borders(network, route)
    inside = np.where(route.junction, route.s, inf)
    points["junction_s"] = np.minimum.accumulate(inside[::-1])[::-1]
    _directions(points)
    return points


@kernel
def _directions(points: NDArray[np.void]) -> None:
    for i in range(len(points)):
        points[i].cos, points[i].sin = cos(points[i].yaw), sin(points[i].yaw)


def new_memory() -> NDArray[np.int64]:
    """What the kernel remembers: route index, lane, whether the body is over that lane's left and right line."""
    return np.array([0, -1, 0, 0], np.int64)


@kernel
def wrap_angle(angle: float) -> float:
    return angle - 2 * pi * np.floor(angle / (2 * pi) + 0.5)


@kernel
def advance_index(route: NDArray[np.void], index: int, x: float, y: float) -> int:
    """The furthest of the next route points that is passed: the ego is beyond it along its heading."""
    for k in range(index, min(index + WINDOW, len(route) - 1) + 1):
        along = (x - route[k].xy[0]) * route[k].cos + (y - route[k].xy[1]) * route[k].sin
        if along > 0.0:
            index = k
    return index


@kernel
def project_on_route(route: NDArray[np.void], index: int, x: float, y: float) -> tuple[float, float]:
    """Progress [m] beyond route point `index` and the signed distance [m] from the route near it, left positive."""
    last = len(route) - 1
    best, lateral = inf, 0.0
    for a in range(max(index - 2, 0), min(index + 3, last)):
        dx, dy = route[a + 1].xy[0] - route[a].xy[0], route[a + 1].xy[1] - route[a].xy[1]
        square = max(dx * dx + dy * dy, 1e-12)
        t = min(max(((x - route[a].xy[0]) * dx + (y - route[a].xy[1]) * dy) / square, 0.0), 1.0)
        ex, ey = x - route[a].xy[0] - t * dx, y - route[a].xy[1] - t * dy
        distance = norm(ex, ey)
        if distance < best:
            best = distance
            lateral = distance if dx * ey - dy * ex > 0.0 else -distance
    beyond = 0.0
    if index < last:
        along = (x - route[index].xy[0]) * route[index].cos + (y - route[index].xy[1]) * route[index].sin
        beyond = min(max(along, 0.0), route[index + 1].s - route[index].s)
    return beyond, lateral


@kernel
def route_point(route: NDArray[np.void], s: float) -> tuple[float, float]:
    """The route's point [m] at arc length `s`, held at its ends. Points are 1 m apart but for the last."""
    last = len(route) - 1
    a = min(max(int(s), 0), last - 1)
    while a > 0 and route[a].s > s:
        a -= 1
    while a < last - 1 and route[a + 1].s < s:
        a += 1
    t = min(max((s - route[a].s) / max(route[a + 1].s - route[a].s, 1e-9), 0.0), 1.0)
    x = route[a].xy[0] + t * (route[a + 1].xy[0] - route[a].xy[0])
    y = route[a].xy[1] + t * (route[a + 1].xy[1] - route[a].xy[1])
    return x, y


@kernel
def points_ahead(
    route: NDArray[np.void], start: float, step: float, pose: tuple[float, float, float], points: NDArray[np.float64]
) -> None:
    """Fills `points` (K, 2) [m] with the route's in the frame of `pose`, from arc length `start` on, `step` apart."""
    c, s = cos(pose[2]), sin(pose[2])
    for k in range(len(points)):
        x, y = route_point(route, start + k * step)
        dx, dy = x - pose[0], y - pose[1]
        points[k, 0], points[k, 1] = dx * c + dy * s, dy * c - dx * s


@kernel
def next_stop(stops: NDArray[np.void], front: float, kind: int) -> tuple[int, float]:
    """The next signal of a kind whose line lies ahead of arc length `front`: (signal, distance [m]) or (-1, inf)."""
    for k in range(len(stops)):
        if stops[k].kind == kind and stops[k].s >= front:
            distance = stops[k].s - front
            return (stops[k].signal, distance) if distance <= SIGNAL_REACH else (-1, inf)
    return -1, inf


@kernel
def red_light_run(
    grid: LaneGrid, lanes: NDArray[np.void], lights: NDArray[np.uint8], x: float, y: float, yaw: float, half: float
) -> int:
    """The light that is red and whose stop line the ego's tail now lies across, or -1."""
    c, s = cos(yaw), sin(yaw)
    near, far = -TAIL_NEAR * half, -half - TAIL_FAR
    lane, _, _ = nearest_lane(grid, x + far * c, y + far * s, yaw, True, DRIVING)
    if lane < 0 or lanes[lane].signal < 0 or lights[lanes[lane].signal] != LightState.RED:
        return -1
    px, py, heading, width = lane_point(grid, lane, lanes[lane].signal_s)
    u, v = cos(heading), sin(heading)
    ahead = (x + near * c - px) * u + (y + near * s - py) * v
    behind = (x + far * c - px) * u + (y + far * s - py) * v
    if ahead < 0.0 or behind > 0.0 or ahead == behind:
        return -1
    at = near + (far - near) * ahead / (ahead - behind)
    across = (y + at * s - py) * u - (x + at * c - px) * v
    return lanes[lane].signal if abs(across) <= LINE_HALF * width else -1


@kernel
def crossed_lines(
    lanes: NDArray[np.void],
    memory: NDArray[np.int64],
    lane: int,
    width: float,
    reach_left: float,
    reach_right: float,
) -> tuple[int, int]:
    """Marks of the left and right line of `lane` that the body came over in this tick (0: none).

    `reach_left` and `reach_right` [m] are how far the body reaches to either side of the lane's centre.
    """
    over_left, over_right = reach_left > width / 2, reach_right > width / 2
    was_left, was_right = memory[2] == 1, memory[3] == 1
    before = memory[1]
    if before != lane:
        if before >= 0 and lanes[before].left == lane:
            was_left, was_right = False, was_left  # the line between the two, seen from the other side
        elif before >= 0 and lanes[before].right == lane:
            was_left, was_right = was_right, False
        elif before < 0 or lanes[before].junction != lanes[lane].junction:
            was_left, was_right = over_left, over_right
    memory[1], memory[2], memory[3] = lane, over_left, over_right
    left = lanes[lane].left_mark if over_left and not was_left else 0
    right = lanes[lane].right_mark if over_right and not was_right else 0
    return left, right


@kernel
def track(
    grid: LaneGrid,
    lanes: NDArray[np.void],
    route: NDArray[np.void],
    stops: NDArray[np.void],
    memory: NDArray[np.int64],
    lights: NDArray[np.uint8],
    state: NDArray[np.float64],
    half: NDArray[np.float64],
    noise: NDArray[np.float64],
    noise_row: int,
    offset: NDArray[np.float64],
    out: NDArray[np.void],
    row: int,
) -> tuple[
    tuple[float, float, float],
    tuple[float, float, float, float, float, float, bool, float, float],
    tuple[int, float, int, float, int, int, int, int, int],
]:
    """One tick. `lanes` (L,) are the network's LANE, `route` (N,) POINT, `stops` (K,) the route's.

    `state` (8,) is the ego's true one, see `Localisation`, `half` its half length and width; `noise`, `noise_row` and
    `offset` are those of `sense_ego`. Fills `out[row]`, VIEW, and returns yaw, speed and yaw rate as sensed; then,
    named as in `Facts`: progress, lateral_error, heading_error, lane_width, off_lane, nearest_lane_width, wrong_way,
    speed_limit, junction_distance; then light, light_distance, stop, stop_distance, red_light_run, stop_zone, marks
    crossed left and right, command. Signals are rows of the network's table, -1 for none.
    """
    view = out[row]
    x, y, yaw = state[0], state[1], state[2]
    pose = (x, y, yaw)
    sensed = sense_ego(state, noise, noise_row, offset, view.xy_world, view.accel_ego)
    believed = (view.xy_world[0], view.xy_world[1], sensed[0])
    c, s_yaw = cos(yaw), sin(yaw)
    view.velocity_ego[0] = state[3] * c + state[4] * s_yaw
    view.velocity_ego[1] = state[4] * c - state[3] * s_yaw
    index = advance_index(route, memory[0], x, y)
    memory[0] = index
    beyond, lateral = project_on_route(route, index, x, y)
    progress = route[index].s + beyond
    # Lanes at the ego's place: the nearest of any direction, and the one that leads its way.
    any_lane, s, off = nearest_lane(grid, x, y, yaw, False, DRIVING | PARKING)
    off_width, wrong_way = route[index].width, False
    if any_lane >= 0:
        _, _, lane_yaw, off_width = lane_point(grid, any_lane, s)
        wrong_way = grid.kind[any_lane] == 0 and lanes[any_lane].junction < 0 and cos(lane_yaw - yaw) < WRONG_WAY
    own, own_s, own_off = nearest_lane(grid, x, y, yaw, True, DRIVING)
    crossed_left, crossed_right, zone = 0, 0, -1
    if own >= 0:
        _, _, lane_yaw, width = lane_point(grid, own, own_s)
        turn = yaw - lane_yaw
        reach = abs(sin(turn)) * half[0] + abs(cos(turn)) * half[1]
        crossed_left, crossed_right = crossed_lines(lanes, memory, own, width, reach + own_off, reach - own_off)
        if lanes[own].stop >= 0:
            line = lanes[own].stop_s
            if own_s + half[0] >= line - STOP_BOX_BEFORE and own_s <= line + STOP_BOX_BEYOND and cos(turn) > 0.0:
                zone = lanes[own].stop
    light, light_distance = next_stop(stops, progress + half[0], _LIGHT)
    stop, stop_distance = next_stop(stops, progress + half[0], _STOP)
    lines_ahead(route, index, lateral, pose, view.lanes_ego, view.lane_marks)
    points_ahead(route, progress, 1.0, pose, view.path_ego)
    # The route as the ego believes it: the next of the points that stand every 10 m along it.
    error = (believed[0] - x) * route[index].cos + (believed[1] - y) * route[index].sin
    first = (np.floor(max(progress + error, 0.0) / ROUTE_SPACING) + 1.0) * ROUTE_SPACING
    points_ahead(route, first, ROUTE_SPACING, believed, view.route_ego)
    return (
        sensed,
        (
            progress,
            lateral,
            wrap_angle(yaw - route[index].yaw),
            route[index].width,
            abs(off),
            off_width,
            wrong_way,
            route[index].speed_limit,
            max(route[index].junction_s - progress, 0.0),
        ),
        (
            light,
            light_distance,
            stop,
            stop_distance,
            red_light_run(grid, lanes, lights, x, y, yaw, half[0]),
            zone,
            crossed_left,
            crossed_right,
            int(route[index].command),
        ),
    )
