"""Suburb: winding streets that meet in T-junctions only, low houses in gardens.

The plan is that of a brick wall, rows of streets with staggered connecting streets between them, bent by a smooth
displacement so that no street is straight for long.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from roadcraft.sim.embedded.layout import Control, Edge, Layout, Node, Profile, Side, Surroundings
from roadcraft.sim.embedded.layout_lattice import street_name
from roadcraft.sim.planview import Plan, Pose, connect

ROWS = 4
WAVE = 260.0  # [m] wavelength of the displacement
AMPLITUDE = 13.0  # [m]
LIGHTS = 4  # junctions with lights
GARDENS = Surroundings(
    built=0.95,
    lot=(9.0, 15.0),
    depth=(8.0, 11.0),
    floors=(1, 2),
    setback=(5.0, 9.0),
    tree_gap=18.0,
    lamp_gap=40.0,
    woods=0.004,
)


class Warp:
    """The displacement: where points of the straight plan come to lie, and how directions turn there."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.phase = rng.uniform(0, 2 * np.pi, 4)
        self.wave = 2 * np.pi / (WAVE * rng.uniform(0.85, 1.2, 4))

    def place(self, x: float, y: float) -> tuple[float, float]:
        a, b, c, d = self.wave * np.array([x, y, x, y]) + self.phase
        return float(x + AMPLITUDE * (np.sin(b) + 0.4 * np.sin(a))), float(
            y + AMPLITUDE * (np.sin(c) + 0.4 * np.sin(d))
        )

    def pose(self, x: float, y: float, heading: float) -> Pose:
        step = 0.01
        ahead = self.place(x + step * np.cos(heading), y + step * np.sin(heading))
        here = self.place(x, y)
        return *here, float(np.arctan2(ahead[1] - here[1], ahead[0] - here[0]))


def suburb_layout(name: str, rng: np.random.Generator) -> Layout:
    """Rows along x, two or three connecting streets in each gap between rows, a street down either side."""
    warp = Warp(rng)
    unit = float(rng.uniform(72.0, 82.0))  # m between the streets that meet a row
    ys = np.cumsum([0.0, *rng.uniform(95.0, 115.0, ROWS - 1)])
    ys -= ys.mean()
    layout = Layout(name, GARDENS)
    index: dict[tuple[float, float], int] = {}

    def node(x: float, y: float) -> tuple[float, float]:
        index[x, y] = len(layout.nodes)
        layout.nodes.append(Node(warp.place(x, y)))
        return x, y

    def street(places: Sequence[tuple[float, float]], headings: Sequence[float]) -> None:
        """An edge from the first place to the last by way of the others, with the headings of the straight plan."""
        poses = [warp.pose(*place, heading) for place, heading in zip(places, headings, strict=True)]
        plans = [connect(a, b) for a, b in pairwise(poses)]
        plan = Plan(tuple(part for plan in plans for part in plan.parts))
        layout.edges.append(Edge(index[places[0]], index[places[-1]], plan, _profile(rng), street_name(rng)))

    half = 3 * unit
    rows: list[list[tuple[float, float]]] = [[] for _ in ys]
    stems = []
    for gap in range(ROWS - 1):
        places = np.array([-2.0, 0.0, 2.0] if gap % 2 == 0 else [-1.0, 1.0])
        if gap % 2 == 0 and rng.random() < 0.4:
            places = np.delete(places, int(rng.integers(3)))
        for x in places * unit + rng.uniform(-5.0, 5.0, len(places)):
            low, high = node(float(x), float(ys[gap])), node(float(x), float(ys[gap + 1]))
            rows[gap].append(low)
            rows[gap + 1].append(high)
            stems.append((low, high))
    for low, high in stems:
        street((low, high), (np.pi / 2, np.pi / 2))
    for row in rows:
        row.sort()
    sides = [[node(x, float(y)) for y in ys[1:-1]] for x in (-half, half)]
    for y, row in zip(ys[1:-1], rows[1:-1], strict=True):
        chain = [(-half, float(y)), *row, (half, float(y))]
        for a, b in pairwise(chain):
            street((a, b), (0.0, 0.0))
    for row in (rows[0], rows[-1]):
        for a, b in pairwise(row):
            street((a, b), (0.0, 0.0))
    up, down = np.pi / 2, -np.pi / 2
    for side, outward in zip(sides, (np.pi, 0.0), strict=True):
        for a, b in pairwise(side):
            street((a, b), (up, up))
        edge = 0 if outward else -1
        street((rows[-1][edge], side[-1]), (outward, down))
        street((rows[0][edge], side[0]), (outward, up))
    for k in rng.permutation(len(layout.nodes))[:LIGHTS]:
        layout.nodes[k].control = Control.LIGHT
    return layout


def _profile(rng: np.random.Generator) -> Profile:
    side = Side(width=3.25, parking=2.3 if rng.random() < 0.25 else 0.0, sidewalk=2.0)
    center = str(rng.choice(["broken", "solid", "none"], p=[0.5, 0.35, 0.15]))
    return Profile(side, side, center=center, speed=float(rng.choice([30, 40])))
