"""Who goes first at a junction: lights, signs, stop lines, crosswalks, priorities.

Lights are split phased: each approach has its own green with everything protected, as CARLA's towns do it. Left turns
then never meet oncoming traffic, and a red light's group shows green to one arm at a time. The head stands on the far
side of the junction, on an arm over the lanes that it speaks to, so that the first car at the stop line sees it.
"""

from __future__ import annotations

from math import pi

from roadcraft.sim.embedded.layout import Approach, Build, Control, Node
from roadcraft.sim.embedded.layout_arms import Arm
from roadcraft.sim.embedded.opendrive import LIGHT, STOP, YIELD, Controller, Junction, Object, Signal
from roadcraft.sim.geometry import wrap

CROSSWALK_BEGIN, CROSSWALK_DEPTH = 0.6, 3.0  # [m] from the road's end, and along the road
CROSSWALK_YIELD = 6.5  # [m] from the road's end where one gives way: room for a car to wait
STOP_LINE_GAP = 1.2  # [m] between crosswalk and stop line
STOP_LINE_ALONE = 1.0  # [m] from the road's end to the stop line where there is no crosswalk
STOP_LINE_DEPTH = 0.4  # [m]
HEAD_HEIGHT = 5.2  # [m] of a light's middle
SIGN_HEIGHT = 2.3  # [m] of a plate's middle


def rule(build: Build, junction: Junction, node: Node, ring: list[Arm]) -> None:
    """Signs, lights, stop lines, crosswalks and priorities."""
    main = set(node.main) or main_road(ring)
    minor = [arm for arm in ring if arm.edge not in main]
    approaches = [arm for arm in ring if arm.incoming]
    for arm in ring:
        walkable = node.crosswalks and arm.walk_in is not None and arm.walk_out is not None
        if walkable:
            begin = CROSSWALK_YIELD if node.control is Control.YIELD else CROSSWALK_BEGIN
            _crosswalk(build, arm, begin)
        before = begin + CROSSWALK_DEPTH + STOP_LINE_GAP if walkable else STOP_LINE_ALONE
        if arm not in approaches:
            continue
        if node.control is Control.LIGHT:
            _light(build, junction, arm, before)
        elif node.control is Control.ALL_STOP or (node.control is Control.MINOR_STOP and arm in minor):
            _sign(build, arm, before, STOP, "Sign_Stop")
        elif node.control is Control.YIELD and arm in minor:
            _signal(build, arm, before, YIELD, "Sign_Yield", SIGN_HEIGHT)
    if node.control in (Control.MINOR_STOP, Control.YIELD):
        roads = {arm.road.id: [c.connecting for c in junction.connections if c.incoming == arm.road.id] for arm in ring}
        low = [road for arm in minor for road in roads[arm.road.id]]
        high = [road for arm in ring if arm not in minor for road in roads[arm.road.id]]
        junction.priorities = [(h, lo) for h in high for lo in low]


def main_road(ring: list[Arm]) -> set[int]:
    """The two arms that lie straightest opposite each other."""
    pairs = [(a, b) for i, a in enumerate(ring) for b in ring[i + 1 :]]
    best = min(pairs, key=lambda pair: abs(wrap(pair[0].angle + pi - pair[1].angle)))
    return {best[0].edge, best[1].edge}


def _crosswalk(build: Build, arm: Arm, begin: float) -> None:
    """From kerb to kerb across an arm."""
    lanes = arm.incoming + arm.outgoing
    left = max(max(lane.inner, lane.outer) for lane in lanes)
    right = min(min(lane.inner, lane.outer) for lane in lanes)
    middle, half, depth = (left + right) / 2, (left - right) / 2, CROSSWALK_DEPTH / 2
    corners = ((depth, -half), (depth, half), (-depth, half), (-depth, -half))
    s, t = arm.s(begin + depth), arm.t(middle)
    arm.road.objects.append(
        Object(build.fresh(), "crosswalk", "Crosswalk", s, t, length=2 * depth, width=2 * half, corners=corners)
    )


def _stop_line(build: Build, arm: Arm, before: float) -> None:
    left, right = arm.incoming[0].inner, arm.incoming[-1].outer
    half, depth = abs(left - right) / 2, STOP_LINE_DEPTH / 2
    corners = ((depth, -half), (depth, half), (-depth, half), (-depth, -half))
    s, t = arm.s(before + depth), arm.t((left + right) / 2)
    arm.road.objects.append(
        Object(build.fresh(), "roadMark", "StopLine", s, t, length=2 * depth, width=2 * half, corners=corners)
    )


def _signal(build: Build, arm: Arm, before: float, kind: str, name: str, z: float) -> Signal:
    """A signal at the stop line, beside the road, valid for all incoming lanes."""
    ids = [lane.id for lane in arm.incoming]
    edge = arm.walk_in.outer if arm.walk_in else arm.incoming[-1].outer
    orientation = "+" if arm.contact == "end" else "-"
    signal = Signal(build.fresh(), kind, name, arm.s(before), arm.t(edge - 0.5), orientation, (min(ids), max(ids)), z)
    arm.road.signals.append(signal)
    outermost = arm.incoming[-1]
    build.approaches.append(Approach(signal, arm.pose, (outermost.inner + outermost.outer) / 2))
    return signal


def _sign(build: Build, arm: Arm, before: float, kind: str, name: str) -> None:
    _stop_line(build, arm, before)
    _signal(build, arm, before, kind, name, SIGN_HEIGHT)


def _light(build: Build, junction: Junction, arm: Arm, before: float) -> None:
    _stop_line(build, arm, before)
    signal = _signal(build, arm, before, LIGHT, "Signal_3Light_Post01", HEAD_HEIGHT)
    controller = Controller(build.fresh(), (signal.id,))
    build.town.controllers.append(controller)
    junction.controllers.append(controller.id)
