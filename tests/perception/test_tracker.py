"""The tracker: identities, velocities over ground from a moving car, memory of what is hidden."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.detection import DETECTION
from roadcraft.perception.tracker import NEW, Tracker

DT = 0.1


def detection(x: float, y: float, score: float = 0.9, group: int = 0) -> NDArray[np.void]:
    d = np.zeros(1, DETECTION)
    d["xy_ego"], d["score"], d["group"], d["kind"] = (x, y), score, group, 5 if group == 2 else 0
    d["range_sigma"], d["velocity_sigma"], d["size"] = 0.05 * x, 4.0, (4.5, 1.9)
    d["box"] = 300, 200, 340, 230
    return d


def drive(
    tracker: Tracker, frames: int, x0: float, y0: float, vx: float, vy: float, speed: float, seen: object = None
) -> Iterator[NDArray[np.void]]:
    """An object moves over ground at (vx, vy) while the ego drives straight on at `speed`."""
    rng = np.random.default_rng(0)
    for k in range(frames):
        t = k * DT
        x, y = x0 + (vx - speed) * t, y0 + vy * t
        there = seen is None or seen(k)  # type: ignore[operator]
        found = detection(x * (1 + 0.01 * rng.standard_normal()), y) if there else np.zeros(0, DETECTION)
        yield tracker(found, t, speed, 0.0, 0.6)


def test_velocity_over_ground_from_a_moving_car() -> None:
    *_, last = drive(Tracker(), 25, 60.0, 1.0, 5.0, 0.0, 15.0)
    np.testing.assert_allclose(last["velocity_ego"][0], (5.0, 0.0), atol=0.8)
    np.testing.assert_allclose(last["xy_ego"][0], (60.0 - 10.0 * 2.4, 1.0), atol=0.8)


def test_a_standing_thing_stands_while_the_ego_turns() -> None:
    tracker, place = Tracker(), np.array([30.0, 5.0])
    x = y = yaw = 0.0
    for k in range(40):
        c, s = np.cos(yaw), np.sin(yaw)
        dx, dy = place - (x, y)
        out = tracker(detection(c * dx + s * dy, c * dy - s * dx), k * DT, 6.0, 0.2, 0.6)
        x, y, yaw = x + 6.0 * DT * np.cos(yaw + 0.01), y + 6.0 * DT * np.sin(yaw + 0.01), yaw + 0.2 * DT
    assert np.hypot(*out["velocity_ego"][0]) < 0.4
    assert len(out) == 1


def test_one_object_keeps_one_number() -> None:
    numbers = {int(n) for out in drive(Tracker(), 40, 40.0, -2.0, 9.0, 0.5, 10.0) for n in out["track"]}
    assert len(numbers) == 1


def test_a_covered_object_is_remembered_where_it_must_be() -> None:
    tracker = Tracker()
    for k in range(30):
        t = k * DT
        found = [detection(10.0, 0.0)]  # a van that covers what is behind it
        if k < 18:
            found.append(detection(25.0, 0.3 + 0.0 * t))
        out = tracker(np.concatenate(found), t, 0.0, 0.0, 0.6)
    behind = out[out["xy_ego"][:, 0] > 20]
    assert len(behind) == 1  # 1.2 s later
    np.testing.assert_allclose(behind["xy_ego"][0], (25.0, 0.3), atol=1.0)
    assert not behind["box"].any()


def test_a_faint_one_that_is_covered_is_still_told_after_a_second_and_in_the_open_is_not() -> None:
    told = {}
    for covered in (True, False):
        tracker = Tracker()
        for k in range(30):
            found = [detection(10.0, 0.0 if covered else 6.0)]
            if k < 18:
                found.append(detection(25.0, 0.3, score=0.35))
            out = tracker(np.concatenate(found), k * DT, 0.0, 0.0, 0.6)
        told[covered] = [float(s) for s in out["score"][out["xy_ego"][:, 0] > 20]]
    assert told[False] == []
    assert told[True][0] > 0.5 * NEW  # what a percept tells: `decode.Decoder`


def test_what_nothing_covers_is_forgotten_soon() -> None:
    lives = [len(out) for out in drive(Tracker(), 30, 25.0, 0.0, 0.0, 0.0, 0.0, seen=lambda k: k < 15)]
    assert lives[18] == 1
    assert lives[25] == 0


def test_a_flicker_never_becomes_a_memory() -> None:
    out = list(drive(Tracker(), 6, 25.0, 0.0, 0.0, 0.0, 0.0, seen=lambda k: k == 0))
    assert len(out[0]) == 1
    assert len(out[3]) == 0


def test_classes_are_not_mixed_up() -> None:
    tracker = Tracker()
    a = tracker(detection(20.0, 0.0), 0.0, 0.0, 0.0, 0.6)
    b = tracker(np.concatenate([detection(20.0, 0.0), detection(20.0, 0.2, group=2)]), DT, 0.0, 0.0, 0.6)
    assert len(b) == 2
    assert a["track"][0] in b["track"]


def test_many_are_followed_at_once() -> None:
    tracker, rows = Tracker(), np.concatenate([detection(6.0 + k, 20.0 * j) for k in range(50) for j in (-1, 0, 1)])
    for k, seen in enumerate((rows[:40], rows, rows)):
        out = tracker(seen, k * DT, 0.0, 0.0, 0.6)
        assert len(out) == len(seen)
    assert out["track"].tolist() == list(range(1, len(rows) + 1))
    np.testing.assert_allclose(out["xy_ego"], rows["xy_ego"], atol=1e-3)
    np.testing.assert_array_equal(tracker.tracks["hits"], np.where(np.arange(len(rows)) < 40, 3, 2))


def test_the_likeliest_pair_finds_each_other_first() -> None:
    tracker = Tracker()
    tracker(np.concatenate([detection(20.0, 0.0), detection(20.0, 1.0)]), 0.0, 0.0, 0.0, 0.6)
    out = tracker(np.concatenate([detection(20.0, 0.6), detection(20.0, 0.02)]), DT, 0.0, 0.0, 0.6)
    assert len(out) == 2
    assert out["xy_ego"][0, 1] < 0.1  # the second detection was the first track's
    assert 0.5 < out["xy_ego"][1, 1] < 1.0


def test_trails_are_newest_first_and_what_is_forgotten_leaves_the_others_as_they_were() -> None:
    tracker = Tracker()
    for k in range(10):
        rows = [detection(20.0, 0.0)] * (k == 0) + [detection(30.0, 0.1 * k)]
        out = tracker(np.concatenate(rows), k * DT, 0.0, 0.0, 0.6)
    (track,) = tracker.tracks
    assert out["track"].tolist() == [2]
    np.testing.assert_allclose(track["trail"][:10, 0], np.arange(9, -1, -1) * DT)
    np.testing.assert_allclose(track["trail"][:10, 2], np.arange(9, -1, -1) * DT, atol=1e-6)
    assert np.isneginf(track["trail"][10:, 0]).all()
