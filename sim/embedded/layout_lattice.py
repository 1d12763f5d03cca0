"""Streets in rows and columns, some left out: what the grid and the arterial style have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.layout import Edge, Layout, Node, Profile
from roadcraft.sim.planview import Plan, straight

CORNER = 18.0  # [m] radius of the bends at the lattice's corners
NAMES = ("Oak", "Mill", "Church", "Harbour", "Linden", "Station", "Park", "River", "Maple", "King", "Market", "Elm")
KINDS = ("Street", "Road", "Avenue", "Lane")
Place = tuple[int, int]  # column, row
Street = tuple[Place, Place]


@dataclass(frozen=True)
class Lattice:
    """Where the columns and rows are, and the streets between neighbouring crossings that exist."""

    xs: NDArray[np.float64]
    ys: NDArray[np.float64]
    streets: tuple[Street, ...]

    def xy(self, place: Place) -> tuple[float, float]:
        return float(self.xs[place[0]]), float(self.ys[place[1]])

    def degree(self, place: Place) -> int:
        return sum(place in street for street in self.streets)


def make_lattice(gaps_x: Sequence[float], gaps_y: Sequence[float], missing: int, rng: np.random.Generator) -> Lattice:
    """A lattice with up to `missing` streets left out, none of which touches a place with less than four arms."""
    xs, ys = (np.concatenate([[0.0], np.cumsum(gaps)]) for gaps in (gaps_x, gaps_y))
    streets = [((i, j), (i + 1, j)) for j in range(len(ys)) for i in range(len(xs) - 1)]
    streets += [((i, j), (i, j + 1)) for i in range(len(xs)) for j in range(len(ys) - 1)]
    lattice = Lattice(xs - xs.mean(), ys - ys.mean(), tuple(streets))
    for k in rng.permutation(len(streets))[: len(streets) if missing else 0]:
        if all(lattice.degree(place) == 4 for place in streets[k]):
            lattice = Lattice(lattice.xs, lattice.ys, tuple(s for s in lattice.streets if s != streets[k]))
            missing -= 1
            if missing == 0:
                break
    return lattice


def lattice_layout(
    name: str,
    lattice: Lattice,
    profile: Callable[[Street], Profile],
    node: Callable[[Place, int], Node],
    rng: np.random.Generator,
) -> Layout:
    """A junction at each place with three arms or more; two streets that meet in a corner become one."""
    layout = Layout(name)
    index: dict[Place, int] = {}
    places = [(i, j) for i in range(len(lattice.xs)) for j in range(len(lattice.ys))]
    for place in places:
        if lattice.degree(place) > 2:
            index[place] = len(layout.nodes)
            layout.nodes.append(node(place, lattice.degree(place)))
    for corner in (place for place in places if place not in index):
        first, second = (street for street in lattice.streets if corner in street)
        a, b = (street[0] if street[1] == corner else street[1] for street in (first, second))
        plan = bend(lattice.xy(a), lattice.xy(corner), lattice.xy(b))
        layout.edges.append(Edge(index[a], index[b], plan, profile(first), street_name(rng)))
    for street in lattice.streets:
        a, b = street
        if a in index and b in index:
            plan = straight(lattice.xy(a), lattice.xy(b))
            layout.edges.append(Edge(index[a], index[b], plan, profile(street), street_name(rng)))
    return layout


def bend(a: tuple[float, float], corner: tuple[float, float], b: tuple[float, float]) -> Plan:
    """Line, quarter circle, line."""
    first, second = straight(a, corner), straight(corner, b)
    turn = np.sign(np.sin(second.start[2] - first.start[2]))
    arc = (CORNER * np.pi / 2, float(turn) / CORNER)
    return Plan.chain(first.start, (first.length - CORNER, 0.0), arc, (second.length - CORNER, 0.0))


def street_name(rng: np.random.Generator) -> str:
    return f"{rng.choice(NAMES)} {rng.choice(KINDS)}"
