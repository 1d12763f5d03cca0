"""The standing things of a town as CARLA names them: environment objects, level bounding boxes, names, rays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roadcraft.sim.embedded.scenery import Shape
from roadcraft.sim.embedded.server.actors import Actor, Category
from roadcraft.sim.embedded.server.wire import ANY_TAG, CITY_TAGS, Pose, Vector, box_wire, location_wire, transform_wire

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

_TAG_NAMES = {tag: name for name, tag in CITY_TAGS.items()}
MOST_HITS = 64  # along one ray
HEAD, PLATE = (0.2, 0.25, 0.6), (0.4, 0.05, 0.4)  # [m] half sizes of a light's head and a sign's plate, x across
THROUGH = 0.02  # [m] that a ray goes on behind a hit
GROUND = tuple(CITY_TAGS[name] for name in ("roads", "sidewalks", "terrain", "road_lines", "ground"))


def name_of(row: np.void) -> str:
    """A name like Unreal's: what it is, and its number."""
    return f"{Shape(int(row['shape'])).name.capitalize()}_{int(row['id'])}"


def environment_objects(live: LiveWorld, tag: int) -> list[Any]:
    """[transform, box, id, name, tag] of each standing thing with that tag."""
    found = []
    for row in _rows(live, tag):
        foot, centre = _poses(row)
        box = box_wire(centre, row["extent"].tolist())
        found.append([transform_wire(foot), box, int(row["id"]), name_of(row), int(row["tag"])])
    return found


def level_boxes(live: LiveWorld, tag: int) -> list[Any]:
    """Bounding boxes in the world of all things with that tag, moving ones included."""
    boxes = [box_wire(_poses(row)[1], row["extent"].tolist()) for row in _rows(live, tag)]
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
    x, y, z = live.town.network.signals["xyz"][actor.signal].tolist()
    return box_wire(Pose(x, y, z, actor.pose.yaw), HEAD if actor.category is Category.LIGHT else PLATE, actor.id)


def names(live: LiveWorld) -> list[str]:
    """The names of all standing things."""
    return [name_of(row) for row in live.shown.listed]


def _rows(live: LiveWorld, tag: int) -> np.ndarray:
    static = live.shown.listed
    return static if tag == ANY_TAG else static[static["tag"] == tag]


def _poses(row: np.void) -> tuple[Pose, Pose]:
    """Foot and centre of the bounding box, in the world."""
    x, y, z = row["xyz"].tolist()
    yaw = float(row["yaw"])
    return Pose(x, y, z, yaw), Pose(x, y, z + float(row["extent"][2]), yaw)


def pierced(live: LiveWorld, start: Vector, end: Vector) -> list[Any]:
    """All that a straight line meets, nearest first: [location, tag]."""
    way = np.subtract(end, start)
    length = float(np.linalg.norm(way))
    if length < 1e-6:
        return []
    direction, at, found = way / length, 0.0, []
    for _ in range(MOST_HITS):
        point = np.asarray(start) + direction * at
        hits = live.rays.cast(point, direction[None], length - at, live.simulation.bodies)
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
    hits = live.rays.cast(start, unit[None], reach, live.simulation.bodies)
    distance = float(hits.distance[0])
    if not np.isfinite(distance):
        return [False, [location_wire(start), 0]]
    return [True, [location_wire((np.asarray(start) + unit * distance).tolist()), int(hits.tag[0])]]
