"""From a layout to an OpenDRIVE map: streets cut back at their nodes, then junctions, then what stands beside them."""

from __future__ import annotations

import numpy as np

from roadcraft.sim.embedded.layout import Build, Edge, Layout, lane_offset, sections
from roadcraft.sim.embedded.layout_junction import build_junction, make_arm, setbacks
from roadcraft.sim.embedded.layout_scenery import furnish
from roadcraft.sim.embedded.opendrive import Road, RoadMap


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
            edge.profile.turn_lane and len(ends[node]) > 2 and layout.nodes[node].turn_lanes
            for node in (edge.a, edge.b)
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


def _street(build: Build, edge: Edge, trim_start: float, trim_end: float, turn_start: bool, turn_end: bool) -> Road:
    """The road of an edge between its two junctions."""
    plan = edge.plan.cut(trim_start, edge.plan.length - trim_end)
    rows = sections(edge.profile, plan.length, turn_start, turn_end)
    road = Road(build.fresh(), plan, rows, edge.profile.speed, name=edge.name, kind=edge.profile.kind)
    road.lane_offset = lane_offset(edge.profile, plan.length, rows, turn_start, turn_end)
    build.town.roads.append(road)
    return road
