"""Reference lines of OpenDRIVE roads, evaluated from the XML: where objects at (s, t) are in the world."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from math import atan2, cos, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.planview import advance

SPIRAL_STEP = 0.5  # [m] pieces of constant curvature that stand for a spiral


class ReferenceLine:
    """Line, arc, spiral, poly3 and paramPoly3 geometry with the elevation profile of one <road>."""

    def __init__(self, road: ET.Element) -> None:
        self.geometries = road.findall("planView/geometry")
        self.starts = np.array([float(g.get("s", 0)) for g in self.geometries])
        self.elevations = road.findall("elevationProfile/elevation")

    def pose(self, s: float) -> tuple[float, float, float]:
        """x, y [m], heading [rad] at arc length `s` [m]."""
        k = max(int(np.searchsorted(self.starts, s + 1e-9, side="right")) - 1, 0)
        geometry = self.geometries[k]
        ds = s - self.starts[k]
        begin = (float(geometry.get("x", 0)), float(geometry.get("y", 0)), float(geometry.get("hdg", 0)))
        shape = geometry[0] if len(geometry) else None
        kind = shape.tag if shape is not None else "line"
        if shape is None or kind == "line":
            return advance(begin, ds, 0.0)
        if kind == "arc":
            return advance(begin, ds, float(shape.get("curvature", 0)))
        if kind == "spiral":
            return _spiral(begin, ds, float(geometry.get("length", 1)), shape)
        return _polynomial(begin, ds, float(geometry.get("length", 1)), shape)

    def height(self, s: float) -> float:
        """z [m] of the road."""
        rows = [e for e in self.elevations if float(e.get("s", 0)) <= s + 1e-9]
        return _cubic(rows[-1], s - float(rows[-1].get("s", 0))) if rows else 0.0

    def place(self, element: ET.Element) -> NDArray[np.float64]:
        """(4,) x, y, z [m] and heading [rad] of an <object> or <signal> of this road."""
        s, t = float(element.get("s", 0)), float(element.get("t", 0))
        x, y, heading = self.pose(s)
        turn = float(element.get("hdg", element.get("hOffset", 0)))
        z = self.height(s) + float(element.get("zOffset", 0))
        return np.array([x - t * sin(heading), y + t * cos(heading), z, heading + turn])


def _cubic(element: ET.Element, ds: float, suffix: str = "") -> float:
    a, b, c, d = (float(element.get(name + suffix, 0)) for name in "abcd")
    return a + ds * (b + ds * (c + ds * d))


def _slope(element: ET.Element, ds: float, suffix: str = "") -> float:
    b, c, d = (float(element.get(name + suffix, 0)) for name in "bcd")
    return b + ds * (2 * c + 3 * ds * d)


def _spiral(
    begin: tuple[float, float, float], ds: float, length: float, shape: ET.Element
) -> tuple[float, float, float]:
    """A clothoid as many short arcs."""
    first, last = float(shape.get("curvStart", 0)), float(shape.get("curvEnd", 0))
    count = max(int(np.ceil(ds / SPIRAL_STEP)), 1)
    pose = begin
    for k in range(count):
        pose = advance(pose, ds / count, first + (last - first) * (k + 0.5) / count * ds / length)
    return pose


def _polynomial(
    begin: tuple[float, float, float], ds: float, length: float, shape: ET.Element
) -> tuple[float, float, float]:
    """poly3: v(u) with u taken for the arc length. paramPoly3: u(p), v(p)."""
    x, y, heading = begin
    if shape.tag == "poly3":
        u, v, du, dv = ds, _cubic(shape, ds), 1.0, _slope(shape, ds)
    else:
        p = ds / length if shape.get("pRange", "normalized") == "normalized" else ds
        u, v, du, dv = _cubic(shape, p, "U"), _cubic(shape, p, "V"), _slope(shape, p, "U"), _slope(shape, p, "V")
    c, s = cos(heading), sin(heading)
    return x + u * c - v * s, y + u * s + v * c, heading + atan2(dv, du)
