"""From a layout to an OpenDRIVE map: streets cut back at their nodes, then junctions, then what stands beside them."""

from __future__ import annotations

from math import pi

import numpy as np

from roadcraft.sim.embedded.layout import Build, Edge, Layout, lane_offset, sections
from roadcraft.sim.embedded.layout_arms import make_arm, setbacks
from roadcraft.sim.embedded.layout_junction import TURN_ANGLE, build_junction
from roadcraft.sim.embedded.layout_scenery import furnish
from roadcraft.sim.embedded.opendrive import Road, RoadMap
from roadcraft.sim.geometry import wrap


def build_map(layout: Layout, rng: np.random.Generator) -> RoadMap:
    """The whole town of a layout; `rng` only places scenery."""
    build = Build(layout, rng, RoadMap(layout.name))
    ends = _arms(layout)
    trims: dict[tuple[int, str], float] = {}
    for node, arms in zip(layout.nodes, ends, strict=True):
        lengths = setbacks(node, [(layout.edges[i], end) for i, end in arms])
        trims.update(zip(arms, lengths, strict=True))
    for index, edge in enumerate(layout.edges):
        turn_start, turn_end = (
            _turns_left(layout, ends[node], (index, end)) for node, end in ((edge.a, "start"), (edge.b, "end"))
        )
        build.streets.append(_street(build, edge, trims[index, "start"], trims[index, "end"], turn_start, turn_end))
    for node, arms in zip(layout.nodes, ends, strict=True):
        build_junction(build, node, [make_arm(i, build.streets[i], end) for i, end in arms])
    furnish(build)
    return build.town


def _arms(layout: Layout) -> list[list[tuple[int, str]]]:
    """The ends of edges (edge, "start" or "end") that meet at each node."""
    arms: list[list[tuple[int, str]]] = [[] for _ in layout.nodes]
    for index, edge in enumerate(layout.edges):
        arms[edge.a].append((index, "start"))
        arms[edge.b].append((index, "end"))
    return arms


def _turns_left(layout: Layout, arms: list[tuple[int, str]], arm: tuple[int, str]) -> bool:
    """Whether a street opens a left-turn lane towards a node: if its profile has them, and ways lead left and ahead.

    Where none leads straight on, the lanes that there are part into left and right.
    """
    if not layout.edges[arm[0]].profile.turn_lane:
        return False
    into = wrap(_outward(layout, arm) + pi)
    turns = [wrap(_outward(layout, other) - into) for other in arms if other != arm]
    return max(turns) > TURN_ANGLE and min(abs(turn) for turn in turns) < TURN_ANGLE


def _outward(layout: Layout, arm: tuple[int, str]) -> float:
    """The direction in which an edge leaves its node [rad]."""
    plan = layout.edges[arm[0]].plan
    return plan.start[2] if arm[1] == "start" else plan.end[2] + pi


def _street(build: Build, edge: Edge, trim_start: float, trim_end: float, turn_start: bool, turn_end: bool) -> Road:
    """The road of an edge between its two junctions."""
    plan = edge.plan.cut(trim_start, edge.plan.length - trim_end)
    rows = sections(edge.profile, plan.length, turn_start, turn_end)
    road = Road(build.fresh(), plan, rows, edge.profile.speed, name=edge.name, kind=edge.profile.kind)
    road.lane_offset = lane_offset(edge.profile, plan.length, rows, turn_start, turn_end)
    build.town.roads.append(road)
    return road
