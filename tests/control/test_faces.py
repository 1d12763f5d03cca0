"""Somebody before the car is no farther than the lower edge of his box says, nor than the odometer remembers."""

from __future__ import annotations

import numpy as np
import pytest
from control_scenes import seen
from numpy.typing import NDArray

from roadcraft.control.faces import Faces, face_at, lens_of
from roadcraft.sim.messages import Camera

CAMERA = Camera()
HALF = 2.25  # m, of the car in control_scenes


def row_of(face: float, height: float = 0.3) -> float:
    """The image row of a bumper's lower edge, `height` [m] over the road, `face` [m] ahead of the ego's origin."""
    x, _, z = CAMERA.xyz_ego
    return 0.5 * CAMERA.height + CAMERA.focal * (z - height) / (face - x)


def box(told: float, bottom: float, y: float = 0.0, velocity: float = 0.0) -> NDArray[np.void]:
    """A car whose middle is told to be `told` [m] ahead, with the lower edge of its box at row `bottom`."""
    row = seen(told, y, (velocity, 0.0))
    row["box"] = (280.0, 100.0, 360.0, min(bottom, CAMERA.height))
    return row


@pytest.mark.parametrize("face", [5.0, 8.0, 11.0])
def test_the_lower_edge_tells_the_distance(face: float) -> None:
    assert face_at(row_of(face), lens_of(CAMERA)) == pytest.approx(face, abs=0.1)
    told = Faces()(box(face + HALF + 4.0, row_of(face)), CAMERA, 0.0, 0.05)
    assert told["xy_ego"][0, 0] == pytest.approx(face + HALF, abs=0.1)


@pytest.mark.parametrize(
    ("x", "y", "bottom"), [(10.0, 0.0, row_of(11.0)), (14.0, 2.5, row_of(6.0)), (40.0, 0.0, 190.0)]
)
def test_who_is_told_nearer_or_is_beside_or_far_stays(x: float, y: float, bottom: float) -> None:
    told = Faces()(box(x, bottom, y), CAMERA, 0.0, 0.05)
    assert told["xy_ego"][0, 0] == pytest.approx(x)


def test_below_the_picture_the_odometer_tells_it_until_he_drives_on() -> None:
    faces, face = Faces(), 8.0
    for _ in range(50):  # up to 3 m, while the network tells 4 m too much
        face -= 0.1
        told = faces(box(face + HALF + 4.0, row_of(face)), CAMERA, 0.1, 0.05)
    assert told["xy_ego"][0, 0] == pytest.approx(face + HALF, abs=0.1)
    for _ in range(100):
        told = faces(box(8.0, 330.0), CAMERA, 0.0, 0.05)  # standing, a little farther by the network
    assert told["xy_ego"][0, 0] == pytest.approx(face + HALF, abs=0.1)
    told = faces(box(8.0, 330.0, velocity=2.0), CAMERA, 0.0, 0.05)
    assert told["xy_ego"][0, 0] > face + HALF + 1.0


def test_who_is_gone_is_forgotten() -> None:
    faces = Faces()
    faces(box(6.0, row_of(4.0)), CAMERA, 0.0, 0.05)
    for _ in range(30):
        faces(seen(30.0, 20.0), CAMERA, 0.0, 0.05)
    assert faces(box(8.0, row_of(7.0)), CAMERA, 0.0, 0.05)["xy_ego"][0, 0] > 7.5
