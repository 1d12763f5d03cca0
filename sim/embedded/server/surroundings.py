"""The standing things of a town as CARLA names them: environment objects, level bounding boxes, names, rays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roadcraft.sim.embedded.scenery import Shape
from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.level import Thing, is_signal
from roadcraft.sim.embedded.server.wire import ANY_TAG, CITY_TAGS, Pose, Vector, box_wire, location_wire, transform_wire

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

MOST_HITS = 64  # along one ray
THROUGH = 0.02  # [m] that a ray goes on behind a hit
GROUND = tuple(CITY_TAGS[name] for name in ("roads", "sidewalks", "terrain", "road_lines", "ground"))


def things(live: LiveWorld, tag: int) -> list[Thing]:
    """All objects of the town with that tag, but for those of map layers that are not loaded."""
    whole = [*map(_standing, live.shown.listed), *live.shown.heads, *live.surfaces]
    return whole if tag == ANY_TAG else [thing for thing in whole if thing.tag == tag]


def environment_objects(live: LiveWorld, tag: int) -> list[Any]:
    """[transform, box, id, name, tag] of each object with that tag."""
    return [
        [transform_wire(thing.foot), box_wire(thing.centre, thing.extent), thing.id, thing.name, thing.tag]
        for thing in things(live, tag)
    ]


def level_boxes(live: LiveWorld, tag: int) -> list[Any]:
    """Bounding boxes in the world of all things with that tag, moving ones included."""
    boxes = [box_wire(thing.centre, thing.extent) for thing in things(live, tag) if not is_signal(thing.id)]
    for actor in live.actors:
        if actor.signal >= 0 and tag in (actor.tag, ANY_TAG):
            boxes.append(head_box(live, actor))
        elif actor.is_body and tag in (actor.tag, ANY_TAG):
            pose = live.pose_of(actor)
            lift = actor.centre.z
            boxes.append(box_wire(Pose(pose.x, pose.y, pose.z + lift, *pose[3:]), actor.extent, actor.id))
    return boxes


def head_box(live: LiveWorld, actor: Actor) -> list[Any]:
    """Bounding box in the world of a light's head or a sign's plate."""
    head = live.shown.heads[actor.signal]
    return box_wire(head.centre, head.extent, actor.id)


def names(live: LiveWorld) -> list[str]:
    """The names of all objects of the town."""
    return [thing.name for thing in things(live, ANY_TAG)]


def standing(live: LiveWorld) -> dict[str, int]:
    """The ids of the town's standing things by their names."""
    return {_name(row): int(row["id"]) for row in live.shown.listed}


def _name(row: np.void) -> str:
    """Like Unreal's: what a standing thing is, and its number."""
    return f"{Shape(int(row['shape'])).name.capitalize()}_{row['id']}"


def _standing(row: np.void) -> Thing:
    """A standing thing."""
    number, (x, y, z), (along, across, up) = int(row["id"]), row["xyz"].tolist(), row["extent"].tolist()
    foot = Pose(x, y, z, float(row["yaw"]))
    return Thing(number, _name(row), int(row["tag"]), foot, foot._replace(z=z + up), (along, across, up))


def pierced(live: LiveWorld, start: Vector, end: Vector) -> list[Any]:
    """All that a straight line meets, nearest first: [location, tag]."""
    way = np.subtract(end, start)
    length = float(np.linalg.norm(way))
    if length < 1e-6:
        return []
    direction, at, found = way / length, 0.0, []
    for _ in range(MOST_HITS):
        point = np.asarray(start) + direction * at
        hits = live.rays.cast(point, direction[None], length - at, live.seen)
        if not np.isfinite(hits.distance[0]):
            break
        at += float(hits.distance[0])
        found.append([location_wire((np.asarray(start) + direction * at).tolist()), int(hits.tag[0])])
        at += THROUGH
        if at >= length or int(hits.tag[0]) in GROUND:
            break
    return found


def first_hit(live: LiveWorld, start: Vector, direction: Vector, reach: float) -> list[Any]:
    """[whether something is there, [location, tag]] along a direction."""
    length = float(np.linalg.norm(direction))
    if length < 1e-9 or reach <= 0:
        return [False, [location_wire(start), 0]]
    unit = np.asarray(direction) / length
    hits = live.rays.cast(start, unit[None], reach, live.seen)
    distance = float(hits.distance[0])
    if not np.isfinite(distance):
        return [False, [location_wire(start), 0]]
    return [True, [location_wire((np.asarray(start) + unit * distance).tolist()), int(hits.tag[0])]]
