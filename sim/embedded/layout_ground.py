"""Which places of a town are taken: a raster over it, and the way from a place in the world to (s, t) of a road."""

from __future__ import annotations

from math import ceil, cos, hypot, sin

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadcraft.sim.embedded.layout_arms import widths_at
from roadcraft.sim.embedded.opendrive import Road
from roadcraft.sim.geometry import arc_length, ego_to_world, resample, wrap

CELL = 0.5  # [m]
MARGIN = 80.0  # [m] of ground around the outermost road
FREE, ROAD, WALK, TAKEN = 0, 1, 2, 3


class Ground:
    """The raster: each cell is free, road, sidewalk or taken by a thing."""

    def __init__(self, roads: list[Road]) -> None:
        self.roads = roads
        samples = [road.plan.poses(np.arange(0.0, road.plan.length + 1.0, 1.0))[:, :2] for road in roads]
        self.first = np.cumsum([0] + [len(sample) for sample in samples])
        self.owner = np.repeat(np.arange(len(roads)), [len(sample) for sample in samples])
        self.samples = every = np.concatenate(samples)
        self.origin = every.min(0) - MARGIN
        size = np.ceil((every.max(0) + MARGIN - self.origin) / CELL).astype(int)
        self.cells = np.zeros((size[1], size[0]), np.uint8)
        for road in roads:
            for thing in road.objects:
                if thing.kind == "patch":
                    self._fill(ego_to_world(np.array(thing.corners), road.plan.start))
        for code, kinds in ((WALK, {"sidewalk"}), (ROAD, None)):
            for road in roads:
                self._pave(road, code, kinds)

    def _fill(self, outline: NDArray[np.float64]) -> None:
        """Marks the inside of a polygon that is seen as a whole from its middle as road."""
        closed = np.concatenate([outline, outline[:1]])
        edge = resample(closed, np.arange(0.0, arc_length(closed)[-1], CELL * 0.8))
        middle = edge.mean(0)
        count = ceil(np.hypot(*(edge - middle).T).max() / (CELL * 0.8)) + 1
        self.mark(middle + np.linspace(0.0, 1.0, count, endpoint=False)[:, None, None] * (edge - middle), ROAD)

    def _pave(self, road: Road, code: int, kinds: set[str] | None) -> None:
        """Marks the lanes of some kinds; None: all but sidewalks."""
        step = CELL * 0.8
        ends = [section.s for section in road.sections[1:]] + [road.plan.length]
        for section, end in zip(road.sections, ends, strict=True):
            s = np.linspace(section.s, end, max(ceil((end - section.s) / step), 1) + 1)
            x, y, heading = road.plan.poses(s).T
            normal = np.stack([-np.sin(heading), np.cos(heading)], -1)
            for sign in (-1, 1):
                border = widths_at(road.lane_offset, s) if road.lane_offset else np.zeros(len(s))
                for lane in section.side(sign):
                    width = sign * widths_at(lane.width, s - section.s)
                    if (lane.kind != "sidewalk") if kinds is None else (lane.kind in kinds):
                        share = np.linspace(0.0, 1.0, ceil(np.abs(width).max() / step) + 1)
                        t = border + share[:, None] * width
                        self.mark(np.stack([x, y], -1) + t[..., None] * normal, code)
                    border = border + width

    def _index(self, xy: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        column, row = ((xy - self.origin) / CELL).astype(np.int64).T
        return np.clip(row, 0, self.cells.shape[0] - 1), np.clip(column, 0, self.cells.shape[1] - 1)

    def mark(self, xy: NDArray[np.float64], code: int = TAKEN) -> None:
        self.cells[self._index(np.asarray(xy, float).reshape(-1, 2))] = code

    def at(self, xy: ArrayLike) -> NDArray[np.uint8]:
        """The codes (k,) at places (k, 2)."""
        return self.cells[self._index(np.asarray(xy, float).reshape(-1, 2))]

    def free(self, xy: ArrayLike) -> bool:
        """Whether nothing at all is at any of the places."""
        return not self.at(xy).any()

    def nearest_road(self, xy: ArrayLike) -> tuple[Road, float, float, float]:
        """A road, and s, t [m] and the heading [rad] on it, that give exactly this place.

        Roads are tried from the nearest on: beside a road's end no (s, t) of it leads there.
        """
        place = np.asarray(xy, float)
        gaps = np.square(self.samples - place).sum(1)
        while np.isfinite(gaps.min()):
            nearest = int(np.argmin(gaps))
            k = int(self.owner[nearest])
            road, s, reach = self.roads[k], float(nearest - self.first[k]), 1.0
            for _ in range(4):  # towards the foot of the perpendicular
                near = np.clip(np.linspace(s - reach, s + reach, 17), 0.0, road.plan.length)
                s = float(near[np.argmin(np.square(road.plan.poses(near)[:, :2] - place).sum(1))])
                reach /= 7.0
            px, py, heading = road.plan.pose(s)
            t = (place[1] - py) * cos(heading) - (place[0] - px) * sin(heading)
            if hypot(px - t * sin(heading) - place[0], py + t * cos(heading) - place[1]) < 0.01:
                return road, s, t, wrap(heading)
            gaps[self.owner == k] = np.inf
        raise ValueError(f"no road lies beside ({place[0]:.1f}, {place[1]:.1f})")


def rectangle(xy: ArrayLike, heading: float, length: float, width: float, spacing: float = CELL) -> NDArray[np.float64]:
    """Points (k, 2) that cover a turned rectangle, edges included."""
    u = np.linspace(-length / 2, length / 2, ceil(length / spacing) + 1)
    v = np.linspace(-width / 2, width / 2, ceil(width / spacing) + 1)
    u, v = (a.ravel() for a in np.meshgrid(u, v))
    c, s = np.cos(heading), np.sin(heading)
    return np.stack([u * c - v * s, u * s + v * c], -1) + np.asarray(xy, float)
