"""Hilly OpenDRIVE: a generated town whose roads climb over a hill and through a valley, and a road over a crest."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from math import cos, sin

import numpy as np

from roadcraft.sim.embedded.town import town_text
from roadcraft.sim.reference_line import ReferenceLine

STEP = 15.0  # [m] between the heights that a road's profile goes through
WAVE = 260.0  # [m] from hill to hill
GRADE = 0.06


def height(x: float, y: float) -> float:
    """[m] of the land: hills whose slopes are GRADE at most in x and in y, over a base of 12 m."""
    k = 2 * np.pi / WAVE
    return float(12.0 + GRADE / k * (sin(k * x + 0.7) + cos(k * y - 0.4)))


def hilly_town(style: str = "suburb", number: int = 0) -> str:
    """The OpenDRIVE of a generated town with hills."""
    root = ET.fromstring(town_text(style, number).encode())
    roads = {road.get("id"): road for road in root.iter("road")}
    for road in roads.values():
        if road.get("junction") == "-1":
            line, length = ReferenceLine(road), float(road.get("length", 0))
            at = np.linspace(0.0, length, max(int(np.ceil(length / STEP)), 1) + 1)
            z = np.array([height(*line.pose(s)[:2]) for s in at])
            _profile(road, at, z, np.gradient(z, at))
    for road in roads.values():
        if road.get("junction") != "-1":
            ends = [_end(roads, road, name) for name in ("predecessor", "successor")]
            z, slope = np.array(ends).T
            _profile(road, np.array([0.0, float(road.get("length", 0))]), z, slope * (1.0, -1.0))
    return ET.tostring(root, encoding="unicode")


def _profile(road: ET.Element, s: np.ndarray, z: np.ndarray, slope: np.ndarray) -> None:
    """Cubics through heights with slopes."""
    old = road.find("elevationProfile")
    for child in list(old):
        old.remove(child)
    for k in range(len(s) - 1):
        d = s[k + 1] - s[k]
        rise = (z[k + 1] - z[k]) / d
        c, e = (3 * rise - 2 * slope[k] - slope[k + 1]) / d, (slope[k] + slope[k + 1] - 2 * rise) / d**2
        numbers = {"s": s[k], "a": z[k], "b": slope[k], "c": c, "d": e}
        ET.SubElement(old, "elevation", {name: repr(float(value)) for name, value in numbers.items()})


def _end(roads: dict, road: ET.Element, name: str) -> tuple[float, float]:
    """Height of the road that is joined there, and its slope into this one."""
    link = road.find(f"link/{name}")
    other = roads[link.get("elementId")]
    line, length = ReferenceLine(other), float(other.get("length", 0))
    if link.get("contactPoint") == "end":
        return line.height(length), (line.height(length) - line.height(length - 0.01)) / 0.01
    return line.height(0.0), (line.height(0.0) - line.height(0.01)) / 0.01


def crest(climb: float = 0.08, length: float = 200.0, width: float = 3.5) -> str:
    """One straight road with a lane and a sidewalk each way, along x from 0, over a crest in its middle: a parabola
    that climbs by `climb` at first and falls as much at the end."""
    top = -climb / length
    left, right = (
        "".join(
            f'<lane id="{sign * k}" type="{kind}" level="false"><width sOffset="0" a="{w}" b="0" c="0" d="0"/>'
            f'<roadMark sOffset="0" type="{mark}" weight="standard" color="white" width="0.15"/></lane>'
            for k, kind, w, mark in ((1, "driving", width, "solid"), (2, "sidewalk", 2.0, "none"))
        )
        for sign in (1, -1)
    )
    return f"""<?xml version="1.0"?>
<OpenDRIVE><header revMajor="1" revMinor="4" name="crest"/>
<road name="crest" length="{length}" id="1" junction="-1"><link/>
<planView><geometry s="0" x="0" y="0" hdg="0" length="{length}"><line/></geometry></planView>
<elevationProfile><elevation s="0" a="3" b="{climb}" c="{top}" d="0"/></elevationProfile>
<lanes><laneSection s="0"><left>{left}</left>
<center><lane id="0" type="none" level="false"><roadMark sOffset="0" type="broken" weight="standard" color="white"
width="0.15" laneChange="both"/></lane></center><right>{right}</right></laneSection></lanes></road></OpenDRIVE>"""


def flyover(rise: float = 6.5) -> str:
    """Two straight roads with sidewalks that cross at (0, 0): one along x at z = 1, one along y that climbs over it by
    `rise`."""
    walk = '<width sOffset="0" a="2" b="0" c="0" d="0"/></lane>'
    lanes = "".join(
        f'<{side}><lane id="{number}" type="driving" level="false"><width sOffset="0" a="3.5" b="0" c="0" d="0"/>'
        f'<roadMark sOffset="0" type="solid" weight="standard" color="white" width="0.15"/></lane>'
        f'<lane id="{2 * number}" type="sidewalk" level="false">{walk}</{side}>'
        + ('<center><lane id="0" type="none" level="false"/></center>' if side == "left" else "")
        for side, number in (("left", 1), ("right", -1))
    )
    c, d = 3 * rise / 120.0**2, -2 * rise / 120.0**3
    climb = (
        f'<elevation s="0" a="1" b="0" c="{c}" d="{d}"/><elevation s="120" a="{1 + rise}" b="0" c="0" d="0"/>'
        f'<elevation s="180" a="{1 + rise}" b="0" c="{-c}" d="{-d}"/>'
    )
    level = '<elevation s="0" a="1" b="0" c="0" d="0"/>'
    roads = "".join(
        f'<road name="r{k}" length="300" id="{k}" junction="-1"><link/><planView>'
        f'<geometry s="0" x="{x}" y="{y}" hdg="{turn}" length="300"><line/></geometry></planView>'
        f"<elevationProfile>{profile}</elevationProfile>"
        f'<lanes><laneSection s="0">{lanes}</laneSection></lanes></road>'
        for k, x, y, turn, profile in ((1, -150, 0, 0.0, level), (2, 0, -150, np.pi / 2, climb))
    )
    return f'<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4" name="flyover"/>{roads}</OpenDRIVE>'
