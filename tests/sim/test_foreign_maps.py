"""OpenDRIVE files of other makers: no objects, signals on the lanes inside junctions, other geometry, elevation."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from roadcraft.sim.embedded.scenery import Scenery, Shape
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.roads import ANY_KIND, LaneKind, RoadNetwork, SignalKind, network_from_opendrive

pytest.importorskip("carla", reason="the wheel of the carla client does not exist for this machine")


def tree() -> ET.Element:
    return ET.fromstring(load_town("grid").xodr.encode())


def load(tmp_path: Path, root: ET.Element) -> tuple[RoadNetwork, Scenery]:
    path = tmp_path / "foreign.xodr"
    path.write_bytes(ET.tostring(root))
    town = load_town(str(path))
    return town.network, town.scenery


def test_a_map_without_objects_gets_scenery(tmp_path: Path) -> None:
    root = tree()
    for road in root.iter("road"):
        for objects in road.findall("objects"):
            road.remove(objects)
    network, scenery = load(tmp_path, root)
    static = scenery.static
    shapes = np.bincount(static["shape"], minlength=len(Shape))
    assert shapes[Shape.BUILDING] > 40
    assert shapes[Shape.TREE] > 40
    assert shapes[Shape.LAMP] > 15
    assert shapes[Shape.SIGNAL] == (network.signals["kind"] == SignalKind.LIGHT).sum()
    assert sorted(static["signal"][static["signal"] >= 0]) == list(range(len(network.signals)))
    for row in static[np.isin(static["shape"], (Shape.BUILDING, Shape.TREE, Shape.LAMP))]:
        lane, s, lateral = network.nearest(row["xyz"][:2], kinds=ANY_KIND)
        assert abs(lateral) > network.point(lane, s)[3] / 2
    assert len(network.stop_lines) == 0
    assert (network.lanes["signal_s"][network.lanes["signal"] >= 0] > 0).all()
    again = load(tmp_path, root)[1]
    assert np.array_equal(static, again.static)


def test_lights_on_lanes_inside_junctions_govern_the_lanes_before(tmp_path: Path) -> None:
    """CARLA's own maps refer to a light from the connecting roads."""
    root, own = tree(), load_town("grid").network
    roads = {road.get("id"): road for road in root.iter("road")}
    for road in list(roads.values()):
        signals = road.find("signals")
        for signal in list(signals) if signals is not None else []:
            if signal.get("type") != "1000001":
                continue
            signal.set("orientation", "none")
            for validity in signal.findall("validity"):
                validity.set("fromLane", "0")
                validity.set("toLane", "0")
            for junction in root.iter("junction"):
                for connection in junction.iter("connection"):
                    contact = "end" if float(signal.get("s", 0)) > float(road.get("length", 0)) / 2 else "start"
                    connecting = roads[connection.get("connectingRoad")]
                    before = connecting.find("link/predecessor")
                    if (before.get("elementId"), before.get("contactPoint")) != (road.get("id"), contact):
                        continue
                    reference = ET.SubElement(
                        connecting.find("signals"),
                        "signalReference",
                        {"id": signal.get("id"), "s": "0.0", "t": "-2.0", "orientation": "+"},
                    )
                    ET.SubElement(reference, "validity", {"fromLane": "-1", "toLane": "-1"})
    network, _ = load(tmp_path, root)

    def governed(some: RoadNetwork) -> dict[tuple[int, int, int], str]:
        rows = some.lanes[some.lanes["signal"] >= 0]
        return {(r["road"], r["section"], r["lane_id"]): some.signals["id"][r["signal"]] for r in rows}

    assert governed(network) == governed(own)


def test_without_controllers_each_light_of_a_junction_has_its_own_phase(tmp_path: Path) -> None:
    root = tree()
    for controller in root.findall("controller"):
        root.remove(controller)
    network, _ = load(tmp_path, root)
    lights = network.signals[network.signals["kind"] == SignalKind.LIGHT]
    assert set(lights["group"]) == set(load_town("grid").network.signals["group"]) - {-1} & set(lights["group"])
    for group in set(lights["group"]):
        phases = sorted(lights["phase"][lights["group"] == group])
        assert phases == list(range(len(phases)))


ROAD = """<?xml version="1.0"?>
<OpenDRIVE><header revMajor="1" revMinor="4" name="geometry"/>
<road name="a" length="{length}" id="7" junction="-1"><link/><planView>{geometry}</planView>
<elevationProfile><elevation s="0" a="2" b="0.05" c="0" d="0"/></elevationProfile>
<lanes><laneSection s="0">
<left><lane id="1" type="driving" level="false"><width sOffset="0" a="3" b="0" c="0" d="0"/></lane></left>
<center><lane id="0" type="none" level="false"/></center>
<right><lane id="-1" type="driving" level="false"><width sOffset="0" a="3" b="0" c="0" d="0"/></lane></right>
</laneSection></lanes>
<objects>
<object id="1" type="building" name="House" s="30" t="12" zOffset="1" hdg="0.5" length="8" width="6" height="5"/>
</objects></road></OpenDRIVE>"""


@pytest.mark.parametrize(
    "shape",
    [
        "<line/>",
        '<arc curvature="0.01"/>',
        '<spiral curvStart="0" curvEnd="0.02"/>',
        '<paramPoly3 aU="0" bU="60" cU="0" dU="-2" aV="0" bV="0" cV="12" dV="-4" pRange="normalized"/>',
    ],
)
def test_every_geometry_is_read_as_carla_reads_it(shape: str) -> None:
    """The object 12 m to the left of the road at s = 30 stands beside the lanes that carla.Map places there."""
    geometry = f'<geometry s="0" x="10" y="20" hdg="0.7" length="60">{shape}</geometry>'
    network = network_from_opendrive(ROAD.format(length=60, geometry=geometry), "geometry")
    from roadcraft.sim.embedded.scenery import read_scenery

    lane = int(np.flatnonzero(network.lanes["lane_id"] == -1)[0])
    x, y, yaw, _ = network.point(lane, 30.0 * network.lanes["length"][lane] / 60.0)
    house = read_scenery(network.xodr, network).static[0]
    expected = np.array([x - 13.5 * np.sin(yaw), y + 13.5 * np.cos(yaw)])
    assert np.hypot(*(house["xyz"][:2] - expected)) < 0.5
    assert abs((house["yaw"] - yaw - 0.5 + np.pi) % (2 * np.pi) - np.pi) < 0.03
    assert np.isclose(house["xyz"][2], 2 + 0.05 * 30 + 1)
    rows = network.points(lane)
    assert abs(network.z[rows][0] - 2.0) < 0.01
    assert abs(network.z[rows][-1] - 5.0) < 0.02
    assert network.lanes["kind"][lane] == LaneKind.DRIVING
