"""Shapes that clients draw into the world by `world.debug`: what they are made of and how long they stay.

As in CARLA (Util/DebugShapeDrawer.cpp): all are lines, but points, which are squares of 100 pixels for each metre of
their size; cameras of colours see them where nothing stands before them, labels and rays do not. Strings, and what is
drawn on the HUD, CARLA shows in its window only, which is not here.
"""

from __future__ import annotations

from collections import deque
from itertools import product
from math import atan2, hypot, inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.server.wire import (
    Pose,
    Vector,
    WireError,
    any_number,
    anything,
    extent,
    fields,
    flag,
    number,
    pose,
    rotation,
    turn,
    u8,
    vector,
)

POINT, LINE, ARROW, BOX, STRING = range(5)
LAST_KIND = 8  # those from STRING + 1 are drawn on the HUD
MOST = 20_000  # lines and points; the oldest give way
LASTING = 1.0  # s that a shape stays whose life time is below 0, as CARLA's documentation says; 0 is for ever
PIXELS = 100.0  # of a point, for each metre of its size
Ends = tuple[Vector, Vector]

_shape = fields(fields(u8, anything), fields(u8, u8, u8), any_number, flag)
_point, _line = fields(vector, number), fields(vector, vector, number)
_arrow, _box = fields(_line, number), fields(fields(anything, extent), anything, number)


class Drawing(NamedTuple):
    """One shape."""

    ends: list[Ends]  # [m] of its lines, or a point twice
    width: float  # [m] of lines, [pixels] of a point
    dot: bool
    rgb: tuple[int, int, int]
    life: float  # s


def debug_shape(value: Any) -> Drawing | None:
    """A `carla.DebugShape`; None for one that cameras do not see. Raises WireError."""
    (kind, body), rgb, life, _ = _shape(value)
    if kind > LAST_KIND:
        raise WireError(f"there is no debug shape {kind}")
    if kind >= STRING:
        return None
    dot = kind == POINT
    if dot:
        place, size = _point(body)
        ends, width = [(place, place)], PIXELS * size
    elif kind == LINE:
        begin, end, width = _line(body)
        ends = [(begin, end)]
    elif kind == ARROW:
        (begin, end, width), tip = _arrow(body)
        ends = _arrow_lines(begin, end, tip)
    else:
        (place, half), turned, width = _box(body)
        ends = _edges(pose([place, turned]), half)
    return Drawing(ends, max(0.0, width), dot, rgb, LASTING if life < 0 else life if life > 0 else inf)


def _arrow_lines(begin: Vector, end: Vector, tip: float) -> list[Ends]:
    """The shaft, and four lines that meet in its tip."""
    dx, dy, dz = (b - a for a, b in zip(begin, end, strict=True))
    back = Pose(*begin, atan2(dy, dx), atan2(-dz, hypot(dx, dy)))
    axes, length = rotation(back), hypot(dx, dy, dz)
    ends = [(begin, end)]
    for left, up in product((tip, -tip), repeat=2):
        x, y, z = turn(axes, (length - tip, left, up))
        ends.append(((back.x + x, back.y + y, back.z + z), end))
    return ends


def _edges(centre: Pose, half: Vector) -> list[Ends]:
    """The twelve edges of a box; its own rotation is not looked at, as in CARLA."""
    axes, corners = rotation(centre), {}
    for signs in product((-1, 1), repeat=3):
        x, y, z = turn(axes, [s * h for s, h in zip(signs, half, strict=True)])
        corners[signs] = (centre.x + x, centre.y + y, centre.z + z)
    return [
        (corners[one], corners[other])
        for one, other in product(corners, repeat=2)
        if one < other and sum(a != b for a, b in zip(one, other, strict=True)) == 1
    ]


class Drawn(NamedTuple):
    """A shape that is there."""

    lines: NDArray[np.void]
    until: float  # simulation time [s] of the last picture that shows it
    frame: int  # the first whose pictures show it


class DebugShapes:
    """What clients have drawn in one world."""

    def __init__(self) -> None:
        self._drawn: deque[Drawn] = deque()
        self._count = 0
        self._lines: NDArray[np.void] | None = None  # of all that are left, once asked for

    def add(self, made: Drawing, time: float, frame: int) -> None:
        """A client draws a shape after the tick `frame` at `time` [s]; the next pictures show it, however short its
        life is."""
        from roadcraft.sim.embedded.render import overlay  # which a server without pictures starts without

        lines = np.zeros(len(made.ends), overlay.LINE)
        ends = np.array(made.ends)
        lines["begin"], lines["end"], lines["width"] = ends[:, 0], ends[:, 1], made.width
        lines["dot"], lines["rgb"] = made.dot, made.rgb
        self._drawn.append(Drawn(lines, time + made.life, frame + 1))
        self._count += len(lines)
        while self._count > MOST:
            self._count -= len(self._drawn.popleft().lines)
        self._lines = None

    def clear(self) -> None:
        """Removes all."""
        self._drawn.clear()
        self._count, self._lines = 0, None

    def lines(self, time: float, frame: int) -> NDArray[np.void] | None:
        """(n,) LINE of the renderer that the pictures of a tick show; None if there are none."""
        if not self._drawn:
            return None
        left = [each for each in self._drawn if frame <= each.frame or time <= each.until + 1e-6]
        if len(left) < len(self._drawn):
            self._drawn, self._lines = deque(left), None
            self._count = sum(len(each.lines) for each in left)
        if self._lines is None and left:
            self._lines = np.concatenate([each.lines for each in left])
        return self._lines
