"""Grid: four by four streets at right angles, some missing; most crossings have lights, most T-junctions stop signs."""

from __future__ import annotations

import numpy as np

from roadcraft.sim.embedded.layout import Control, Layout, Node, Profile, Side
from roadcraft.sim.embedded.layout_lattice import Place, Street, lattice_layout, make_lattice

COLUMNS = ROWS = 4
MISSING = 2  # streets that may be left out
MIN_LIGHTS = 4  # junctions with lights


def grid_layout(name: str, rng: np.random.Generator) -> Layout:
    """Crossings with four arms inside, with three at the edges, bends at the corners."""
    gaps = rng.integers(90, 121, (2, COLUMNS - 1)).astype(float)
    lattice = make_lattice(list(gaps[0]), list(gaps[1]), int(rng.integers(0, MISSING + 1)), rng)

    def node(place: Place, arms: int) -> Node:
        if arms == 4:
            control = Control.LIGHT if rng.random() < 0.8 else Control.ALL_STOP
        else:
            control = Control.LIGHT if rng.random() < 0.4 else Control.MINOR_STOP
        return Node(lattice.xy(place), control)

    def profile(street: Street) -> Profile:
        parking = 2.4 if rng.random() < 0.4 else 0.0
        right, left = Side(parking=parking), Side(parking=parking if rng.random() < 0.7 else 0.0)
        center = "broken" if rng.random() < 0.5 else "solid"
        return Profile(right, left, center=center, speed=float(rng.choice([40, 50])))

    layout = lattice_layout(name, lattice, profile, node, rng)
    dark = [n for n in layout.nodes if n.control is not Control.LIGHT]
    lit = len(layout.nodes) - len(dark)
    for k in rng.permutation(len(dark))[: max(MIN_LIGHTS - lit, 0)]:
        dark[k].control = Control.LIGHT
    return layout
