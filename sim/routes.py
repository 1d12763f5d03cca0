"""Routes: the way that an episode asks for, along lane centres, with its commands and stop lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Command, Episode
from roadcraft.sim.roads import RoadNetwork, SignalKind

COMMAND_AHEAD = 30.0  # [m] before a junction or lane change from which its command is given
CHANGE_LENGTH, CHANGE_TIME = 25.0, 3.0  # [m], [s at the speed limit]: a lane change is as long as the longer of both
STEP = 0.5  # [m] between the points that a route is made of before it is resampled
SPACING = 1.0  # [m] between a route's points

STOP = np.dtype(
    [
        ("s", np.float64),  # [m] of the stop line along the route
        ("signal", np.int32),  # row in the network's `signals`
        ("kind", np.uint8),  # roads.SignalKind: LIGHT or STOP
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """N points 1 m apart along lane centres (the last step may be shorter)."""

    xy: NDArray[np.float64]  # (N, 2) [m] world
    yaw: NDArray[np.float64]  # (N,) [rad]
    s: NDArray[np.float64]  # (N,) [m]
    lane: NDArray[np.int32]  # (N,) lane of the network
    lane_s: NDArray[np.float64]  # (N,) [m] along that lane
    width: NDArray[np.float64]  # (N,) [m]
    speed_limit: NDArray[np.float64]  # (N,) [m/s]
    junction: NDArray[np.bool_]  # (N,) inside a junction
    command: NDArray[np.uint8]  # (N,) messages.Command of the junction or lane change within the next 30 m, else FOLLOW
    stops: NDArray[np.void] = field(repr=False)  # (K,) STOP, in order

    @property
    def length(self) -> float:
        """[m]"""
        return float(self.s[-1])

    @property
    def junctions(self) -> int:
        """How many junctions it crosses."""
        inside = np.concatenate([[False], self.junction])
        return int((inside[1:] & ~inside[:-1]).sum())

    def until(self, end: float) -> Route:
        """The part up to the last point at or before `end` [m]."""
        count = int(np.searchsorted(self.s, end + 1e-9, side="right"))
        names = ("xy", "yaw", "s", "lane", "lane_s", "width", "speed_limit", "junction", "command")
        short = {name: getattr(self, name)[:count] for name in names}
        return replace(self, **short, stops=self.stops[self.stops["s"] <= short["s"][-1]])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Route) and np.array_equal(self.xy, other.xy) and np.array_equal(self.lane, other.lane)

    def __hash__(self) -> int:
        return hash((self.xy.tobytes(), self.lane.tobytes()))


@dataclass(frozen=True, slots=True)
class _Piece:
    """Part of a route on one lane, or the lane change from it to `other`, by shares of the lane's length."""

    lane: int
    begin: float
    end: float
    other: int = -1


def route_through(
    network: RoadNetwork, lanes: Sequence[int], start_s: float = 0.0, end_s: float | None = None
) -> Route:
    """The route along lanes that follow each other (or lie side by side: a lane change as early as possible).

    From arc length `start_s` [m] on the first lane to `end_s` on the last, or to its end. UserError when two lanes in
    the list do not connect, or where no room is left for a lane change.
    """
    pieces = _pieces(network, [int(lane) for lane in lanes], start_s, end_s)
    parts = [_sample(network, piece) for piece in pieces]
    xy, yaw, lane, lane_s, width = (np.concatenate(column) for column in zip(*parts, strict=True))
    keep = np.concatenate([[True], np.hypot(*np.diff(xy, axis=0).T) > 1e-3])
    xy, yaw, lane, lane_s, width = xy[keep], np.unwrap(yaw[keep]), lane[keep], lane_s[keep], width[keep]
    if len(xy) < 2:
        raise UserError(f"{network.name}: the route through lanes {list(lanes)[:5]} has no length")
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    at = np.append(np.arange(0.0, s[-1] - 0.05, SPACING), s[-1])
    here = np.clip(np.searchsorted(s, at, side="right") - 1, 0, len(s) - 1)
    table = network.lanes[lane[here]]
    return Route(
        xy=np.stack([np.interp(at, s, xy[:, 0]), np.interp(at, s, xy[:, 1])], -1),
        yaw=(np.interp(at, s, yaw) + np.pi) % (2 * np.pi) - np.pi,
        s=at,
        lane=lane[here],
        lane_s=lane_s[here] + at - s[here],
        width=np.interp(at, s, width),
        speed_limit=np.ascontiguousarray(table["speed_limit"]),
        junction=table["junction"] >= 0,
        command=_commands(network, pieces, s, lane, at),
        stops=_stops(network, s, lane, lane_s),
    )


def _pieces(network: RoadNetwork, lanes: list[int], start_s: float, end_s: float | None) -> list[_Piece]:
    """Cuts the list of lanes into lane following and lane changes."""
    lengths = network.lanes["length"]
    pieces, at = [], start_s / lengths[lanes[0]]
    for lane, after in zip(lanes, [*lanes[1:], -1], strict=True):
        if after < 0:
            pieces.append(_Piece(lane, at, 1.0 if end_s is None else end_s / lengths[lane]))
        elif after in network.successors(lane):
            pieces.append(_Piece(lane, at, 1.0))
            at = 0.0
        elif after in network.changes(lane):
            share = min(change_length(network, lane) / lengths[lane], 1.0 - at)
            if share * lengths[lane] < 5.0:
                raise UserError(f"{network.name}: no room left on lane {lane} to change to lane {after}")
            pieces.append(_Piece(lane, at, at + share, after))
            at += share
        else:
            raise UserError(f"{network.name}: lane {after} does not follow lane {lane}")
    return pieces


def change_length(network: RoadNetwork, lane: int) -> float:
    """[m] that a lane change from a lane takes where there is room; sideways then at about 2 m/s^2 at most."""
    return max(CHANGE_LENGTH, CHANGE_TIME * float(network.lanes["speed_limit"][lane]))


def _sample(network: RoadNetwork, piece: _Piece) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
    """xy, yaw, lane, lane_s, width about every half metre."""
    length = network.lanes["length"][piece.lane]
    count = max(int(np.ceil((piece.end - piece.begin) * length / STEP)), 1) + 1
    share = np.linspace(piece.begin, piece.end, count)
    here = np.array([network.point(piece.lane, k * length) for k in share])
    lane = np.full(count, piece.lane, np.int32)
    if piece.other < 0:
        return here[:, :2], here[:, 2], lane, share * length, here[:, 3]
    other_length = network.lanes["length"][piece.other]
    there = np.array([network.point(piece.other, k * other_length) for k in share])
    u = np.linspace(0.0, 1.0, count)
    blend = u * u * u * (10 - 15 * u + 6 * u * u)  # no jerk at either end: the minimum-jerk quintic
    xy = here[:, :2] + blend[:, None] * (there - here)[:, :2]
    ahead = np.gradient(xy, axis=0)
    second = blend >= 0.5
    lane[second] = piece.other
    lane_s = np.where(second, share * other_length, share * length)
    return xy, np.arctan2(ahead[:, 1], ahead[:, 0]), lane, lane_s, np.where(second, there[:, 3], here[:, 3])


def _commands(
    network: RoadNetwork, pieces: list[_Piece], s: NDArray[np.float64], lane: NDArray[np.int32], at: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """The manoeuvre in progress or within the next 30 m, at each arc length of `at`."""
    events: list[tuple[float, float, int]] = []
    junction = network.lanes["junction"][lane]
    edges = np.flatnonzero(np.diff(np.concatenate([[-1], junction, [-1]])))
    for begin, end in pairwise(edges.tolist()):
        if junction[begin] >= 0:
            turns = network.lanes["turn"][lane[begin:end]]
            bends = turns[turns != Command.STRAIGHT]
            last = min(end, len(s) - 1)
            events.append((float(s[begin]), float(s[last]), int(bends[0]) if len(bends) else int(Command.STRAIGHT)))
    for piece in pieces:
        if piece.other >= 0:
            left = network.lanes["left"][piece.lane] == piece.other
            middle = np.flatnonzero((lane[:-1] == piece.lane) & (lane[1:] == piece.other))
            half = (piece.end - piece.begin) * network.lanes["length"][piece.lane] / 2
            command = Command.CHANGE_LEFT if left else Command.CHANGE_RIGHT
            events += [(s[k] - half, s[k] + half, int(command)) for k in middle]
    out = np.full(len(at), Command.FOLLOW, np.uint8)
    for since, until, asked in sorted(events, reverse=True):  # what comes first is written last
        out[(at >= since - COMMAND_AHEAD) & (at < until)] = asked
    return out


def _stops(
    network: RoadNetwork, s: NDArray[np.float64], lane: NDArray[np.int32], lane_s: NDArray[np.float64]
) -> NDArray[np.void]:
    """The stop lines that the route crosses."""
    out = []
    edges = np.flatnonzero(np.diff(lane)) + 1
    for run in np.split(np.arange(len(lane)), edges):
        row = network.lanes[lane[run[0]]]
        for name, kind in (("signal", SignalKind.LIGHT), ("stop", SignalKind.STOP)):
            line = row[f"{name}_s"]
            if row[name] >= 0 and lane_s[run[0]] <= line <= lane_s[run[-1]] + STEP:
                out.append((np.interp(line, lane_s[run], s[run]), row[name], kind))
    return np.array(sorted(out), STOP)


def route_from_points(network: RoadNetwork, xy: ArrayLike) -> Route:
    """The shortest route through points (K, 2) [m] in the world frame, K >= 2.

    Each point is taken to lie in the nearest lane, or in one that overlaps it, whichever makes the whole way shortest.
    UserError for a point off the road, and where no way leads on.
    """
    points = np.asarray(xy, float)
    choices = [_lanes_at(network, point) for point in points]
    costs = [{lane: 0.0 for lane in choices[0]}]
    ways: list[dict[int, tuple[int, list[int]]]] = [{}]
    for before, after in pairwise(choices):
        cost: dict[int, float] = {}
        way: dict[int, tuple[int, list[int]]] = {}
        for a, s_a in before.items():
            for b, s_b in after.items():
                if a not in costs[-1]:
                    continue
                path = _between(network, a, s_a, b, s_b)
                total = costs[-1][a] + _way_length(network, path, s_a, s_b) if path else np.inf
                if total < cost.get(b, np.inf):
                    cost[b], way[b] = total, (a, path)
        if not cost:
            raise UserError(f"{network.name}: no way leads to the route's point {len(costs)}")
        costs.append(cost)
        ways.append(way)
    lane = min(costs[-1], key=lambda k: costs[-1][k])
    lanes, end_s = [lane], choices[-1][lane]
    for way in ways[:0:-1]:
        lane, path = way[lane]
        lanes = path[:-1] + lanes
    return route_through(network, lanes, choices[0][lane], end_s)


def _lanes_at(network: RoadNetwork, point: NDArray[np.float64]) -> dict[int, float]:
    """The driving lanes within 1.5 m of a place, or else the nearest, each with its arc length there."""
    nearest, s, lateral = network.nearest(point)
    if nearest < 0 or abs(lateral) > 10.0:
        raise UserError(f"{network.name}: the route's point ({point[0]:.1f}, {point[1]:.1f}) is not on a road")
    out = {nearest: s}
    gap = np.hypot(*(network.xy - point).T)
    for lane in np.unique(network.lane_of[gap < 1.5]):
        rows = network.points(int(lane))
        if network.lanes["kind"][lane] == 0:
            out[int(lane)] = float(network.s[rows][np.argmin(gap[rows])])
    return out


def _between(network: RoadNetwork, a: int, s_a: float, b: int, s_b: float) -> list[int]:
    """Lanes from a place to another, both included; empty where there is no way."""
    try:
        if a == b and s_b < s_a:
            ways = [[a, *network.shortest(int(n), b)] for n in network.successors(a)]
            return min(ways, key=lambda way: _way_length(network, way, s_a, s_b), default=[])
        return network.shortest(a, b)
    except UserError:
        return []


def _way_length(network: RoadNetwork, way: list[int], s_a: float, s_b: float) -> float:
    return float(network.lanes["length"][way[:-1]].sum() - s_a + s_b)


def route_of(network: RoadNetwork, episode: Episode) -> Route:
    """The route that an episode asks for. UserError where there is none."""
    if episode.route is not None:
        return episode.route
    if episode.points:
        return route_from_points(network, episode.points)
    return route_from_seed(network, episode.seed, episode.route_length)


def route_from_seed(network: RoadNetwork, seed: int, length: float = 500.0, start: int | None = None) -> Route:
    """A route of at least `length` [m] with turns, junctions and lights, that begins and ends on straight road.

    It begins at spawn point `start`, or at one drawn from the seed. UserError where the network has no such route.
    """
    from roadcraft.sim.route_search import draw_route

    return draw_route(network, seed, length, start)
