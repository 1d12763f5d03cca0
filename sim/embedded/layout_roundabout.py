"""Roundabouts: a lattice of streets in which roundabouts of one lane take the place of most crossings.

Who is in the ring goes first. Each way in and out of it is a junction of its own, as OpenDRIVE's practice is.
"""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from roadcraft.sim.embedded.layout import Control, Edge, Layout, Node, Profile, Side
from roadcraft.sim.embedded.layout_lattice import Place, Street, lattice_layout, make_lattice
from roadcraft.sim.geometry import wrap
from roadcraft.sim.planview import Plan

COLUMNS, ROWS = 4, 3
RADIUS = 19.0  # [m] of the island
ENTRY_RADIUS = 8.5  # [m] by which ways in and out are rounded
RING = Profile(Side(width=4.5), Side(lanes=0, sidewalk=0.0), speed=30.0)
SMALL = 2  # T-junctions that become roundabouts too


def roundabout_layout(name: str, rng: np.random.Generator) -> Layout:
    """All crossings with four arms and some with three are roundabouts, the others have lights or signs."""
    gaps_x = rng.integers(130, 161, COLUMNS - 1).astype(float)
    gaps_y = rng.integers(130, 161, ROWS - 1).astype(float)
    lattice = make_lattice(list(gaps_x), list(gaps_y), 0, rng)

    def node(place: Place, arms: int) -> Node:
        return Node(lattice.xy(place), Control.YIELD if arms == 4 else Control.MINOR_STOP)

    def profile(street: Street) -> Profile:
        side = Side(parking=2.4 if rng.random() < 0.3 else 0.0)
        return Profile(
            side, side, center="broken" if rng.random() < 0.5 else "solid", speed=float(rng.choice([40, 50]))
        )

    layout = lattice_layout(name, lattice, profile, node, rng)
    plain = [k for k, n in enumerate(layout.nodes) if n.control is Control.MINOR_STOP]
    order = list(rng.permutation(plain))
    for k in order[SMALL:][::2]:
        layout.nodes[k].control = Control.LIGHT
    rings = [k for k, n in enumerate(layout.nodes) if n.control is Control.YIELD]
    for k in rings + order[:SMALL]:
        make_roundabout(layout, int(k))
    return layout


def make_roundabout(layout: Layout, center: int) -> None:
    """Replaces a node by a ring; its streets must be straight for the ring's radius."""
    x, y = layout.nodes[center].xy
    arms = []
    for edge in layout.edges:
        if edge.a == center:
            arms.append((wrap(edge.plan.start[2]), edge, "start"))
        if edge.b == center:
            arms.append((wrap(edge.plan.end[2] + pi), edge, "end"))
    arms.sort(key=lambda arm: arm[0])
    members = []
    for position, (angle, edge, end) in enumerate(arms):
        place = (x + RADIUS * cos(angle), y + RADIUS * sin(angle))
        node = Node(place, Control.YIELD, radius=ENTRY_RADIUS)
        if position == 0:
            layout.nodes[center] = node
            members.append(center)
        else:
            members.append(len(layout.nodes))
            layout.nodes.append(node)
        length = edge.plan.length
        if end == "start":
            edge.a, edge.plan = members[-1], edge.plan.cut(RADIUS, length)
        else:
            edge.b, edge.plan = members[-1], edge.plan.cut(0.0, length - RADIUS)
    for k, (angle, _, _) in enumerate(arms):
        follower = (k + 1) % len(arms)
        opening = (arms[follower][0] - angle) % (2 * pi)
        start = (*layout.nodes[members[k]].xy, angle + pi / 2)
        plan = Plan.chain(start, (RADIUS * opening, 1 / RADIUS))
        ring = len(layout.edges)
        layout.edges.append(Edge(members[k], members[follower], plan, RING, "Roundabout"))
        for member in (members[k], members[follower]):
            layout.nodes[member].main += (ring,)
