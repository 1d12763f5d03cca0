"""Arterial: a lattice with two crossing boulevards of two lanes a direction, left-turn lanes and lights; the other
streets have one lane a direction and parked cars."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from roadcraft.sim.embedded.layout import Control, Layout, Node, Profile, Side, Surroundings
from roadcraft.sim.embedded.layout_lattice import Place, Street, lattice_layout, make_lattice

COLUMNS, ROWS = 4, 4
BOULEVARD = Profile(Side(lanes=2), Side(lanes=2), median=3.5, turn_lane=True, speed=60.0)


def arterial_layout(name: str, rng: np.random.Generator) -> Layout:
    """One boulevard is an inner row, the other an inner column. All that meets them does so at lights."""
    row, column = int(rng.integers(1, ROWS - 1)), int(rng.integers(1, COLUMNS - 1))
    gaps_x = rng.integers(140, 181, COLUMNS - 1).astype(float)
    gaps_y = rng.integers(105, 131, ROWS - 1).astype(float)
    lattice = make_lattice(list(gaps_x), list(gaps_y), 0, rng)

    def wide(street: Street) -> bool:
        (i, j), (k, m) = street
        return j == m == row or i == k == column

    def node(place: Place, arms: int) -> Node:
        main = any(wide(street) for street in lattice.streets if place in street)
        return Node(lattice.xy(place), Control.LIGHT if main or rng.random() < 0.3 else Control.MINOR_STOP)

    def profile(street: Street) -> Profile:
        if wide(street):
            return BOULEVARD
        side = Side(parking=2.4 if rng.random() < 0.6 else 0.0)
        return Profile(side, side, center="broken" if rng.random() < 0.5 else "solid", speed=40.0)

    layout = lattice_layout(name, lattice, profile, node, rng)
    return replace(layout, surroundings=Surroundings(lot=(18.0, 34.0), depth=(14.0, 22.0), floors=(3, 9)))
