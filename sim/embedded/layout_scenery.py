"""Places what stands beside the roads, as OpenDRIVE objects: posts of lights and signs first, then buildings, street
lamps, parked cars, trees. Nothing stands on a lane or on a sidewalk, and a light's head hangs over the lanes it speaks
to, higher than everything that is allowed near the kerb.
"""

from __future__ import annotations

from math import hypot, pi

import numpy as np

from roadcraft.sim.embedded.layout import PARKING_TAPER, ZONE, Approach, Build
from roadcraft.sim.embedded.layout_arms import width_at
from roadcraft.sim.embedded.layout_ground import FREE, ROAD, TAKEN, Ground, rectangle
from roadcraft.sim.embedded.opendrive import LIGHT, SPEED, Object, Road, Signal
from roadcraft.sim.geometry import wrap
from roadcraft.sim.planview import Pose, offset

FLOOR = 3.2  # [m] height of a storey
POST_GAP = 0.4  # [m] between a sidewalk's outer edge and a post
MAX_ARM = 7.5  # [m] of a light's mast arm
FACADES = ("c9b79c", "b5533c", "9a9a94", "d8cfc0", "a67b5b", "8c6f5a", "c2c7c9", "7f8a91", "cfa77b", "e0ddd3")
PAINTS = ("c8c8c8", "1c1c1e", "f2f2f0", "7a7d80", "8f1d1d", "1f3f77", "2e4a35", "b9a27a", "5a2233", "d9b23c")
PARKED_MODELS = ((4.3, 1.80, 1.48), (4.7, 1.85, 1.45), (4.9, 1.95, 1.75), (3.8, 1.70, 1.50))  # [m]
RAIL = 8.0  # [m] of guard rail in one piece, about
SLOT = 6.4  # [m] length of a parking place


def furnish(build: Build) -> None:
    """Adds everything that stands to the map's roads."""
    ground = Ground(build.town.roads)
    for approach in build.approaches:
        _post(build, ground, approach)
    for road in build.streets:
        _speed_signs(build, ground, road)
    for road in build.streets:
        for sign in (-1, 1):
            _lamps(build, ground, road, sign)
            _parked_cars(build, road, sign)
    for road in build.streets:
        for sign in (-1, 1):
            if any(lane.key == "sidewalk" for lane in road.sections[0].side(sign)):
                _buildings(build, ground, road, sign)
        if road.kind == "motorway":
            _guard_rail(build, road)
    for road in build.streets:
        for sign in (-1, 1):
            _street_trees(build, ground, road, sign)
    _woods(build, ground)


def outer_edge(road: Road, s: float, sign: int) -> float:
    """Distance [m] of the outer edge of all lanes from the reference line on one side."""
    section = [row for row in road.sections if row.s <= s + 1e-6][-1]
    shift = width_at(road.lane_offset, s) if road.lane_offset else 0.0
    return sign * shift + sum(width_at(lane.width, s - section.s) for lane in section.side(sign))


def _add(build: Build, ground: Ground, xy: tuple[float, float], heading: float, **what: object) -> None:
    """A thing at a place in the world, on the road beside it."""
    road, s, t, along = ground.nearest_road(xy)
    road.objects.append(Object(build.fresh(), s=s, t=t, heading=wrap(heading - along), **what))  # type: ignore[arg-type]


def _post(build: Build, ground: Ground, approach: Approach) -> None:
    """The post of a light on the far side of its junction, or of a sign beside its stop line."""
    signal, pose = approach.signal, approach.pose
    subtype = str(signal.id)
    if signal.kind != LIGHT:
        _sign_post(build, ground, signal, pose)
        return
    foot, head = _far_side(ground, approach)
    reach = hypot(head[0] - foot[0], head[1] - foot[1])
    heading = np.arctan2(head[1] - foot[1], head[0] - foot[0]) if reach > 0.05 else pose[2] + pi
    ground.mark(np.array(foot))
    _add(
        build, ground, foot, float(heading), kind="pole", name="TrafficLight", subtype=subtype,
        length=reach, width=0.25, height=signal.z,
    )  # fmt: skip


def _far_side(ground: Ground, approach: Approach) -> tuple[tuple[float, float], tuple[float, float]]:
    """Foot of the post and place of the head: over the lane, just beyond where the junction ends."""
    into = offset(approach.pose, approach.lateral)
    ahead = np.arange(6.0, 60.0, 0.5)
    line = np.array([offset(into, 0.0, d)[:2] for d in ahead])
    off_road = np.flatnonzero(ground.at(line) != ROAD)
    for distance in ahead if len(off_road) == 0 else ahead[: off_road[0] + 1]:
        foot = _kerb(ground, into, float(distance))
        if distance > 12.0 and foot is not None and _beyond_junction(ground, into, float(distance)):
            reach = min(
                hypot(foot[0] - offset(into, 0.0, distance)[0], foot[1] - offset(into, 0.0, distance)[1]), MAX_ARM
            )
            side = offset(into, 0.0, float(distance))
            share = reach / max(hypot(side[0] - foot[0], side[1] - foot[1]), 1e-6)
            head = (foot[0] + share * (side[0] - foot[0]), foot[1] + share * (side[1] - foot[1]))
            return foot, head
    # The street ends here: straight ahead, behind the far sidewalk.
    free = np.flatnonzero(ground.at(line) == FREE)
    x, y, _ = offset(into, 0.0, float(ahead[free[0]]) + POST_GAP if len(free) else 25.0)
    return (x, y), (x, y)


def _kerb(ground: Ground, into: Pose, distance: float) -> tuple[float, float] | None:
    """The first free place to the right of a lane within reach of a mast arm."""
    side = np.arange(1.5, MAX_ARM + 3.0, 0.25)
    places = np.array([offset(into, -d, distance)[:2] for d in side])
    free = np.flatnonzero(ground.at(places) == FREE)
    if len(free) == 0:
        return None
    x, y, _ = offset(into, -float(side[free[0]]) - POST_GAP, distance)
    return (x, y) if ground.free([(x, y)]) else None


def _beyond_junction(ground: Ground, into: Pose, distance: float) -> bool:
    """Whether the street that goes on ahead has its kerb here: nothing but it to the right within 12 m."""
    side = np.arange(0.0, 12.0, 0.5)
    codes = ground.at(np.array([offset(into, -d, distance)[:2] for d in side]))
    return bool((codes[side > MAX_ARM] == FREE).all())


def _sign_post(build: Build, ground: Ground, signal: Signal, pose: Pose) -> None:
    road = next(road for road in build.town.roads if signal in road.signals)
    x, y = road.plan.place(signal.s, signal.t)[0]
    heading = road.plan.pose(signal.s)[2] + (0.0 if signal.orientation == "+" else pi)
    ground.mark(np.array((x, y)))
    road.objects.append(
        Object(
            build.fresh(), "pole", "TrafficSign", signal.s, signal.t, wrap(heading - road.plan.pose(signal.s)[2]),
            width=0.75, height=signal.z, subtype=str(signal.id),
        )
    )  # fmt: skip


def _speed_signs(build: Build, ground: Ground, road: Road) -> None:
    """One a direction, where the street begins."""
    for sign in (-1, 1):
        lanes = [sign * (i + 1) for i, lane in enumerate(road.sections[0].side(sign)) if lane.kind == "driving"]
        if not lanes or road.plan.length < 60.0 or build.rng.random() < 0.5:
            continue
        s = 15.0 if sign < 0 else road.plan.length - 15.0
        t = sign * (outer_edge(road, s, sign) + POST_GAP)
        if not ground.free(road.plan.place(s, t)):
            continue
        signal = Signal(
            build.fresh(), SPEED, f"Sign_Speed_{road.speed:g}", s, t, "+" if sign < 0 else "-",
            (min(lanes), max(lanes)), 2.3, road.speed,
        )  # fmt: skip
        road.signals.append(signal)
        _sign_post(build, ground, signal, road.plan.pose(s))


def _lamps(build: Build, ground: Ground, road: Road, sign: int) -> None:
    """Along both sides in turn."""
    gap = build.layout.surroundings.lamp_gap
    if gap <= 0:
        return
    for s in np.arange(gap / 2 if sign < 0 else gap, road.plan.length - 4.0, 2 * gap):
        t = sign * (outer_edge(road, s, sign) + POST_GAP)
        if ground.free(road.plan.place(s, t)):
            ground.mark(road.plan.place(s, t))
            heading = -sign * pi / 2  # the arm reaches over the road
            road.objects.append(
                Object(
                    build.fresh(), "pole", "StreetLamp", float(s), float(t), heading, length=3.0, width=0.2, height=7.5
                )
            )


def _parked_cars(build: Build, road: Road, sign: int) -> None:
    """In the parking lanes, each in its place, facing the way the lane goes."""
    for section, end in zip(road.sections, [*(r.s for r in road.sections[1:]), road.plan.length], strict=True):
        lanes = section.side(sign)
        for index, lane in enumerate(lanes):
            if lane.kind != "parking":
                continue
            room = PARKING_TAPER + SLOT / 2
            for s in np.arange(section.s + room, end - room, SLOT):
                if build.rng.random() >= build.layout.surroundings.parked:
                    continue
                inner = sum(width_at(inner.width, s - section.s) for inner in lanes[:index])
                t = sign * (inner + width_at(lane.width, s - section.s) / 2 + 0.05)
                style = int(build.rng.integers(len(PARKED_MODELS)))
                length, width, height = PARKED_MODELS[style]
                heading = (0.0 if sign < 0 else pi) + float(build.rng.normal(0.0, 0.01))
                s_car = float(s + build.rng.normal(0.0, 0.2))
                road.objects.append(
                    Object(
                        build.fresh(), "car", "ParkedCar", s_car, float(t), heading, 0.0, length, width, height,
                        subtype=str(style), color=str(build.rng.choice(PAINTS)),
                    )
                )  # fmt: skip


def _buildings(build: Build, ground: Ground, road: Road, sign: int) -> None:
    """Side by side behind the sidewalk, wherever there is room."""
    around, rng = build.layout.surroundings, build.rng
    s = float(rng.uniform(0.0, 4.0))
    while s < road.plan.length:
        width, depth = rng.uniform(*around.lot), rng.uniform(*around.depth)
        middle = s + width / 2
        back = outer_edge(road, min(middle, road.plan.length), sign) + rng.uniform(*around.setback)
        floors = int(rng.integers(around.floors[0], around.floors[1] + 1))
        t = sign * (back + depth / 2)
        heading = road.plan.pose(middle)[2]
        place = road.plan.place(middle, t)[0]
        wanted = middle <= road.plan.length and rng.random() < around.built
        if wanted and ground.free(rectangle(place, heading, width + 3.0, depth + 3.0, 1.0)):
            ground.mark(rectangle(place, heading, width, depth))
            road.objects.append(
                Object(
                    build.fresh(), "building", "Building", float(middle), float(t), 0.0 if sign > 0 else pi, 0.0,
                    float(width), float(depth), floors * FLOOR + 0.6,
                    subtype=str(rng.integers(4)), color=str(rng.choice(FACADES)),
                )
            )  # fmt: skip
            s += width + float(rng.uniform(1.5, 8.0))
        else:
            s += 4.0


def _guard_rail(build: Build, road: Road) -> None:
    """Along the middle of the median, outside of junctions."""
    count = max(int(road.plan.length // RAIL), 1)
    length = road.plan.length / count
    for k in range(count):
        road.objects.append(
            Object(build.fresh(), "barrier", "GuardRail", (k + 0.5) * length, 0.0, length=length, width=0.4, height=0.8)
        )


def _street_trees(build: Build, ground: Ground, road: Road, sign: int) -> None:
    """A row behind the sidewalk, open towards the junctions."""
    gap, rng = build.layout.surroundings.tree_gap, build.rng
    if gap <= 0 or not road.sections[0].side(sign):
        return
    for s in np.arange(ZONE, road.plan.length - ZONE, gap):
        at = float(np.clip(s + rng.normal(0.0, 1.0), 0.0, road.plan.length))
        t = sign * (outer_edge(road, at, sign) + float(rng.uniform(1.2, 1.8)))
        place = road.plan.place(at, t)
        if rng.random() < 0.8 and ground.free(rectangle(place[0], 0.0, 1.0, 1.0)):
            ground.mark(rectangle(place[0], 0.0, 1.0, 1.0))
            road.objects.append(_tree(build, at, t, float(rng.uniform(1.4, 2.1))))


def _tree(build: Build, s: float, t: float, radius: float) -> Object:
    height = float(build.rng.uniform(5.0, 6.5) * (0.6 + 0.25 * radius))
    return Object(build.fresh(), "tree", "Tree", s, t, height=height, radius=radius, subtype=str(build.rng.integers(3)))


def _woods(build: Build, ground: Ground) -> None:
    """Trees and bushes in yards and on open ground."""
    rng, size = build.rng, np.array(ground.cells.shape[::-1]) * 0.5
    places = ground.origin + rng.uniform(8.0, size - 8.0, (int(build.layout.surroundings.woods * size.prod()), 2))
    for place in places[ground.at(places) == FREE]:
        radius = float(rng.uniform(1.5, 3.2))
        if ground.free(rectangle(place, 0.0, 2 * radius + 2, 2 * radius + 2, 1.0)):
            ground.mark(rectangle(place, 0.0, 2 * radius, 2 * radius), TAKEN)
            road, s, t, _ = ground.nearest_road(place)
            road.objects.append(_tree(build, s, t, radius))
