"""Highway: a motorway with ramps through a ring of streets, all on one level.

The motorway runs from the ring's west side to its east side, with lights at both ends. Half way a ramp leaves each
direction for the ring's street on that side, and another one joins: the outermost lane leads into the ramp off, the
ramp on gets a lane of its own, so nobody has to squeeze in. Local streets with houses lie outside the ring.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import pi

import numpy as np

from roadcraft.sim.embedded.layout import Control, Edge, Layout, Node, Profile, Side, Surroundings
from roadcraft.sim.embedded.layout_lattice import bend, street_name
from roadcraft.sim.planview import Plan, connect, straight

WIDE, NARROW = (Side(lanes=n, width=3.6, shoulder=2.5, sidewalk=0.0) for n in (3, 2))
OUTER = Profile(WIDE, WIDE, median=3.0, speed=80.0, kind="motorway")
INNER = Profile(NARROW, NARROW, median=3.0, speed=100.0, kind="motorway")
RAMP = Profile(Side(width=4.0, shoulder=1.0, sidewalk=0.0), Side(lanes=0, sidewalk=0.0), speed=50.0)
STREET = Profile(Side(lanes=2), Side(lanes=2, sidewalk=0.0), center="solid solid", speed=50.0)
LOCAL = Profile(Side(parking=2.4), Side(), speed=40.0)
RAMP_ANGLE = 0.09  # [rad] between the motorway and a ramp where they part
RAMP_RADIUS = 12.5  # [m] of turns between ramps and streets
GORE = 25.0  # [m] from the middle of a motorway junction to its ends
Point = tuple[float, float]
Add = Callable[..., int]  # (node a, node b, plan, profile, trims) -> index of the new edge


def highway_layout(name: str, rng: np.random.Generator) -> Layout:
    """The ring's edges run counter-clockwise: outside is to the right."""
    half_x, half_y = float(rng.uniform(340, 400)), float(rng.uniform(120, 140))
    split, ramp = float(rng.uniform(150, 180)), float(rng.uniform(38, 50))  # x of motorway junctions and of ramps' feet
    local = float(rng.uniform(180, 230))
    places: dict[str, Point] = {
        "west": (-half_x, 0.0),
        "south 1": (-local, -half_y),
        "south off": (-ramp, -half_y),
        "south on": (ramp, -half_y),
        "south 2": (local, -half_y),
        "east": (half_x, 0.0),
        "north 2": (local, half_y),
        "north off": (ramp, half_y),
        "north on": (-ramp, half_y),
        "north 1": (-local, half_y),
        "split west": (-split, 0.0),
        "split east": (split, 0.0),
    }
    layout = Layout(name, Surroundings(lot=(14.0, 30.0), floors=(1, 4), woods=0.002))
    index = {key: k for k, key in enumerate(places)}
    for key, xy in places.items():
        ramp_foot = key.endswith((" on", " off"))
        layout.nodes.append(Node(xy, _control(key), radius=RAMP_RADIUS if ramp_foot else Node.radius))

    def add(
        a: str, b: str, plan: Plan, profile: Profile, trims: tuple[float | None, float | None] = (None, None)
    ) -> int:
        layout.edges.append(Edge(index[a], index[b], plan, profile, street_name(rng), trims))
        return len(layout.edges) - 1

    _ring(places, add, half_x, half_y)
    main = [add(a, b, straight(places[a], places[b]), profile) for a, b, profile in (
        ("west", "split west", OUTER),
        ("split west", "split east", INNER),
        ("split east", "east", OUTER),
    )]  # fmt: skip
    layout.nodes[index["split west"]].main = (main[0], main[1])
    layout.nodes[index["split east"]].main = (main[1], main[2])
    _ramps(places, add)
    _local_streets(places, add, rng)
    return layout


def _control(key: str) -> Control:
    if key.startswith("split"):
        return Control.FREE
    return Control.LIGHT if key in ("west", "east", "north off", "south off") else Control.MINOR_STOP


def _ring(places: dict[str, Point], add: Add, half_x: float, half_y: float) -> None:
    for side in ("south", "north"):
        names = [f"{side} 1", f"{side} off", f"{side} on", f"{side} 2"]
        if side == "north":
            names = ["north 2", "north off", "north on", "north 1"]
        begin, end = ("west", "east") if side == "south" else ("east", "west")
        corners = [(-half_x, -half_y), (half_x, -half_y)] if side == "south" else [(half_x, half_y), (-half_x, half_y)]
        add(begin, names[0], bend(places[begin], corners[0], places[names[0]]), STREET)
        for a, b in pairwise(names):
            add(a, b, straight(places[a], places[b]), STREET)
        add(names[-1], end, bend(places[names[-1]], corners[1], places[end]), STREET)


def _ramps(places: dict[str, Point], add: Add) -> None:
    """Seen along each direction: off at the first junction, on at the second."""
    lane = OUTER.median / 2 + NARROW.lanes * NARROW.width  # [m] from the middle to the outermost lane's inner border
    for direction, side, off, on in (
        (1.0, "south", "split west", "split east"),
        (-1.0, "north", "split east", "split west"),
    ):
        heading = 0.0 if direction > 0 else pi
        foot_off, foot_on = places[f"{side} off"], places[f"{side} on"]
        x, y = places[off]
        start = (x + direction * GORE, y - direction * (lane + 1.5), heading - RAMP_ANGLE)
        add(off, f"{side} off", connect(start, (*foot_off, heading - pi / 2)), RAMP, (0.0, None))
        x, y = places[on]
        end = (x - direction * GORE, y - direction * (lane + 1.5), heading + RAMP_ANGLE)
        add(f"{side} on", on, connect((*foot_on, heading + pi / 2), end), RAMP, (None, 0.0))


def _local_streets(places: dict[str, Point], add: Add, rng: np.random.Generator) -> None:
    """Outside of the ring, from one of its junctions around to another."""
    for side, sign in (("south", -1.0), ("north", 1.0)):
        a, b = places[f"{side} 1"], places[f"{side} 2"]
        depth = sign * float(rng.uniform(90, 120))
        first, second = (a[0], a[1] + depth), (b[0], b[1] + depth)
        middle = ((a[0] + b[0]) / 2, a[1] + depth)
        left, right = bend(a, first, middle), bend(middle, second, b)
        add(f"{side} 1", f"{side} 2", Plan(left.parts + right.parts), LOCAL)
