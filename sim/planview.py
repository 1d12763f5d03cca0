"""Reference lines of roads: chains of lines and arcs, as OpenDRIVE's plan view has them.

A pose is (x, y, heading) in metres and radians, counter-clockwise; arc lengths count from the chain's beginning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import atan2, cos, hypot, sin, sqrt, tan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadcraft.sim.geometry import wrap

Pose = tuple[float, float, float]
NEARLY_PARALLEL = 0.15  # [rad] turns below are made by two arcs instead of line-arc-line
# [1/m] Arcs that bend less become their chords: readers that keep coordinates in single precision lose centimetres on
# a radius of 50 km, and the chord of 100 m of it is 2.5 cm off in the middle.
FLATTEST = 2e-5


@dataclass(frozen=True)
class Part:
    """A piece of constant curvature."""

    start: Pose
    length: float  # [m]
    curvature: float  # [1/m], positive to the left

    @property
    def end(self) -> Pose:
        return advance(self.start, self.length, self.curvature)


@dataclass(frozen=True)
class Plan:
    """A chain of pieces, each beginning where the one before ends, in the same direction."""

    parts: tuple[Part, ...]

    @staticmethod
    def chain(start: Pose, *pieces: tuple[float, float]) -> Plan:
        """Pieces (length [m], curvature [1/m]) one after another."""
        parts = []
        for length, curvature in pieces:
            after = advance(start, length, curvature)
            if length > 1e-6:
                flat = abs(curvature) < FLATTEST
                heading = start[2] + (curvature * length / 2 if flat else 0.0)
                parts.append(Part((start[0], start[1], heading), length, 0.0 if flat else curvature))
            start = after
        return Plan(tuple(parts))

    @property
    def start(self) -> Pose:
        return self.parts[0].start

    @property
    def end(self) -> Pose:
        return self.parts[-1].end

    @cached_property
    def stations(self) -> NDArray[np.float64]:
        """(K + 1,) [m] where each piece begins, and the end."""
        return np.concatenate([[0.0], np.cumsum([part.length for part in self.parts])])

    @property
    def length(self) -> float:
        return float(self.stations[-1])

    @cached_property
    def _table(self) -> NDArray[np.float64]:
        """(K, 4) x, y, heading, curvature of each piece."""
        return np.array([(*part.start, part.curvature) for part in self.parts])

    def poses(self, s: ArrayLike) -> NDArray[np.float64]:
        """(k, 3) the poses at arc lengths `s`; beyond the ends the first and last piece go on."""
        at = np.atleast_1d(np.asarray(s, float))
        i = np.clip(np.searchsorted(self.stations, at, side="right") - 1, 0, len(self.parts) - 1)
        x, y, heading, curvature = self._table[i].T
        along = at - self.stations[i]
        half = curvature * along / 2
        chord = along * np.sinc(half / np.pi)  # of an arc: length * sin(half angle) / half angle
        return np.stack(
            [x + chord * np.cos(heading + half), y + chord * np.sin(heading + half), heading + 2 * half], -1
        )

    def pose(self, s: float) -> Pose:
        x, y, heading = self.poses(s)[0]
        return float(x), float(y), float(heading)

    def place(self, s: ArrayLike, t: ArrayLike) -> NDArray[np.float64]:
        """(k, 2) the points `t` [m] to the left of the chain at arc lengths `s`."""
        poses = self.poses(s)
        offset = np.asarray(t, float)
        return np.stack([poses[:, 0] - offset * np.sin(poses[:, 2]), poses[:, 1] + offset * np.cos(poses[:, 2])], -1)

    def cut(self, begin: float, end: float) -> Plan:
        """The part between two arc lengths."""
        parts = []
        for part, at in zip(self.parts, self.stations, strict=False):
            first, last = max(at, begin), min(at + part.length, end)
            if last - first > 1e-6:
                start = advance(part.start, float(first - at), part.curvature)
                parts.append(Part(start, float(last - first), part.curvature))
        return Plan(tuple(parts))


def advance(pose: Pose, length: float, curvature: float) -> Pose:
    """The pose after a piece of constant curvature."""
    x, y, heading = pose
    half = curvature * length / 2
    chord = length * (sin(half) / half if abs(half) > 1e-9 else 1.0)
    return x + chord * cos(heading + half), y + chord * sin(heading + half), heading + 2 * half


def offset(pose: Pose, lateral: float, forward: float = 0.0) -> Pose:
    """The parallel pose `lateral` [m] to the left and `forward` [m] ahead."""
    x, y, heading = pose
    c, s = cos(heading), sin(heading)
    return x - lateral * s + forward * c, y + lateral * c + forward * s, heading


def straight(a: tuple[float, float], b: tuple[float, float]) -> Plan:
    """The line between two points."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    return Plan.chain((a[0], a[1], atan2(dy, dx)), (hypot(dx, dy), 0.0))


def connect(a: Pose, b: Pose) -> Plan:
    """A smooth way from one pose to another: line-arc-line where the headings meet ahead, else two arcs."""
    turn = wrap(b[2] - a[2])
    dx, dy = b[0] - a[0], b[1] - a[1]
    if abs(turn) > NEARLY_PARALLEL:
        along_a = (dx * sin(b[2]) - dy * cos(b[2])) / sin(turn)
        along_b = (dy * cos(a[2]) - dx * sin(a[2])) / sin(turn)
        tangent = min(along_a, along_b)
        if tangent > 1.0 and abs(turn) < 2.8:
            radius = tangent / tan(abs(turn) / 2)
            arc = (radius * abs(turn), (1.0 if turn > 0 else -1.0) / radius)
            return Plan.chain(a, (along_a - tangent, 0.0), arc, (along_b - tangent, 0.0))
    return _biarc(a, b)


def _biarc(a: Pose, b: Pose) -> Plan:
    """Two arcs with equal tangent lengths (Bolton, Biarc curves, 1975)."""
    vx, vy = b[0] - a[0], b[1] - a[1]
    ax, ay, bx, by = cos(a[2]), sin(a[2]), cos(b[2]), sin(b[2])
    square = vx * vx + vy * vy
    along = vx * (ax + bx) + vy * (ay + by)
    spread = 2 * (1 - (ax * bx + ay * by))
    # Both forms solve spread * d^2 + 2 * along * d - |v|^2 = 0 for the tangent length d.
    d = square / (2 * along) if spread < 1e-9 else (sqrt(along * along + spread * square) - along) / spread
    joint = ((a[0] + b[0] + d * (ax - bx)) / 2, (a[1] + b[1] + d * (ay - by)) / 2)
    first = _arc_to(a, joint)
    middle = advance(a, *first)
    return Plan.chain(a, first, _arc_to(middle, (b[0], b[1])))


def _arc_to(pose: Pose, xy: tuple[float, float]) -> tuple[float, float]:
    """(length, curvature) of the arc that leaves a pose and ends in a point."""
    dx, dy = xy[0] - pose[0], xy[1] - pose[1]
    chord = hypot(dx, dy)
    half = wrap(atan2(dy, dx) - pose[2])
    if abs(half) < 1e-7:
        return chord, 0.0
    return chord * half / sin(half), 2 * sin(half) / chord
