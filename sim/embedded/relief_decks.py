"""Bridges: where a lane passes over another one it is a deck of its own; the ground follows the lower lane."""

from __future__ import annotations

from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.relief import CONCRETE, ON_DECK
from roadcraft.sim.embedded.relief_grid import Grid, lay_lane
from roadcraft.sim.kernels import njit
from roadcraft.sim.roads import RoadNetwork

CLEARANCE = 2.0  # [m] between a lane and one above it that makes the upper one a bridge
APPROACH = 9.0  # [m] that a deck reaches beyond the lane below, where the ground rises to it
THICK = 0.7  # [m] of a deck
PARAPET, WALL = 0.8, 0.2  # [m] height of a parapet over the road, its thickness: it stands outside of the lanes
BESIDE = 0.3  # [m] beyond a lane's border where another lane must lie if it is not the bridge's edge
ALIKE = 1.0  # [m] by which such a lane may be higher or lower
MARGIN = 12.0  # [m] from a lane's point beyond which nothing lies on the piece that begins there
GROUP = 32.0  # [m] edge of the squares by which faces are sorted
Mask = NDArray[np.bool_]


def bridges(network: RoadNetwork, frame: NDArray[np.float64], shape: tuple[int, int]) -> Mask:
    """(N,) which points of lanes are on a deck."""
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    for lane in range(len(network.lanes)):
        at = network.points(lane)
        span(low, high, frame, network.xy[at], network.yaw[at], network.z[at], network.width[at] / 2)
    if not (high - low > CLEARANCE).any():
        return np.zeros(len(network.xy), bool)
    upper = np.zeros(len(network.xy), bool)
    for side in (-1.0, -0.5, 0.0, 0.5, 1.0):
        reach = side * network.width / 2
        x, y = network.xy[:, 0] - reach * np.sin(network.yaw), network.xy[:, 1] + reach * np.cos(network.yaw)
        j, i = (np.round((v - o) / frame[2]).astype(int) for v, o in ((x, frame[0]), (y, frame[1])))
        upper |= network.z - low[i, j] > CLEARANCE
    out = upper.copy()
    for lane in range(len(network.lanes)):
        at = network.points(lane)
        s, some = network.s[at], network.s[at][upper[at]]
        if len(some):
            out[at] |= np.abs(s[:, None] - some).min(1) <= APPROACH
    return out


@njit
def span(low: Grid, high: Grid, frame: Grid, xy: Grid, yaw: Grid, z: Grid, half: Grid) -> None:
    """Notes the least and the greatest height of lanes at each point of the grid."""
    for k in range(xy.shape[0]):
        for n in range(-ceil(half[k] / frame[2] * 2), ceil(half[k] / frame[2] * 2) + 1):
            side = min(max(n * frame[2] / 2, -half[k]), half[k])
            x, y = xy[k, 0] - side * np.sin(yaw[k]), xy[k, 1] + side * np.cos(yaw[k])
            j, i = floor((x - frame[0]) / frame[2] + 0.5), floor((y - frame[1]) / frame[2] + 0.5)
            low[i, j], high[i, j] = min(low[i, j], z[k]), max(high[i, j], z[k])


def pieces(network: RoadNetwork, lane: int, some: Mask, on: bool) -> list[slice]:
    """The runs of a lane's points between which all segments are on a deck, or with `on` False all that are not."""
    at = network.points(lane)
    deck = some[at]
    within = deck[:-1] & deck[1:] if on else ~(deck[:-1] & deck[1:])
    return [slice(at.start + run.start, at.start + run.stop) for run in _runs(within)]


def decks(
    network: RoadNetwork, frame: NDArray[np.float64], shape: tuple[int, int], some: Mask
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Relief.deck, Relief.deck_faces and Relief.deck_blocks of the points `some`."""
    if not some.any():
        return np.zeros((0, 0), np.float32), np.zeros((0, 13), np.float32), np.zeros((0, 6))
    total, weight, faces = np.zeros(shape), np.zeros(shape), []
    for lane in range(len(network.lanes)):
        for at in pieces(network, lane, some, True):
            lay_lane(total, weight, frame, network.xy[at], network.yaw[at], network.z[at], network.width[at] / 2)
            faces += _slab(network, at)
    deck = np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan).astype(np.float32)
    rows = np.array(faces)
    rows[:, :9] -= np.tile([frame[0], frame[1], 0.0], 3)
    return deck, *_grouped(rows, frame)


def _slab(network: RoadNetwork, at: slice) -> list[NDArray[np.float64]]:
    """Faces of a piece of a lane: above, below, at both ends and both sides, with a parapet where no lane follows."""
    left, right = (_border(network, at, side) for side in (1.0, -1.0))
    left_low, right_low = left - (0, 0, THICK), right - (0, 0, THICK)
    out = [
        *_quad(right[0], left[0], left_low[0], right_low[0]),
        *_quad(left[-1], right[-1], right_low[-1], left_low[-1]),
    ]
    for k in range(len(left) - 1):
        out += _quad(right[k], right[k + 1], left[k + 1], left[k], ON_DECK)
        out += _quad(left_low[k], left_low[k + 1], right_low[k + 1], right_low[k])
        out += _quad(left[k], left[k + 1], left_low[k + 1], left_low[k])
        out += _quad(right[k + 1], right[k], right_low[k], right_low[k + 1])
    for side in (1.0, -1.0):
        free = _free(network, at, side)
        for run in _runs(free[:-1] & free[1:]):
            out += _parapet(network, slice(at.start + run.start, at.start + run.stop), side)
    return out


def _border(network: RoadNetwork, at: slice, side: float, beyond: float = 0.0) -> Grid:
    """(n, 3) the left (1) or right (-1) border of a piece of a lane, or what is `beyond` it [m]."""
    yaw, reach = network.yaw[at], side * (network.width[at] / 2 + beyond)
    x, y = network.xy[at, 0] - reach * np.sin(yaw), network.xy[at, 1] + reach * np.cos(yaw)
    return np.stack([x, y, network.z[at]], -1)


def _free(network: RoadNetwork, at: slice, side: float) -> Mask:
    """At which points of a piece of a lane no other one follows on a side."""
    places = _border(network, at, side, BESIDE)
    low, high = places.min(0)[:2] - MARGIN, places.max(0)[:2] + MARGIN
    near = np.flatnonzero(((network.xy > low) & (network.xy < high)).all(1))
    near = near[near < len(network.xy) - 1]
    near = near[network.lane_of[near] == network.lane_of[near + 1]]
    return ~_covered(places, near, network.xy, network.yaw, network.z, network.width / 2)


@njit
def _covered(places: Grid, near: Grid, xy: Grid, yaw: Grid, z: Grid, half: Grid) -> Mask:
    """Which places (P, 3) lie on the lanes' pieces between points `near` and the next ones."""
    out = np.zeros(places.shape[0], np.bool_)
    for p in range(places.shape[0]):
        for k in near:
            x, y = places[p, 0] - xy[k, 0], places[p, 1] - xy[k, 1]
            if abs(x) > MARGIN or abs(y) > MARGIN or abs(places[p, 2] - z[k]) > ALIKE:
                continue
            dx, dy = xy[k + 1, 0] - xy[k, 0], xy[k + 1, 1] - xy[k, 1]
            length = max(np.hypot(dx, dy), 1e-9)
            along, off = (x * dx + y * dy) / length, abs(y * dx - x * dy) / length
            if -0.01 <= along <= length + 0.01 and off <= max(half[k], half[k + 1]):
                out[p] = True
                break
    return out


def _runs(within: Mask) -> list[slice]:
    """The runs of points between which all segments are among those `within`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], within, [False]]).astype(int)))
    return [slice(int(a), int(b) + 1) for a, b in edges.reshape(-1, 2)]


def _parapet(network: RoadNetwork, at: slice, side: float) -> list[NDArray[np.float64]]:
    """Faces of a wall that stands beside a piece of a lane and hides the bridge's side."""
    inner, outer = _border(network, at, side), _border(network, at, side, WALL)
    top, low = np.array([0.0, 0.0, PARAPET]), np.array([0.0, 0.0, THICK])
    ring = [outer + top, outer - low, inner - low, inner + top]  # the way round is that seen from behind, for the left
    if side < 0:
        ring = ring[::-1]
    out = [*_quad(*(corner[0] for corner in ring)), *_quad(*(corner[-1] for corner in reversed(ring)))]
    for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
        for k in range(len(a) - 1):
            out += _quad(a[k], a[k + 1], b[k + 1], b[k])
    return out


def _quad(a: Grid, b: Grid, c: Grid, d: Grid, kind: int = CONCRETE) -> list[NDArray[np.float64]]:
    """Two rows of Relief.deck_faces, counter-clockwise seen from outside; those without area are left out."""
    out = []
    for corners in ((a, b, c), (a, c, d)):
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        length = float(np.linalg.norm(normal))
        if length > 1e-6:
            out.append(np.concatenate([*corners, normal / length, [kind]]))
    return out


def _grouped(faces: Grid, frame: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The faces sorted by place, and their groups."""
    place = np.floor(faces[:, :2] / GROUP).astype(np.int64)
    key = place[:, 1] * 1_000_000 + place[:, 0]
    order = np.argsort(key, kind="stable")
    faces, key = faces[order], key[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    rows = []
    for first, last in zip(starts, [*starts[1:], len(faces)], strict=True):
        corners = faces[first:last, :9].reshape(-1, 3) + np.array([frame[0], frame[1], 0.0])
        middle = (corners.min(0) + corners.max(0)) / 2
        rows.append((*middle, np.linalg.norm(corners - middle, axis=1).max(), first, last))
    return np.ascontiguousarray(faces, np.float32), np.array(rows, float)
