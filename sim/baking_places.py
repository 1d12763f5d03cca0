"""What is derived from the lanes of a map: which cross each other, where cars can be put, where people cross."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.geometry import arc_length
from roadcraft.sim.roads import LaneKind

CONFLICT_DISTANCE = 2.4  # [m] between centre lines below which two cars would touch
SPAWN_SPACING, SPAWN_BEGIN, SPAWN_END = 12.0, 6.0, 12.0  # [m] between spawn points, and from a street's two ends
SPAWN_FREE, SPAWN_STRAIGHT = 45.0, 0.002  # [m], [rad]: what the first three have ahead


def inverse(succ: list[list[int]]) -> list[list[int]]:
    pred: list[list[int]] = [[] for _ in succ]
    for lane, after in enumerate(succ):
        for other in after:
            pred[other].append(lane)
    return pred


def conflicts(lanes: NDArray[np.void], points: NDArray[np.float64], succ: list[list[int]]) -> list[list[int]]:
    """Pairs of junction lanes that cross or merge; those that begin in the same lane only part and do not count."""
    out: list[list[int]] = [[] for _ in lanes]
    pred = inverse(succ)
    driving = (lanes["kind"] == LaneKind.DRIVING) & (lanes["junction"] >= 0)
    for junction in np.unique(lanes["junction"][driving]):
        group = np.flatnonzero(driving & (lanes["junction"] == junction))
        xy = [points[lanes["first"][i] : lanes["first"][i] + lanes["count"][i], :2] for i in group]
        for a in range(len(group)):
            for b in range(a + 1, len(group)):
                if set(pred[group[a]]) & set(pred[group[b]]):
                    continue
                gap = np.hypot(*(xy[a][:, None] - xy[b][None]).T).min()
                if gap < CONFLICT_DISTANCE:
                    out[group[a]].append(int(group[b]))
                    out[group[b]].append(int(group[a]))
    return out


def crosswalks(opendrive: Any) -> list[NDArray[np.float64]]:
    """`carla.Map` lists closed polygons one after another: each ends with its first point again."""
    out: list[NDArray[np.float64]] = []
    polygon: list[tuple[float, float]] = []
    for corner in opendrive.get_crosswalks():
        place = (corner.x, -corner.y)
        if len(polygon) > 2 and np.hypot(place[0] - polygon[0][0], place[1] - polygon[0][1]) < 1e-3:
            corners = np.array(polygon)
            ahead = np.roll(corners, -1, 0)
            area = np.sum(corners[:, 0] * ahead[:, 1] - corners[:, 1] * ahead[:, 0])
            out.append(corners if area > 0 else corners[::-1])
            polygon = []
        else:
            polygon.append(place)
    return out


def spawns(lanes: NDArray[np.void], points: NDArray[np.float64], succ: list[list[int]]) -> NDArray[np.float64]:
    """(M, 3) poses on streets, the three with most straight road ahead and far from each other first."""
    found = []
    for lane in np.flatnonzero((lanes["kind"] == LaneKind.DRIVING) & (lanes["junction"] < 0)):
        row = lanes[lane]
        sections = lanes["section"][lanes["road"] == row["road"]]
        if row["section"] != (sections.min() if row["lane_id"] < 0 else sections.max()):
            continue  # in the middle of its street
        chain = [int(lane)]
        while len(after := [n for n in succ[chain[-1]] if lanes["road"][n] == lanes["road"][lane]]) == 1:
            if after[0] in chain:
                break
            chain.append(after[0])
        rows = np.concatenate([points[lanes["first"][i] : lanes["first"][i] + lanes["count"][i], :4] for i in chain])
        s = arc_length(rows[:, :2])
        for at in np.arange(SPAWN_BEGIN, s[-1] - SPAWN_END, SPAWN_SPACING):
            k = int(np.searchsorted(s, at))
            bend = np.abs((rows[max(k - 4, 0) :, 3] - rows[k, 3] + pi) % (2 * pi) - pi) > SPAWN_STRAIGHT
            bend = np.concatenate([[bend[: min(k, 4)].any()], bend[min(k, 4) + 1 :]])
            free = s[k + int(np.argmax(bend))] - s[k] if bend.any() else s[-1] - s[k]
            found.append((*rows[k, [0, 1, 3]], free))
    if not found:
        return np.zeros((0, 3))
    table = np.array(found)[np.random.default_rng(0).permutation(len(found))]
    straight = np.flatnonzero(table[:, 3] >= SPAWN_FREE)
    first: list[int] = list(straight[:1])
    while len(first) < min(3, len(straight)):
        gaps = [min(np.hypot(*(table[i, :2] - table[j, :2])) for j in first) for i in straight]
        first.append(int(straight[int(np.argmax(gaps))]))
    rest = [i for i in range(len(table)) if i not in first]
    return np.ascontiguousarray(table[first + rest, :3])
