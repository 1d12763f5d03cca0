"""Meshes of vehicles, each at three levels of detail, in unit space (x forward)."""

from __future__ import annotations

from dataclasses import dataclass

from roadcraft.sim.embedded.render.materials import Material as M
from roadcraft.sim.embedded.render.mesh import Mesh

NONE = -1
Profile = list[tuple[float, float]]  # (x, z) of a side view


@dataclass(frozen=True, slots=True)
class Car:
    """Proportions of a car in unit space: x of the glass house and heights of the hull."""

    belt: float = 0.62  # height of the windows' lower edge
    nose: float = 0.50  # height of the bonnet's front edge
    windscreen: tuple[float, float] = (0.36, 0.02)  # x of its foot and its head
    rear: tuple[float, float] = (-0.74, -0.46)  # x of the rear window's foot and head
    tail: float = 0.60  # height of the rear deck's edge
    clearance: float = 0.15
    wheels: tuple[float, float] = (0.60, -0.60)  # x of the axles
    radius: tuple[float, float] = (0.135, 0.215)  # of the wheels, in x and z
    roof: float = 0.74  # half width of the roof
    bed: bool = False  # an open load bed behind the cabin


SEDAN = Car()
COUPE = Car(belt=0.60, nose=0.48, windscreen=(0.30, -0.06), rear=(-0.84, -0.42), tail=0.62)
HATCH = Car(
    belt=0.60,
    nose=0.50,
    windscreen=(0.46, 0.12),
    rear=(-0.96, -0.78),
    tail=0.60,
    roof=0.76,
    radius=(0.16, 0.2),
)
SUV = Car(
    belt=0.60,
    nose=0.53,
    windscreen=(0.40, 0.16),
    rear=(-0.95, -0.84),
    tail=0.60,
    clearance=0.17,
    roof=0.80,
    radius=(0.15, 0.2),
)
PICKUP = Car(
    belt=0.58,
    nose=0.52,
    windscreen=(0.42, 0.14),
    rear=(-0.26, -0.22),
    tail=0.58,
    clearance=0.18,
    bed=True,
    radius=(0.13, 0.19),
)
VAN = Car(
    belt=0.50,
    nose=0.44,
    windscreen=(0.80, 0.56),
    rear=(-0.985, -0.97),
    tail=0.50,
    clearance=0.13,
    roof=0.90,
    radius=(0.125, 0.155),
)


def car(shape: Car) -> list[Mesh]:
    """A passenger car near, middling and far."""
    return [_car_near(shape), _car_middle(shape), _car_far(shape)]


def _hull_profile(c: Car) -> Profile:
    return [
        (-0.95, c.clearance),
        (0.93, c.clearance),
        (1.0, c.clearance + 0.12),
        (1.0, c.nose - 0.10),
        (0.95, c.nose),
        (c.windscreen[0], c.belt),
        (c.rear[0], c.belt + 0.02) if c.rear[0] > -0.9 else (-0.94, c.belt + 0.01),
        (-0.985, c.tail - 0.03),
        (-1.0, c.tail - 0.14),
        (-1.0, c.clearance + 0.14),
    ]


def _cabin(mesh: Mesh, c: Car) -> None:
    """The glass house: a frustum of paint with panes that stand out by a few millimetres."""
    z0, z1, w0, w1 = c.belt, 1.0, 0.90, c.roof
    front, rear = c.windscreen, (max(c.rear[0], -0.94), c.rear[1])
    foot = [
        (rear[0], -w0, z0),
        (front[0], -w0, z0),
        (front[0], w0, z0),
        (rear[0], w0, z0),
    ]
    head = [
        (rear[1], -w1, z1),
        (front[1], -w1, z1),
        (front[1], w1, z1),
        (rear[1], w1, z1),
    ]
    mesh.shell(foot, head, M.PAINT, M.PAINT)
    for a, b, inset, out in (
        (0, 1, 0.05, (0.0, -0.008)),
        (1, 2, 0.06, (0.006, 0.0)),
        (2, 3, 0.05, (0.0, 0.008)),
        (3, 0, 0.08, (-0.006, 0.0)),
    ):

        def at(
            u: float, v: float, a: int = a, b: int = b, out: tuple[float, float] = out
        ) -> tuple[float, float, float]:
            low = [foot[a][k] * (1 - u) + foot[b][k] * u for k in range(3)]
            high = [head[a][k] * (1 - u) + head[b][k] * u for k in range(3)]
            x, y, z = (low[k] * (1 - v) + high[k] * v for k in range(3))
            return x + out[0], y + out[1], z

        if a in (0, 2):  # side panes with a pillar between the doors
            middle = 0.52 if a == 0 else 0.48
            mesh.face(
                [
                    at(inset, 0.06),
                    at(middle - 0.02, 0.06),
                    at(middle - 0.02, 0.86),
                    at(inset, 0.86),
                ],
                M.GLASS,
            )
            mesh.face(
                [
                    at(middle + 0.02, 0.06),
                    at(1 - inset, 0.06),
                    at(1 - inset, 0.86),
                    at(middle + 0.02, 0.86),
                ],
                M.GLASS,
            )
        else:
            mesh.face(
                [
                    at(inset, 0.06),
                    at(1 - inset, 0.06),
                    at(1 - inset, 0.92),
                    at(inset, 0.92),
                ],
                M.GLASS,
            )


def _wheels(mesh: Mesh, c: Car, near: bool) -> None:
    rx, rz = c.radius
    for x in c.wheels:
        for side in (-1, 1):
            if near:
                mesh.disc(x, side * 0.955, rz + 0.005, rx * 1.16, rz * 1.16, 12, M.TRIM)
                mesh.disc(x, side * 0.968, rz, rx, rz, 12, M.TYRE)
                mesh.disc(x, side * 0.976, rz, rx * 0.64, rz * 0.64, 10, M.HUB)
                mesh.disc(x, side * 0.982, rz, rx * 0.2, rz * 0.2, 5, M.TRIM)
                y = (-0.96, -0.72) if side < 0 else (0.72, 0.96)
                mesh.box((x - rx * 0.75, x + rx * 0.75), y, (0.0, c.clearance + 0.02), M.TYRE)
            else:
                mesh.disc(x, side * 0.968, rz, rx, rz, 8, M.TYRE)
                mesh.disc(x, side * 0.976, rz, rx * 0.6, rz * 0.6, 6, M.HUB)


def _lamps(mesh: Mesh, c: Car, near: bool) -> None:
    """Lamps, plates and bumpers. The front looks to +x, so its corners run from left to right."""
    z0, z1 = c.tail - 0.17, c.tail - 0.05
    for side in (-1, 1):
        outer, inner, blink = side * 0.93, side * 0.56, side * 0.76
        corners = sorted((outer, inner))
        blinker = M.BLINKER_LEFT if side > 0 else M.BLINKER_RIGHT
        _rear_face(mesh, -1.004, corners, (z0, z1), M.TAIL_LAMP)
        _rear_face(mesh, -1.008, sorted((outer, blink)), (z0, z0 + 0.05), blinker)
        _front_face(mesh, 1.004, corners, (c.nose - 0.17, c.nose - 0.07), M.HEAD_LAMP)
        if near:
            _front_face(
                mesh,
                1.008,
                sorted((outer, side * 0.84)),
                (c.nose - 0.17, c.nose - 0.07),
                blinker,
            )
    if near:
        low = c.clearance + 0.13
        _rear_face(mesh, -1.003, (-0.9, 0.9), (low, low + 0.06), M.TRIM)
        _rear_face(mesh, -1.006, (-0.28, 0.28), (low + 0.06, low + 0.14), M.PLATE)
        _front_face(mesh, 1.003, (-0.5, 0.5), (low, c.nose - 0.09), M.TRIM)
        _front_face(mesh, 1.006, (-0.28, 0.28), (low, low + 0.07), M.PLATE)
        for side in (-1, 1):
            y = (0.9, 1.0) if side > 0 else (-1.0, -0.9)
            mesh.box(
                (c.windscreen[0] - 0.12, c.windscreen[0] - 0.06),
                y,
                (c.belt + 0.01, c.belt + 0.1),
                M.TRIM,
                floor=True,
            )


def _rear_face(
    mesh: Mesh,
    x: float,
    y: tuple[float, float] | list[float],
    z: tuple[float, float],
    material: int,
) -> None:
    mesh.face([(x, y[1], z[0]), (x, y[0], z[0]), (x, y[0], z[1]), (x, y[1], z[1])], material)


def _front_face(
    mesh: Mesh,
    x: float,
    y: tuple[float, float] | list[float],
    z: tuple[float, float],
    material: int,
) -> None:
    mesh.face([(x, y[0], z[0]), (x, y[1], z[0]), (x, y[1], z[1]), (x, y[0], z[1])], material)


def _hull(mesh: Mesh, c: Car) -> None:
    profile = _hull_profile(c)
    skin = [
        NONE,
        M.TRIM,
        M.PAINT,
        M.PAINT,
        M.PAINT,
        M.PAINT,
        M.PAINT,
        M.PAINT,
        M.PAINT,
        M.TRIM,
    ]
    mesh.across(profile, 0.95, skin, M.PAINT)
    for side in (-1, 1):
        y = side * 0.953
        sill = [
            (-0.93, y, c.clearance),
            (0.91, y, c.clearance),
            (0.91, y, c.clearance + 0.06),
            (-0.93, y, c.clearance + 0.06),
        ]
        mesh.face(sill if side < 0 else sill[::-1], M.TRIM)


def _car_near(c: Car) -> Mesh:
    mesh = Mesh()
    _hull(mesh, c)
    if c.bed:
        z = c.belt + 0.021
        mesh.face(
            [(-0.94, -0.84, z), (-0.3, -0.84, z), (-0.3, 0.84, z), (-0.94, 0.84, z)],
            M.TRIM,
        )
    _cabin(mesh, c)
    _wheels(mesh, c, near=True)
    _lamps(mesh, c, near=True)
    return mesh


def _car_middle(c: Car) -> Mesh:
    mesh = Mesh()
    p = _hull_profile(c)
    mesh.across(
        [p[0], p[1], p[3], p[5], p[6], p[8]],
        0.95,
        [NONE, M.TRIM, M.PAINT, M.PAINT, M.PAINT, M.PAINT],
        M.PAINT,
    )
    rear = (max(c.rear[0], -0.94), c.rear[1])
    foot = [
        (rear[0], -0.9, c.belt),
        (c.windscreen[0], -0.9, c.belt),
        (c.windscreen[0], 0.9, c.belt),
        (rear[0], 0.9, c.belt),
    ]
    head = [
        (rear[1], -c.roof, 1.0),
        (c.windscreen[1], -c.roof, 1.0),
        (c.windscreen[1], c.roof, 1.0),
        (rear[1], c.roof, 1.0),
    ]
    mesh.shell(foot, head, M.GLASS, M.PAINT)
    _wheels(mesh, c, near=False)
    _lamps(mesh, c, near=False)
    return mesh


def _car_far(c: Car) -> Mesh:
    mesh = Mesh()
    mesh.box((-1.0, 1.0), (-0.95, 0.95), (c.clearance * 0.6, c.belt), M.PAINT)
    rear = (max(c.rear[0], -0.94), c.rear[1])
    foot = [
        (rear[0], -0.9, c.belt),
        (c.windscreen[0], -0.9, c.belt),
        (c.windscreen[0], 0.9, c.belt),
        (rear[0], 0.9, c.belt),
    ]
    head = [
        (rear[1], -c.roof, 1.0),
        (c.windscreen[1], -c.roof, 1.0),
        (c.windscreen[1], c.roof, 1.0),
        (rear[1], c.roof, 1.0),
    ]
    mesh.shell(foot, head, M.GLASS, M.PAINT)
    for side in (-1, 1):
        _rear_face(
            mesh,
            -1.004,
            sorted((side * 0.94, side * 0.5)),
            (c.tail - 0.2, c.tail - 0.04),
            M.TAIL_LAMP,
        )
        _front_face(
            mesh,
            1.004,
            sorted((side * 0.94, side * 0.5)),
            (c.nose - 0.2, c.nose - 0.04),
            M.HEAD_LAMP,
        )
    return mesh


def truck(cargo: int = M.CARGO) -> list[Mesh]:
    """A lorry: cab and a box body."""
    near, far = Mesh(), Mesh()
    near.box((0.52, 0.98), (-0.9, 0.9), (0.12, 0.74), M.PAINT)
    near.box((-1.0, 0.46), (-0.97, 0.97), (0.26, 1.0), cargo)
    near.box((-0.98, 0.52), (-0.5, 0.5), (0.14, 0.27), M.TRIM)
    _front_face(near, 0.984, (-0.84, 0.84), (0.44, 0.70), M.GLASS)
    _front_face(near, 0.984, (-0.6, 0.6), (0.2, 0.38), M.TRIM)
    for side in (-1, 1):
        y = side * 0.906
        pane = [(0.66, y, 0.46), (0.94, y, 0.46), (0.94, y, 0.68), (0.66, y, 0.68)]
        near.face(pane if side < 0 else pane[::-1], M.GLASS)
        _front_face(near, 0.986, sorted((side * 0.86, side * 0.58)), (0.2, 0.27), M.HEAD_LAMP)
        _truck_rear(near, side)
        for x in (0.72, -0.52, -0.76):
            near.disc(x, side * 0.93, 0.135, 0.115, 0.135, 12, M.TYRE)
            near.disc(x, side * 0.94, 0.135, 0.06, 0.07, 8, M.HUB)
            near.box(
                (x - 0.09, x + 0.09),
                _span(side, 0.6, 0.92),
                (0.0, 0.26),
                M.TYRE,
            )
    _rear_face(near, -1.003, (-0.9, 0.9), (0.16, 0.24), M.TRIM)
    _rear_face(near, -1.003, (-0.008, 0.008), (0.3, 0.97), M.TRIM)
    far.box((0.5, 0.98), (-0.9, 0.9), (0.05, 0.74), M.PAINT)
    far.box((-1.0, 0.46), (-0.97, 0.97), (0.1, 1.0), cargo)
    _front_face(far, 0.984, (-0.84, 0.84), (0.44, 0.70), M.GLASS)
    for side in (-1, 1):
        _truck_rear(far, side)
    return [near, far, far]


def _span(side: int, inner: float, outer: float) -> tuple[float, float]:
    """The stretch between two half widths on one side, in rising order."""
    return (inner, outer) if side > 0 else (-outer, -inner)


def _truck_rear(mesh: Mesh, side: int) -> None:
    _rear_face(mesh, -1.006, sorted((side * 0.92, side * 0.66)), (0.18, 0.25), M.TAIL_LAMP)
    _rear_face(
        mesh,
        -1.009,
        sorted((side * 0.92, side * 0.84)),
        (0.18, 0.25),
        M.BLINKER_LEFT if side > 0 else M.BLINKER_RIGHT,
    )


def bus() -> list[Mesh]:
    """A bus with a band of windows."""
    near, far = Mesh(), Mesh()
    for mesh, step in ((near, 0.235), (far, 1.9)):
        mesh.box((-1.0, 1.0), (-0.96, 0.96), (0.09, 1.0), M.PAINT)
        _front_face(mesh, 1.004, (-0.88, 0.88), (0.36, 0.82), M.GLASS)
        _rear_face(mesh, -1.004, (-0.8, 0.8), (0.5, 0.82), M.GLASS)
        for side in (-1, 1):
            x = -0.95
            while x < 0.93:
                y, end = side * 0.966, min(x + step - 0.02, 0.96)
                pane = [(x, y, 0.44), (end, y, 0.44), (end, y, 0.8), (x, y, 0.8)]
                mesh.face(pane if side < 0 else pane[::-1], M.GLASS)
                x += step
            blinker = M.BLINKER_LEFT if side > 0 else M.BLINKER_RIGHT
            _rear_face(
                mesh,
                -1.006,
                sorted((side * 0.92, side * 0.7)),
                (0.26, 0.38),
                M.TAIL_LAMP,
            )
            _rear_face(mesh, -1.008, sorted((side * 0.92, side * 0.7)), (0.22, 0.26), blinker)
            _front_face(
                mesh,
                1.006,
                sorted((side * 0.9, side * 0.62)),
                (0.18, 0.26),
                M.HEAD_LAMP,
            )
            for x in (0.62, -0.55):
                mesh.disc(x, side * 0.968, 0.115, 0.095, 0.115, 12, M.TYRE)
                mesh.disc(x, side * 0.976, 0.115, 0.05, 0.06, 8, M.HUB)
                if mesh is near:
                    mesh.box(
                        (x - 0.07, x + 0.07),
                        _span(side, 0.6, 0.95),
                        (0.0, 0.1),
                        M.TYRE,
                    )
    return [near, far, far]


def _rider(mesh: Mesh, seat: float, lean: float, hands: tuple[float, float]) -> None:
    """A person who sits at x = 0 with the hands at (x, z)."""
    mesh.shell(
        [
            (-0.22, -0.42, seat),
            (0.06, -0.42, seat),
            (0.06, 0.42, seat),
            (-0.22, 0.42, seat),
        ],
        [
            (-0.20 + lean, -0.52, 0.83),
            (0.04 + lean, -0.52, 0.83),
            (0.04 + lean, 0.52, 0.83),
            (-0.20 + lean, 0.52, 0.83),
        ],
        M.RIDER_CLOTHES,
        M.RIDER_CLOTHES,
    )
    head = lean - 0.06
    mesh.box((head - 0.09, head + 0.12), (-0.2, 0.2), (0.83, 0.9), M.RIDER_SKIN)
    mesh.box((head - 0.11, head + 0.12), (-0.23, 0.23), (0.88, 1.0), M.HELMET)
    for side in (-1, 1):
        y0, y1 = sorted((side * 0.48, side * 0.72))
        x, z = lean - 0.08, 0.8
        mesh.shell(
            [
                (x - 0.05, y0, z - 0.12),
                (hands[0], y0, hands[1]),
                (hands[0], y1, hands[1]),
                (x - 0.05, y1, z - 0.12),
            ],
            [
                (x, y0, z),
                (hands[0] + 0.02, y0, hands[1] + 0.05),
                (hands[0] + 0.02, y1, hands[1] + 0.05),
                (x, y1, z),
            ],
            M.RIDER_CLOTHES,
            M.RIDER_CLOTHES,
        )
        y0, y1 = sorted((side * 0.14, side * 0.46))
        mesh.shell(
            [(0.02, y0, 0.16), (0.16, y0, 0.16), (0.16, y1, 0.16), (0.02, y1, 0.16)],
            [
                (-0.2, y0, seat + 0.06),
                (0.1, y0, seat + 0.06),
                (0.1, y1, seat + 0.06),
                (-0.2, y1, seat + 0.06),
            ],
            M.RIDER_LEGS,
            M.RIDER_LEGS,
        )


def _wheel_pair(
    mesh: Mesh,
    axles: tuple[float, float],
    radius: tuple[float, float],
    width: float,
    spoked: bool,
) -> None:
    rx, rz = radius
    for x in axles:
        mesh.box((x - rx * 0.5, x + rx * 0.5), (-width, width), (0.0, rz * 2), M.TYRE)
        for side in (-1, 1):
            mesh.disc(x, side * width * 1.05, rz, rx, rz, 12, M.TYRE)
            mesh.disc(
                x,
                side * width * 1.1,
                rz,
                rx * (0.86 if spoked else 0.6),
                rz * (0.86 if spoked else 0.6),
                10,
                M.CHROME,
            )


def motorcycle() -> list[Mesh]:
    """A motorcycle with its rider."""
    near, far = Mesh(), Mesh()
    _wheel_pair(near, (0.70, -0.68), (0.29, 0.195), 0.13, spoked=False)
    near.box((-0.4, 0.45), (-0.26, 0.26), (0.16, 0.44), M.TRIM)
    near.box((-0.05, 0.46), (-0.28, 0.28), (0.42, 0.56), M.PAINT)
    near.box((-0.86, -0.02), (-0.24, 0.24), (0.42, 0.5), M.PAINT_LOW)
    near.box((0.42, 0.66), (-0.3, 0.3), (0.44, 0.64), M.PAINT, floor=True)
    near.box((0.5, 0.56), (-0.95, 0.95), (0.6, 0.64), M.TRIM, floor=True)
    _front_face(near, 0.67, (-0.22, 0.22), (0.48, 0.6), M.HEAD_LAMP)
    _rear_face(near, -0.87, (-0.2, 0.2), (0.42, 0.5), M.TAIL_LAMP)
    _rear_face(near, -0.865, (-0.24, 0.24), (0.26, 0.38), M.PLATE)
    _rider(near, 0.5, 0.12, (0.5, 0.62))
    far.box((-0.95, 0.95), (-0.15, 0.15), (0.0, 0.36), M.TYRE)
    far.box((-0.8, 0.6), (-0.28, 0.28), (0.3, 0.54), M.PAINT)
    _front_face(far, 0.61, (-0.25, 0.25), (0.4, 0.54), M.HEAD_LAMP)
    _rear_face(far, -0.81, (-0.25, 0.25), (0.4, 0.52), M.TAIL_LAMP)
    far.box((-0.3, 0.2), (-0.6, 0.6), (0.3, 0.84), M.RIDER_CLOTHES)
    far.box((0.48, 0.56), (-0.95, 0.95), (0.58, 0.64), M.TRIM, floor=True)
    far.box((-0.1, 0.16), (-0.24, 0.24), (0.84, 1.0), M.HELMET)
    return [near, far, far]


def bicycle() -> list[Mesh]:
    """A bicycle with its rider."""
    near, far = Mesh(), Mesh()
    _wheel_pair(near, (0.60, -0.60), (0.38, 0.205), 0.06, spoked=True)
    near.box((-0.3, 0.46), (-0.07, 0.07), (0.40, 0.45), M.PAINT, floor=True)
    near.box((-0.1, 0.1), (-0.08, 0.08), (0.18, 0.42), M.PAINT)
    near.box((0.42, 0.5), (-0.07, 0.07), (0.3, 0.6), M.PAINT)
    near.box((0.36, 0.42), (-0.95, 0.95), (0.58, 0.61), M.TRIM, floor=True)
    near.box((-0.34, -0.04), (-0.2, 0.2), (0.5, 0.54), M.TRIM, floor=True)
    _rear_face(near, -0.62, (-0.14, 0.14), (0.42, 0.47), M.TAIL_LAMP)
    _rider(near, 0.53, 0.2, (0.38, 0.6))
    far.box((-0.96, 0.96), (-0.08, 0.08), (0.0, 0.4), M.TYRE)
    far.box((-0.3, 0.3), (-0.3, 0.3), (0.2, 0.56), M.RIDER_LEGS)
    far.box((-0.26, 0.22), (-0.54, 0.54), (0.53, 0.84), M.RIDER_CLOTHES)
    far.box((0.34, 0.42), (-0.95, 0.95), (0.57, 0.61), M.TRIM, floor=True)
    far.box((-0.02, 0.26), (-0.24, 0.24), (0.84, 1.0), M.HELMET)
    return [near, far, far]
