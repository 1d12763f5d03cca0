"""Paint and kerbs on the baked ground: each type of line as OpenDRIVE describes it, arrows by where lanes lead."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.ground import bake_ground, load_ground
from roadcraft.sim.embedded.render.ground_look import TEXEL, Ground, texel
from roadcraft.sim.embedded.render.palette import CLASSES, COLORS, SURFACES
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.messages import Command
from roadcraft.sim.roads import LaneKind, RoadNetwork, network_from_opendrive

pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")

ROAD, LINE = 1, 24  # CARLA's semantic tags
LENGTH, LANE_WIDTH = 90.0, 3.0  # [m]
LINES = {  # share of the length at which (left of the reference line, on it, right of it) is painted
    "none": (0, 0, 0),
    "solid": (0, 1, 0),
    "broken": (0, 1 / 3, 0),
    "solid solid": (1, 0, 1),
    "solid broken": (1, 0, 1 / 3),  # OpenDRIVE: for the centre lane from left to right
    "broken solid": (1 / 3, 0, 1),
    "broken broken": (1 / 3, 0, 1 / 3),
    "botts dots": (0, 1 / 7, 0),
    "edge": (0, 0, 0),  # OpenDRIVE: the limit of the road, not paint
}
STREET = """<?xml version="1.0"?>
<OpenDRIVE><header revMajor="1" revMinor="4" name="lines"/>
<road name="a" length="90" id="7" junction="-1"><link/>
<planView><geometry s="0" x="0" y="0" hdg="0" length="90"><line/></geometry></planView>
<lanes><laneSection s="0">
<left><lane id="1" type="driving" level="false"><width sOffset="0" a="3" b="0" c="0" d="0"/></lane></left>
<center><lane id="0" type="none" level="false">
<roadMark sOffset="0" type="{kind}" weight="standard" color="{color}" width="0.15">{lines}</roadMark></lane></center>
<right><lane id="-1" type="driving" level="false"><width sOffset="0" a="3" b="0" c="0" d="0"/></lane></right>
</laneSection></lanes></road></OpenDRIVE>"""


def street(kind: str, color: str = "white", lines: str = "") -> Ground:
    return bake_ground(network_from_opendrive(STREET.format(kind=kind, color=color, lines=lines), "lines"))


def code_at(ground: Ground, x: float, y: float) -> int:
    """Of the finest level at a place [m]."""
    return int(texel(ground, 0, int((x - ground.origin[0]) // TEXEL), int((y - ground.origin[1]) // TEXEL)))


def class_at(ground: Ground, x: float, y: float) -> int:
    return int(CLASSES[SURFACES[code_at(ground, x, y)]])


def across(ground: Ground, x: float) -> list[tuple[float, float]]:
    """Middle and width [m] of each piece of paint across the street."""
    places = np.arange(-1.0, 1.0, TEXEL / 5)
    painted = [class_at(ground, x, y) == LINE for y in places]
    pieces = [list(group) for _, group in groupby(range(len(places)), lambda i: painted[i])]
    return [(float(places[p].mean()), len(p) * TEXEL / 5) for p in pieces if painted[p[0]]]


@pytest.mark.parametrize("kind", LINES)
def test_each_type_of_line_is_painted_as_it_is_described(kind: str) -> None:
    ground = street(kind)
    found = [across(ground, x) for x in np.arange(1.0, LENGTH - 1.0, 0.1)]
    sides = [0.0, 0.0, 0.0]
    for pieces in found:
        for middle, width in pieces:
            assert width == pytest.approx(0.15, abs=1.2 * TEXEL)
            sides[0 if middle > 0.06 else 2 if middle < -0.06 else 1] += 1 / len(found)
    assert sides == pytest.approx(LINES[kind], abs=0.03)


@pytest.mark.parametrize(
    ("color", "like"),
    [
        ("standard", (235, 235, 235)), ("white", (235, 235, 235)), ("yellow", (235, 185, 50)), ("blue", (0, 80, 200)),
        ("green", (0, 150, 50)), ("red", (200, 0, 0)), ("orange", (235, 120, 0)), ("violet", (140, 50, 170)),
        ("black", (20, 20, 20)),
    ],
)  # fmt: skip
def test_lines_have_their_colour(color: str, like: tuple[int, int, int]) -> None:
    """What paint differs from the asphalt by points the way in which that colour does."""
    ground = street("solid", color)
    line, road = (
        np.mean([COLORS[code_at(ground, x, y)] for x in np.arange(1.0, LENGTH - 1.0, 0.1)], 0) for y in (0.0, 0.5)
    )
    assert class_at(ground, 45.0, 0.0) == LINE
    change, wanted = line - road, np.array(like) - road
    assert change @ wanted > 0.9 * np.linalg.norm(change) * np.linalg.norm(wanted)
    assert np.linalg.norm(change) > 0.4 * np.linalg.norm(wanted)


def test_lines_that_a_file_describes_are_painted_as_described() -> None:
    """<type> repeats its lines, <explicit> has them once; tOffset is to the left of the road."""
    repeated = '<type name="x" width="0.1"><line length="4" space="6" tOffset="0.3" sOffset="2" width="0.2"/></type>'
    once = '<explicit><line length="5" tOffset="-0.4" sOffset="20" color="blue"/></explicit>'
    ground = street("custom", lines=repeated + once)
    for x in np.arange(0.25, LENGTH, 0.5):
        pieces = {round(middle, 1): width for middle, width in across(ground, x)}
        assert (0.3 in pieces) == (x >= 2 and (x - 2) % 10 < 4), x
        assert (-0.4 in pieces) == (20 < x < 25), x
        assert set(pieces) <= {0.3, -0.4}
        assert pieces.get(0.3, 0.2) == pytest.approx(0.2, abs=1.2 * TEXEL)
        assert pieces.get(-0.4, 0.15) == pytest.approx(0.15, abs=1.2 * TEXEL)
    red, _, blue = COLORS[code_at(ground, 22.0, -0.4)]
    assert blue > red + 20


def test_arrows_point_where_their_lanes_lead() -> None:
    """Paint in the last metres of a lane, to the left and to the right of its middle."""
    network = load_town("arterial").network
    ground, seen = load_ground(network), []
    for lane, turns in lanes_beside_others(network):
        length = float(network.lanes["length"][lane])
        painted = []
        for side in (1, -1):
            places = [network.point(lane, s) for s in np.arange(length - 12.0, length - 5.0, 0.1)]
            painted.append(
                sum(
                    class_at(ground, x - side * d * np.sin(yaw), y + side * d * np.cos(yaw)) == LINE
                    for x, y, yaw, _ in places
                    for d in np.arange(0.5, 1.1, 0.1)
                )
            )
        seen.append(turns)
        left, right = Command.LEFT in turns, Command.RIGHT in turns
        assert (painted[0] > 10, painted[1] > 10) == (left, right), (lane, turns, painted)
    assert {Command.LEFT} in seen
    assert any(Command.STRAIGHT in turns for turns in seen)


def lanes_beside_others(network: RoadNetwork) -> list[tuple[int, set[int]]]:
    """Lanes that end at a junction beside another of their direction, and where they lead."""
    found = []
    for lane, row in enumerate(network.lanes):
        turns = {int(network.lanes["turn"][n]) for n in network.successors(lane)} - {int(Command.FOLLOW)}
        beside = [n for n in (row["left"], row["right"]) if n >= 0 and network.lanes["kind"][n] == LaneKind.DRIVING]
        if row["kind"] == LaneKind.DRIVING and row["junction"] < 0 and row["length"] >= 14 and turns and beside:
            found.append((lane, turns))
    return found


def test_sidewalks_have_kerbs() -> None:
    """From the road inwards: a dark upright face, a light stone, the slabs."""
    network = load_town("grid").network
    ground = load_ground(network)
    rows: list[list[NDArray[np.float64]]] = []
    for lane in np.flatnonzero((network.lanes["kind"] == LaneKind.SIDEWALK) & (network.lanes["junction"] < 0)):
        for s in np.arange(5.0, network.lanes["length"][lane] - 5.0, 2.0):
            x, y, yaw, width = network.point(int(lane), float(s))
            for side in (1, -1):
                normal = side * np.array([-np.sin(yaw), np.cos(yaw)])
                edge = np.array([x, y]) + normal * width / 2
                if class_at(ground, *(edge + 0.1 * normal)) == ROAD:
                    rows.append([COLORS[code_at(ground, *(edge - d * normal))] for d in (0.06, 0.18, 0.9)])
    face, stone, slab = np.mean(rows, (0, 2))
    assert len(rows) > 200
    assert face < stone - 40
    assert slab < stone - 10
    assert slab > face + 10
