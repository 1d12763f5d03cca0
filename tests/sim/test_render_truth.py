"""The rasteriser against plain ray casting in numpy: the same shapes and the same baked ground, nothing else shared."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.catalogue import CATALOGUE
from roadcraft.sim.embedded.relief import ON_DECK, Relief, floor_at
from roadcraft.sim.embedded.relief import Ground as Height
from roadcraft.sim.embedded.render import Renderer, Scene, View
from roadcraft.sim.embedded.render.ground_look import TEXEL, TILE, Ground
from roadcraft.sim.embedded.render.materials import MATERIALS
from roadcraft.sim.embedded.render.palette import CLASSES, SURFACES
from roadcraft.sim.embedded.town import Town, load_town
from roadcraft.sim.messages import Kind
from roadcraft.sim.roads import LaneKind

WIDTH, HEIGHT = 256, 144
SKY, SKY_DEPTH, GROUND, DECK, BRIDGE = 11, 1000.0, 255, 254, 26
TAGS = {
    Kind.CAR: 14,
    Kind.TRUCK: 15,
    Kind.BUS: 16,
    Kind.MOTORCYCLE: 18,
    Kind.BICYCLE: 19,
    Kind.PEDESTRIAN: 12,
    Kind.PROP: 21,
}
Face = tuple[NDArray[np.float64], int, int]  # corners (n, 3) [m] world, semantic tag, body id


@pytest.fixture(scope="module")
def town() -> Town:
    return load_town("grid")


@pytest.fixture(scope="module")
def renderer(town: Town) -> Renderer:
    return Renderer(town)


def traffic(town: Town, rng: np.random.Generator, vehicles: int, walkers: int) -> NDArray[np.void]:
    """Bodies of all kinds on the lanes, standing anywhere, with all lamps on."""
    network = town.network
    kinds = network.lanes["kind"]
    rows = np.zeros(vehicles + walkers, BODY)
    for i, row in enumerate(rows):
        walks = i >= vehicles
        lane = int(rng.choice(np.flatnonzero(kinds == (LaneKind.SIDEWALK if walks else LaneKind.DRIVING))))
        s = rng.uniform(0, network.lanes["length"][lane])
        x, y, yaw, _ = network.point(lane, s)
        choice = [
            k for k, b in enumerate(CATALOGUE) if (b.kind == Kind.PEDESTRIAN if walks else b.kind < Kind.PEDESTRIAN)
        ]
        blueprint = int(rng.choice(choice))
        row["id"], row["blueprint"], row["kind"] = i + 1, blueprint, CATALOGUE[blueprint].kind
        row["xyz"], row["yaw"], row["extent"] = (
            (x, y, lane_height(town, lane, s)),
            yaw + rng.normal(0, 0.2),
            CATALOGUE[blueprint].extent,
        )
        row["color"], row["lights"], row["stride"], row["speed"] = rng.integers(0, 255, 3), 63, rng.uniform(0, 6), 1.4
    return rows


def lane_height(town: Town, lane: int, s: float) -> float:
    """Height [m] of what bears a thing on a lane: of the ground, or of a bridge."""
    (x, y, *_), at = town.network.point(lane, s), town.network.points(lane)
    return floor_at(town.relief, x, y, float(np.interp(s, town.network.s[at], town.network.z[at])))


def stand(town: Town, bodies: NDArray[np.void]) -> None:
    """Gives bodies the slope of what they stand on."""
    for body in bodies:
        (x, y, z), half = body["xyz"].tolist(), float(body["extent"][0])
        c, s = half * np.cos(body["yaw"]), half * np.sin(body["yaw"])
        if body["kind"] != Kind.PEDESTRIAN:
            rise = floor_at(town.relief, x + c, y + s, z) - floor_at(town.relief, x - c, y - s, z)
            body["pitch"] = -np.arctan2(rise, 2 * half)


def random_view(town: Town, rng: np.random.Generator) -> View:
    network = town.network
    lane = int(rng.choice(np.flatnonzero(network.lanes["kind"] == LaneKind.DRIVING)))
    s = rng.uniform(0, network.lanes["length"][lane])
    x, y, yaw, _ = network.point(lane, s)
    pitch, roll = rng.uniform(-0.1, 0.25), rng.normal(0, 0.06)
    return View(
        (x, y, lane_height(town, lane, s) + rng.uniform(1.0, 4.0)),
        yaw + rng.normal(0, 0.4),
        pitch,
        roll,
        WIDTH,
        HEIGHT,
        1.2,
    )


def turn(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Rz(yaw) Ry(pitch) Rx(roll), columns forward, left, up."""
    c, s = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    rz = np.array([[c[0], -s[0], 0], [s[0], c[0], 0], [0, 0, 1]])
    ry = np.array([[c[1], 0, s[1]], [0, 1, 0], [-s[1], 0, c[1]]])
    rx = np.array([[1, 0, 0], [0, c[2], -s[2]], [0, s[2], c[2]]])
    return rz @ ry @ rx


def mesh_faces(renderer: Renderer, mesh: int, basis: NDArray, place: NDArray, tag: int, owner: int) -> list[Face]:
    """The faces of a mesh in the world."""
    library = renderer._town.library
    first, count, first_face, faces = library.mesh[mesh]
    points = library.vertex[first : first + count].astype(float) @ basis.T + place
    found = []
    for start, corners, material in library.face[first_face : first_face + faces]:
        own = int(MATERIALS["tag"][material])
        found.append((points[library.corner[start : start + corners]], own or tag, owner))
    return found


def walker_faces(renderer: Renderer, body: np.void) -> list[Face]:
    """Torso, and legs and arms swung about their joints."""
    torso, leg, arm = renderer._town.walker[:3]
    tall = 2 * body["extent"][2]
    half = np.array([min(0.1 * tall, body["extent"][0]), min(0.14 * tall, body["extent"][1]), 1.0])
    frame = turn(body["yaw"], 0, 0)
    faces = mesh_faces(renderer, torso, frame @ np.diag([half[0], half[1], tall]), body["xyz"], 12, body["id"])
    swing = 0.5 * np.sin(body["stride"]) * min(1.0, abs(body["speed"]))
    for mesh, height, offset, share in ((leg, 0.5, 0.25, 1.0), (arm, 0.8, 0.82, -0.9)):
        for side in (1, -1):
            joint = np.array([0, offset * side * half[1], height * tall])
            swung = turn(0, swing * side * share, 0)
            basis = swung @ np.diag([half[0], 0.8 * half[1], tall])
            place = joint - swung @ (0, 0, height * tall)
            faces += mesh_faces(renderer, mesh, frame @ basis, body["xyz"] + frame @ place, 12, body["id"])
    return faces


def all_faces(renderer: Renderer, bodies: NDArray[np.void], place: NDArray, forward: NDArray) -> list[Face]:
    """Those of everything that is not wholly behind the camera."""
    faces: list[Face] = []
    models = renderer._town.models.mesh[:, 0]
    for part in renderer._town.parts:
        if (part["xyz"] + part["center"] - place) @ forward > -2 * part["radius"]:
            basis = part["basis"].astype(float).reshape(3, 3)
            faces += mesh_faces(renderer, models[part["model"]], basis, part["xyz"], int(part["tag"]), 0)
    for body in bodies:
        if body["kind"] == Kind.PEDESTRIAN:
            faces += walker_faces(renderer, body)
        else:
            size = body["extent"] * (1, 1, 2)
            basis = turn(body["yaw"], body["pitch"], body["roll"]) @ np.diag(size)
            mesh = models[renderer._town.model_of[body["blueprint"]]]
            faces += mesh_faces(renderer, mesh, basis, body["xyz"], TAGS[Kind(int(body["kind"]))], int(body["id"]))
    return faces


def outside(ground: Height) -> float:
    """Height [m] of the plane beyond all hills."""
    return float(ground.frame[3]) if isinstance(ground, Relief) else 0.0


def hill_faces(ground: Height, place: NDArray, frame: NDArray, view: View) -> list[Face]:
    """The triangles of hills and bridges that are not wholly on the outer side of one of the picture's borders."""
    if not isinstance(ground, Relief):
        return []
    tags = [GROUND] * len(ground.faces) + [DECK if what == ON_DECK else BRIDGE for what in ground.deck_faces[:, 12]]
    corners = np.concatenate([ground.faces[:, :9], ground.deck_faces[:, :9]]).astype(float).reshape(
        -1, 3, 3
    ) + np.append(ground.frame[:2], 0.0)
    ahead, left, up = np.moveaxis((corners - place) @ frame, 2, 0)
    wide, high = (ahead * size / 2 / view.focal for size in (view.width, view.height))
    borders = (ahead - 0.15, wide - left, wide + left, high - up, high + up)
    seen = np.all([border.max(1) > 0 for border in borders], 0)
    return [(corners[k], tags[k], 0) for k in np.flatnonzero(seen)]


def ground_class(ground: Ground, xy: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The baked class at places (n, 2) [m], from the finest level."""
    at = np.floor((xy - ground.origin) / TEXEL).astype(np.int64)
    rows, columns = ground.tiles.shape
    at = np.clip(at, 0, np.array([columns, rows]) * TILE - 1)
    tile = ground.tiles[at[:, 1] // TILE, at[:, 0] // TILE].astype(np.int64)
    code = ground.data[(tile * TILE + at[:, 1] % TILE) * TILE + at[:, 0] % TILE]
    return CLASSES[SURFACES[code]]


def cast(renderer: Renderer, bodies: NDArray[np.void], view: View) -> tuple[NDArray, NDArray, NDArray]:
    """Semantic, instance and depth images by intersecting each pixel's ray with each face."""
    place = np.array(view.xyz)
    frame = turn(view.yaw, view.pitch, view.roll)
    u, v = np.meshgrid(np.arange(view.width) + 0.5 - view.width / 2, np.arange(view.height) + 0.5 - view.height / 2)
    rays = np.stack([np.full(u.size, view.focal), -u.ravel(), -v.ravel()], -1) / view.focal @ frame.T
    depth = np.full(len(rays), SKY_DEPTH)
    semantic, instance = np.full(len(rays), SKY, np.uint8), np.zeros(len(rays), np.uint32)
    ground = renderer._town.relief
    with np.errstate(divide="ignore"):
        to_ground = np.where(rays[:, 2] < 0, (outside(ground) - place[2]) / rays[:, 2], np.inf)
    hit = to_ground < SKY_DEPTH
    depth[hit] = to_ground[hit]
    semantic[hit] = GROUND
    number = np.arange(len(rays)).reshape(view.height, view.width)
    seen = hill_faces(ground, place, frame, view)
    for corners, tag, owner in [*seen, *all_faces(renderer, bodies, place, frame[:, 0])]:
        local = (corners - place) @ frame
        if local[:, 0].max() < 0.15:
            continue
        some = number[window(local, view)].ravel()
        normal = np.cross(local - local[0], np.roll(local, -1, 0) - local[0]).sum(0)
        if len(some) == 0 or normal @ local[0] >= 0:  # outside of the image or seen from behind
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (normal @ local[0]) / (rays[some] @ (frame @ normal))
        near = (t > 0.15) & (t < depth[some])
        some, t = some[near], t[near]
        points = rays[some] * t[:, None] @ frame
        inside = np.ones(len(some), bool)
        for a, b in zip(local, np.roll(local, -1, 0), strict=True):
            inside &= (points - a) @ np.cross(normal, b - a) >= 0  # the triple product (b - a, points - a, normal)
        some = some[inside]
        depth[some], semantic[some], instance[some] = t[inside], tag, owner
    for tag, baked in ((GROUND, renderer._town.ground), (DECK, renderer._town.deck)):
        hit = semantic == tag
        semantic[hit] = ground_class(baked, (place + rays * depth[:, None])[hit, :2])
    shape = (view.height, view.width)
    return semantic.reshape(shape), instance.reshape(shape), depth.reshape(shape)


def window(local: NDArray[np.float64], view: View) -> tuple[slice, slice]:
    """Rows and columns around a face given in the camera's frame (forward, left, up); all when it passes the camera."""
    if local[:, 0].min() < 0.15:
        return slice(None), slice(None)
    u = view.width / 2 - view.focal * local[:, 1] / local[:, 0]
    v = view.height / 2 - view.focal * local[:, 2] / local[:, 0]
    low, high = np.clip([v.min() - 1, u.min() - 1], 0, None), np.clip([v.max() + 2, u.max() + 2], 0, None)
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def compare(renderer: Renderer, town: Town, seed: int, view: View | None = None) -> tuple[float, float]:
    """Shares of pixels whose class differs and, among the others, whose depth is off by more than 1 %."""
    rng = np.random.default_rng(seed)
    bodies = traffic(town, rng, 60, 30)
    view = view or random_view(town, rng)
    stand(town, bodies)
    images = renderer.render(Scene(bodies), view, semantic=True, instance=True, depth=True)
    semantic, _, depth = cast(renderer, bodies, view)
    same = images.semantic == semantic
    off = np.abs(images.depth - depth) > 0.01 * depth
    return float((~same).mean()), float(off[same].mean())


def test_pictures_equal_plain_ray_casting(renderer: Renderer, town: Town) -> None:
    shares = np.array([compare(renderer, town, seed) for seed in range(3)])
    assert shares[:, 0].mean() <= 0.005
    assert shares[:, 1].mean() <= 0.005


@pytest.mark.slow
@pytest.mark.timeout(1500)  # three minutes, and much more on a machine that others use
def test_many_pictures_equal_plain_ray_casting(renderer: Renderer, town: Town) -> None:
    shares = np.array([compare(renderer, town, seed) for seed in range(100, 130)])
    assert shares[:, 0].mean() <= 0.005
    assert shares[:, 1].mean() <= 0.005
