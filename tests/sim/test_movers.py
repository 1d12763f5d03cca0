"""What a scenario moves by hand keeps off others: behind them, round bends, and past them where it fits."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from roadcraft.sim.movers import HALF_LENGTH, STAND_OFF, Mover, Path

EGO_HALF = 2.3


class Still:
    """A stage on which nothing else happens."""

    def spawn(self, *_: Any, **__: Any) -> int:
        return 7

    def move(self, *_: Any) -> None:
        pass

    def lights(self, *_: Any) -> None:
        pass


def straight() -> Path:
    s = np.arange(0.0, 201.0)
    return Path(np.stack([s, np.zeros_like(s)], 1), np.zeros_like(s), s)


def quarter(radius: float = 12.0) -> Path:
    """30 m straight, a bend of 90 degrees to the left, 40 m straight."""
    turn = np.linspace(0, np.pi / 2, 40)
    before = np.stack([np.arange(-30.0, 0.0), np.zeros(30)], 1)
    bend = np.stack([radius * np.sin(turn), radius - radius * np.cos(turn)], 1)
    after = np.stack([np.full(40, radius), radius + np.arange(1.0, 41.0)], 1)
    xy = np.concatenate([before, bend, after])
    yaw = np.concatenate([np.zeros(30), turn, np.full(40, np.pi / 2)])
    return Path(xy, yaw, np.concatenate([[0.0], np.hypot(*np.diff(xy, axis=0).T).cumsum()]))


def facts(pose: tuple[float, float, float], speed: float = 0.0) -> Any:
    """The ego alone on the road."""
    actors = np.zeros(0, [("id", int), ("xyz", float, 3), ("velocity", float, 2), ("extent", float, 3), ("yaw", float)])
    return SimpleNamespace(
        pose=pose, velocity_ego=np.array([speed, 0.0]), extent=np.array([EGO_HALF, 1.0, 0.8]), actors=actors
    )


def mover(path: Path, s: float, speed: float = 0.0, side: float = 0.0) -> Mover:
    return Mover(Still(), "vehicle.audi.tt", path, s, speed, side)  # type: ignore[arg-type]


def test_behind_one_who_stands_it_does_not_creep() -> None:
    car = mover(straight(), 50.0)
    ego = facts((50.0 + HALF_LENGTH + EGO_HALF + 0.8 * STAND_OFF, 0.0, 0.0))
    for _ in range(2000):
        car.drive(ego, 10.0)
    assert car.s == 50.0


@pytest.mark.parametrize("speed", [4.0, 9.0, 14.0])
def test_it_stops_behind_one_who_stands_beyond_a_bend(speed: float) -> None:
    path = quarter()
    car, place = mover(path, 0.0, speed), path.length - 25.0
    x, y, yaw = path.pose(place)
    for _ in range(600):
        car.drive(facts((x, y, yaw)), speed)
    left = place - car.s - HALF_LENGTH - EGO_HALF
    assert car.speed == 0.0
    assert 0.5 < left < STAND_OFF + 2.0


@pytest.mark.parametrize(("heading", "backs"), [(np.pi, True), (0.7 * np.pi, True), (0.0, False)])
def test_it_backs_off_once_from_one_who_faces_it(heading: float, backs: bool) -> None:
    car, ego = mover(straight(), 50.0), facts((56.0, 0.0, heading))
    way = []
    for _ in range(500):  # 25 s
        car.drive(ego, 9.0)
        way.append(car.s)
    assert min(way) == pytest.approx(44.0 if backs else 50.0, abs=0.2)
    assert min(way[:150]) == 50.0
    assert way[-1] == min(way)  # and waits there for it to pass


def test_it_passes_one_in_the_lane_beside() -> None:
    car = mover(straight(), 0.0, 9.0)
    for _ in range(300):
        car.drive(facts((60.0, 3.0, 0.0)), 9.0)
    assert car.s > 100.0


def test_it_squeezes_by_one_who_nearly_stands_in_the_way_after_a_while() -> None:
    car, ego = mover(straight(), 0.0, 9.0), facts((60.0, 2.2, 0.0))  # 0.2 m between the sides
    stood = 0
    for _ in range(600):
        car.drive(ego, 9.0)
        stood += car.speed == 0.0
    assert stood * 0.05 > 3.0
    assert car.s > 100.0


def test_a_pose_lies_between_the_points_and_is_held_at_the_ends() -> None:
    random = np.random.default_rng(0)
    s = np.concatenate([[0.0], np.cumsum(random.uniform(0.3, 2.0, 50))])
    path = Path(random.normal(size=(51, 2)).cumsum(0), random.normal(size=51).cumsum(), s)
    for at in (-1.0, 0.0, *s[[1, 25, 50]], s[-1] + 1.0, *random.uniform(0.0, s[-1], 100)):
        x, y, yaw = path.pose(at)
        assert (x, y) == (np.interp(at, s, path.xy[:, 0]), np.interp(at, s, path.xy[:, 1]))
        assert yaw == np.interp(at, s, path.yaw)


def test_a_pose_beside_the_path_is_to_its_left() -> None:
    path = Path(np.array([[0.0, 0.0], [0.0, 10.0]]), np.full(2, np.pi / 2), np.array([0.0, 10.0]))
    assert path.pose(5.0, 2.0) == pytest.approx((-2.0, 5.0, np.pi / 2))
