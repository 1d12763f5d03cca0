"""Takes a town's standing things apart into instances of meshes, sorted into cells for fast rejection."""

from __future__ import annotations

import itertools
from math import cos, hypot, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.relief import Ground, Relief, flat, height_at
from roadcraft.sim.embedded.render.materials import (
    POLE,
    TRAFFIC_LIGHT,
    TRAFFIC_SIGN,
    VEGETATION,
)
from roadcraft.sim.embedded.render.models import TREES, Model
from roadcraft.sim.embedded.render.things import PART
from roadcraft.sim.embedded.scenery import LAMP_OFF, TRUNK_RADIUS, Scenery, Shape
from roadcraft.sim.roads import RoadNetwork, SignalKind

CELL = 40.0  # [m]
HEAD = (
    0.19,
    0.19,
    1.05,
)  # [m] half depth, half width of a signal head's housing, its height
SIGN_RADIUS = 0.42  # [m]
GREY, DARK = (0.46, 0.47, 0.48), (0.20, 0.21, 0.21)
LIT = -2  # PART.signal of things that shine at night
_PLATES = {
    SignalKind.STOP: Model.STOP_SIGN,
    SignalKind.YIELD: Model.YIELD_SIGN,
    SignalKind.SPEED: Model.SPEED_SIGN,
}

Paint = tuple[float, float, float]


class Builder:
    """Collects parts."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.rows: list[NDArray[np.void]] = []

    def add(
        self,
        model: int,
        foot: NDArray[np.float64] | tuple[float, float, float],
        yaw: float,
        size: tuple[float, float, float],
        paint: Paint = GREY,
        tag: int = POLE,
        signal: int = -1,
        variant: int = 0,
        style: int = 0,
    ) -> None:
        """One upright mesh: `size` is half length, half width and full height."""
        c, s = np.cos(yaw), np.sin(yaw)
        self.add_basis(
            model,
            foot,
            np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) * size,
            paint,
            tag,
            signal,
            variant,
            style,
        )

    def add_basis(
        self,
        model: int,
        foot: NDArray[np.float64] | tuple[float, float, float],
        basis: NDArray[np.float64],
        paint: Paint = GREY,
        tag: int = POLE,
        signal: int = -1,
        variant: int = 0,
        style: int = 0,
    ) -> None:
        """One mesh by the columns that its unit vectors become; they must be at right angles."""
        row = np.zeros((), PART)
        half = basis @ np.diag([1, 1, 0.5])
        lengths = np.linalg.norm(half, axis=0)
        row["model"], row["xyz"], row["basis"] = model, foot, basis.ravel()
        row["center"], row["radius"] = basis[:, 2] / 2, np.linalg.norm(lengths) * 1.08
        row["thin"] = (
            2 * np.sort(lengths)[1]
            if model in (Model.STOP_SIGN, Model.YIELD_SIGN, Model.SPEED_SIGN)
            else 2 * lengths.min()
        )
        row["paint"], row["tag"], row["signal"], row["variant"], row["style"] = (
            paint,
            tag,
            signal,
            variant,
            style,
        )
        row["wall"] = {Model.HOUSE_FLAT: 0.97, Model.HOUSE_PITCHED: 0.7}.get(Model(model), 0.0)
        self.rows.append(row)

    def beam(
        self,
        start: NDArray[np.float64],
        end: NDArray[np.float64],
        radius: float,
        paint: Paint,
        tag: int = POLE,
    ) -> None:
        """A round bar between two points."""
        axis = end - start
        length = np.linalg.norm(axis)
        if length < 1e-3:
            return
        w = axis / length
        u = np.cross(w, (0.0, 0.0, 1.0) if abs(w[2]) < 0.9 else (1.0, 0.0, 0.0))
        u /= np.linalg.norm(u)
        self.add_basis(
            Model.POST,
            start,
            np.stack([u * radius, np.cross(w, u) * radius, axis], -1),
            paint,
            tag,
        )


def build_parts(
    scenery: Scenery, network: RoadNetwork, ground: Ground | None = None
) -> tuple[NDArray[np.void], NDArray[np.float64]]:
    """(P,) PART sorted by cell, and the cells (C, 6): centre x, y, z, radius [m], first and last row."""
    builder = Builder(ground or flat())
    for row in scenery.static:
        _DRAW.get(Shape(int(row["shape"])), _box)(builder, row, network)
    if not builder.rows:
        return np.zeros(0, PART), np.zeros((0, 6))
    return _sorted(np.array(builder.rows, PART))


def _sorted(parts: NDArray[np.void]) -> tuple[NDArray[np.void], NDArray[np.float64]]:
    key = np.floor(parts["xyz"][:, :2] / CELL).astype(np.int64)
    order = np.lexsort((np.arange(len(parts)), key[:, 0], key[:, 1]))
    parts, key = parts[order], key[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(key, axis=0) != 0).any(1)])
    cells = []
    for first, last in zip(starts, [*starts[1:], len(parts)], strict=True):
        center = parts["xyz"][first:last] + parts["center"][first:last]
        middle = (center.min(0) + center.max(0)) / 2
        radius = (np.linalg.norm(center - middle, axis=1) + parts["radius"][first:last]).max()
        cells.append((*middle, radius, first, last))
    return parts, np.array(cells)


def build_casters(scenery: Scenery) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(K, 9) what throws a shadow: x, y, cosine and sine of yaw, half length, half width, height, 1 for crowns, height
    of their middle; and (C, 6) cells: centre x, y, radius [m], greatest height [m], first and last row."""
    rows = []
    for row in scenery.static:
        x, y, z = (float(v) for v in row["extent"])
        place = (*(float(v) for v in row["xyz"][:2]), cos(row["yaw"]), sin(row["yaw"]))
        shape = int(row["shape"])
        if shape in (Shape.TREE, Shape.BUSH):
            rows.append((*place, x, y, 1.6 * z, 1.0, 1.2 * z if shape == Shape.TREE else z))
        elif shape in (Shape.LAMP, Shape.SIGNAL, Shape.SIGN, Shape.CYLINDER):
            rows.append((*place, 0.07, 0.07, 2 * z, 0.0, 0.0))
        elif shape == Shape.BUILDING and int(row["style"]) % 2:
            rows.append((*place, x, 0.6 * y, 1.9 * z, 0.0, 0.0))
        else:
            rows.append((*place, x, y, 2 * z, 0.0, 0.0))
    casters = np.array(rows, np.float32).reshape(-1, 9)
    key = np.floor(casters[:, :2] / CELL).astype(np.int64)
    order = np.lexsort((key[:, 0], key[:, 1]))
    casters, key = casters[order], key[order]
    new = np.r_[True, (np.diff(key, axis=0) != 0).any(1)][: len(casters)]
    starts = np.flatnonzero(new)
    cells = []
    for first, last in itertools.pairwise([*starts, len(casters)]):
        some = casters[first:last]
        middle = (some[:, :2].min(0) + some[:, :2].max(0)) / 2
        reach = np.linalg.norm(some[:, :2] - middle, axis=1) + np.hypot(some[:, 4], some[:, 5])
        cells.append((*middle, reach.max(), some[:, 6].max(), first, last))
    return casters, np.array(cells, np.float32).reshape(-1, 6)


def _paint(row: NDArray[np.void]) -> Paint:
    r, g, b = (float(v) / 255 for v in row["color"])
    return r, g, b


def _size(row: NDArray[np.void]) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in row["extent"])
    return max(x, 0.01), max(y, 0.01), max(2 * z, 0.01)


def _box(b: Builder, row: NDArray[np.void], _: RoadNetwork) -> None:
    b.add(
        Model.BOX,
        row["xyz"],
        float(row["yaw"]),
        _size(row),
        _paint(row),
        int(row["tag"]),
    )


def _cylinder(b: Builder, row: NDArray[np.void], _: RoadNetwork) -> None:
    b.add(
        Model.POST,
        row["xyz"],
        float(row["yaw"]),
        _size(row),
        _paint(row),
        int(row["tag"]),
    )


def _tree(b: Builder, row: NDArray[np.void], _: RoadNetwork) -> None:
    variant = int(row["id"])
    size = _size(row)
    radius = min(TRUNK_RADIUS, size[0])
    b.add(
        Model.TRUNK,
        row["xyz"],
        float(row["yaw"]),
        (radius, radius, size[2]),
        tag=VEGETATION,
    )
    b.add(
        Model.TREE + variant % TREES,
        row["xyz"],
        float(row["yaw"]) + variant,
        size,
        _paint(row),
        VEGETATION,
        variant=variant,
    )


def _bush(b: Builder, row: NDArray[np.void], _: RoadNetwork) -> None:
    b.add(
        Model.BUSH,
        row["xyz"],
        float(row["yaw"]),
        _size(row),
        _paint(row),
        VEGETATION,
        variant=int(row["id"]),
    )


def _building(b: Builder, row: NDArray[np.void], _: RoadNetwork) -> None:
    style = int(row["style"])
    model = Model.HOUSE_PITCHED if style % 2 else Model.HOUSE_FLAT
    b.add(
        model,
        row["xyz"],
        float(row["yaw"]),
        _size(row),
        _paint(row),
        int(row["tag"]),
        variant=int(row["id"]),
        style=style,
    )


def _car(b: Builder, row: NDArray[np.void], _: RoadNetwork) -> None:
    model = (Model.SEDAN, Model.HATCH, Model.SUV, Model.COUPE, Model.VAN)[int(row["style"]) % 5]
    if isinstance(b.ground, Relief):
        basis = _leaning(b.ground, row) * _size(row)
        b.add_basis(model, row["xyz"], basis, _paint(row), int(row["tag"]), variant=int(row["id"]))
        return
    b.add(
        model,
        row["xyz"],
        float(row["yaw"]),
        _size(row),
        _paint(row),
        int(row["tag"]),
        variant=int(row["id"]),
    )


def _leaning(ground: Relief, row: NDArray[np.void]) -> NDArray[np.float64]:
    """(3, 3) columns: unit vectors along, to the left and upwards of a thing that stands on a slope."""
    (x, y, _), (along, across, _), yaw = row["xyz"].tolist(), row["extent"].tolist(), float(row["yaw"])
    axes = []
    for reach, turn in ((max(along, 0.1), yaw), (max(across, 0.1), yaw + np.pi / 2)):
        dx, dy = reach * cos(turn), reach * sin(turn)
        rise = height_at(ground, x + dx, y + dy) - height_at(ground, x - dx, y - dy)
        axes.append(np.array([2 * dx, 2 * dy, rise]) / hypot(2 * reach, rise))
    up = np.cross(axes[0], axes[1])
    up /= np.linalg.norm(up)
    return np.stack([axes[0], np.cross(up, axes[0]), up], -1)


def _lamp(b: Builder, row: NDArray[np.void], _: RoadNetwork) -> None:
    foot, tall = row["xyz"].astype(float), 2 * float(row["extent"][2])
    yaw = float(row["yaw"])
    along = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    top = foot + np.array([0, 0, tall])
    tip = top + along * 1.8
    b.beam(foot, top, 0.09, GREY)
    b.beam(top - (0, 0, 0.1), tip, 0.05, GREY)
    shines = LIT if row["style"] != LAMP_OFF else -1
    b.add(Model.LAMP_HEAD, tip - (0, 0, 0.06), yaw, (0.42, 0.16, 0.13), GREY, signal=shines)


def _signal(b: Builder, row: NDArray[np.void], network: RoadNetwork) -> None:
    """Post from the foot, arm to above the head, head."""
    index = int(row["signal"])
    if index < 0:
        return _cylinder(b, row, network)
    signal = network.signals[index]
    head, foot = signal["xyz"].astype(float), row["xyz"].astype(float)
    reach = hypot(head[0] - foot[0], head[1] - foot[1])
    top = max(head[2] + HEAD[2] / 2 + 0.15, foot[2] + 2.0) if reach > 0.4 else max(head[2] - HEAD[2] / 2, foot[2] + 0.5)
    b.beam(foot, np.array([foot[0], foot[1], top]), 0.1, DARK)
    yaw = float(signal["yaw"])
    back = np.array([np.cos(yaw), np.sin(yaw), 0.0]) * 0.16
    if reach > 0.4:
        b.beam(
            np.array([*foot[:2], top - 0.1]),
            np.array([*head[:2], top - 0.1]) + back,
            0.07,
            DARK,
        )
        b.beam(
            head + back - (0, 0, HEAD[2] / 2),
            np.array([*head[:2], top]) + back,
            0.05,
            DARK,
        )
    _head(b, head, yaw, index)
    return None


def _head(b: Builder, head: NDArray[np.float64], yaw: float, index: int) -> None:
    b.add(
        Model.SIGNAL_HEAD,
        head - (0, 0, HEAD[2] / 2),
        yaw + np.pi,
        HEAD,
        DARK,
        TRAFFIC_LIGHT,
        signal=index,
    )


def _plate(b: Builder, network: RoadNetwork, index: int) -> None:
    signal = network.signals[index]
    model = _PLATES[SignalKind(int(signal["kind"]))]
    yaw = float(signal["yaw"])
    place = signal["xyz"] - np.array([np.cos(yaw), np.sin(yaw), 0.0]) * 0.06
    b.add(
        model,
        place,
        yaw + np.pi,
        (SIGN_RADIUS, SIGN_RADIUS, SIGN_RADIUS),
        tag=TRAFFIC_SIGN,
    )


def _sign(b: Builder, row: NDArray[np.void], network: RoadNetwork) -> None:
    foot, index = row["xyz"].astype(float), int(row["signal"])
    top = network.signals["xyz"][index][2] + 0.3 if index >= 0 else foot[2] + 2 * float(row["extent"][2])
    b.beam(foot, np.array([*foot[:2], top]), 0.04, GREY)
    if index >= 0:
        _plate(b, network, index)


_DRAW = {
    Shape.BOX: _box,
    Shape.CYLINDER: _cylinder,
    Shape.TREE: _tree,
    Shape.BUILDING: _building,
    Shape.CAR: _car,
    Shape.LAMP: _lamp,
    Shape.SIGNAL: _signal,
    Shape.SIGN: _sign,
    Shape.BUSH: _bush,
}
