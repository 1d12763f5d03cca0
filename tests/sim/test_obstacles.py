"""Whom a driver must not run into, against a slow reference that looks at every body at every point of the way."""

from __future__ import annotations

from math import ceil, cos, inf, sin
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from roadcraft.sim.embedded.bins import CELL_ROW, CHAIN, FRAME, fill_bins
from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.driver import DRIVER
from roadcraft.sim.embedded.obstacles import CELL, LOOKAHEAD, SIDE, idm, obstacle
from roadcraft.sim.messages import Kind

BODIES, POINTS, SIZE = 70, 28, 110.0  # in a square of SIZE [m]
REAR = 1.4  # [m] from a car's middle to its rear axle
WANTED = 12.0  # [m/s]


def crowd(random: np.random.Generator) -> NDArray[np.void]:
    """Cars, half of them driven by built-in drivers, and walkers, anywhere; some stand."""
    bodies = np.zeros(BODIES, BODY)
    bodies["id"], bodies["collides"] = np.arange(1, BODIES + 1), True
    bodies["collides"][::17] = False
    bodies["kind"] = random.choice([Kind.CAR, Kind.PEDESTRIAN], BODIES)
    walkers = bodies["kind"] == Kind.PEDESTRIAN
    bodies["extent"] = np.where(walkers[:, None], (0.3, 0.3, 0.9), (2.3, 0.95, 0.75))
    bodies["xyz"][:, :2] = random.uniform(0.0, SIZE, (BODIES, 2))
    bodies["yaw"] = random.uniform(-np.pi, np.pi, BODIES)
    speed = random.uniform(0.0, 1.0, BODIES) * random.choice([0.0, 1.0], BODIES) * np.where(walkers, 1.8, 9.0)
    bodies["velocity"][:, 0], bodies["velocity"][:, 1] = speed * np.cos(bodies["yaw"]), speed * np.sin(bodies["yaw"])
    bodies["speed"] = speed
    bodies["autopilot"] = random.choice([0, 3], BODIES)
    return bodies


def way_of(body: NDArray[np.void], curvature: float, spacing: float) -> NDArray[np.float64]:
    """The way ahead (POINTS, 4) on a circle: x, y, cos, sin."""
    out, x, y, yaw = np.zeros((POINTS, 4)), float(body["xyz"][0]), float(body["xyz"][1]), float(body["yaw"])
    for k in range(POINTS):
        out[k] = x, y, cos(yaw), sin(yaw)
        x, y, yaw = x + spacing * cos(yaw), y + spacing * sin(yaw), yaw + curvature * spacing
    return out


def corners(x: float, y: float, c: float, s: float, half: float, wide: float) -> NDArray[np.float64]:
    """Of a turned rectangle (4, 2)."""
    signs = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)])
    return np.array([x, y]) + (signs * (half, wide)) @ np.array([[c, s], [-s, c]])


def meet(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two rectangles (4, 2) touch: no side of either separates them."""
    for corner, following in [
        *zip(one, np.roll(one, 1, 0), strict=True),
        *zip(other, np.roll(other, 1, 0), strict=True),
    ]:
        normal = np.array([corner[1] - following[1], following[0] - corner[0]])
        a, b = one @ normal, other @ normal
        if a.max() < b.min() or b.max() < a.min():
            return False
    return True


def gap_to(b: Any, e: Any, way: NDArray[np.float64], spacing: float, side: float) -> tuple[float, float]:
    """(gap [m], leader's speed [m/s]) of body `e` on the way of `b`; inf where they do not meet."""
    walker = e["kind"] == Kind.PEDESTRIAN
    half, wide = b["extent"][0], b["extent"][1] + (2.0 * SIDE if walker else side)
    velocity = np.array(e["velocity"][:2], float)
    moving = np.hypot(*velocity) > 0.2 and (walker or not e["autopilot"])
    lag = max(int(REAR / spacing + 0.5), 1)
    far = np.hypot(*(way[:, :2] - e["xyz"][:2]).T) - LOOKAHEAD * np.hypot(*velocity)
    for k in np.flatnonzero(far < half + wide + e["extent"][0] + e["extent"][1]).tolist():
        c, s = way[k - lag, 2:] if k >= lag else (cos(b["yaw"]), sin(b["yaw"]))
        along, across = velocity @ (c, s), abs(velocity @ (-s, c))
        ahead, reaches = 0.0, max(k * spacing - half, 0.0) / max(b["speed"], 1.5)
        if moving and across > (0.2 if walker else 1.0):
            ahead = min(reaches, LOOKAHEAD if walker else 1.0)
        for step in range(3 if ahead > 0.05 else 1):
            x, y = e["xyz"][:2] + 0.5 * step * ahead * velocity
            box = corners(x, y, cos(e["yaw"]), sin(e["yaw"]), *e["extent"][:2])
            if not meet(corners(*way[k, :2], c, s, half, wide), box):
                continue
            middle = (np.array([x, y]) - way[k, :2]) @ (c, s)
            if k == 0 and middle < 0.0:
                return inf, 0.0
            reach = np.ptp(box @ (c, s)) / 2
            gap = max(k * spacing - (half + reach - abs(middle)), 0.0)
            return (gap - 0.8, 0.0) if walker else (gap, along)
    return inf, 0.0


def slowly(i: int, bodies: Any, driver: Any, way: NDArray[np.float64], spacing: float) -> tuple[float, int]:
    """The same as `obstacle`, body by body."""
    side = SIDE * max(1.0 - driver["standing"] / 8.0, 0.0)
    worst, blocker = inf, -1
    for j, e in enumerate(bodies):
        gap, leader = gap_to(bodies[i], e, way, spacing, side) if j != i and e["collides"] else (inf, 0.0)
        if gap < inf:
            still = 1.2 if e["kind"] == Kind.PEDESTRIAN else driver["gap"]
            a = idm(bodies[i]["speed"], WANTED, driver["accel"], driver["headway"], still, gap, leader)
            if a < worst:
                worst, blocker = a, j
    return worst, blocker


@pytest.mark.parametrize("seed", range(3))
def test_nobody_in_the_way_is_overlooked_and_nobody_else_seen(seed: int) -> None:
    random = np.random.default_rng(seed)
    bodies, drivers, chain = crowd(random), np.zeros(BODIES, DRIVER), np.zeros(BODIES, CHAIN)
    drivers["accel"], drivers["headway"], drivers["gap"] = 1.8, 1.2, 2.0
    drivers["standing"] = random.choice([0.0, 4.0, 20.0], BODIES)
    frame = np.zeros(1, FRAME)
    frame["columns"] = frame["rows"] = ceil(SIZE / CELL)
    cells = np.zeros(int(frame["columns"][0] * frame["rows"][0]), CELL_ROW)
    cells["head"] = -1
    fill_bins(bodies, chain, frame, cells)
    found = 0
    for i in np.flatnonzero(bodies["kind"] == Kind.CAR).tolist():
        spacing = float(random.choice([1.5, 2.5, 4.0]))
        way = way_of(bodies[i], float(random.uniform(-0.08, 0.08)), spacing)
        chain["seen"] = -1
        a, blocker = obstacle(i, bodies, drivers, chain, frame[0], cells, way, POINTS, spacing, REAR, WANTED)
        slow, expected = slowly(i, bodies, drivers[i], way, spacing)
        assert blocker == expected
        assert a == pytest.approx(slow, abs=1e-6)
        found += blocker >= 0
    assert found > 15
