"""Percepts that arrive late: none too early, in order, the same for the same seed; zero changes nothing."""

from __future__ import annotations

import json
from itertools import pairwise
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeWorld, percept_of

from roadcraft.perception.delay import Delay, Latency, histogram
from roadcraft.perception.percept import Percept
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import DT, Control, Episode

MEASURED = histogram([0.004, 0.005, 0.006, 0.09, 0.26])


def percepts(count: int) -> list[Percept]:
    """Of successive ticks."""
    world = FakeWorld()
    ticks = [world.reset(Episode("grid")), *(world.step(Control()) for _ in range(count - 1))]
    return [percept_of(tick) for tick in ticks]


def arrived(delay: Delay, sent: list[Percept]) -> list[Percept | None]:
    """What each tick is decided on."""
    return [delay(percept.time, percept) for percept in sent]


def latency(rows: list[list[float]]) -> Latency:
    return Latency(tuple((least, most, count) for least, most, count in rows))


def test_zero_latency_hands_on_the_very_percept() -> None:
    sent: list[Percept | None] = [*percepts(5)]
    delay = Delay(Latency.of(0.0))
    assert all(delay(i * DT, percept) is percept for i, percept in enumerate([*sent, None, *sent]))


@pytest.mark.parametrize(("ms", "ticks"), [(100.0, 2), (50.0, 1), (1.0, 1), (51.0, 2), (400.0, 8)])
def test_a_percept_is_decided_on_at_the_first_tick_after_it_has_arrived(ms: float, ticks: int) -> None:
    sent = percepts(40)
    got = arrived(Delay(Latency.of(ms)), sent)
    assert got[:ticks] == [None] * ticks
    for now, percept in zip(sent[ticks:], got[ticks:], strict=True):
        assert percept is not None
        assert percept.frame == now.frame - ticks
        assert percept.time == pytest.approx(now.time - ticks * DT)
        assert percept.latency == pytest.approx(ms / 1e3)
        assert percept.age(now.time) == pytest.approx(ticks * DT)


def test_whatever_is_drawn_percepts_come_in_order_and_none_before_its_time() -> None:
    sent = percepts(400)
    got = arrived(Delay(latency(MEASURED), seed=3), sent)
    frames = [-1 if percept is None else percept.frame for percept in got]
    assert frames == sorted(frames)
    ages = np.array([now.frame - frame for now, frame in zip(sent, frames, strict=True)][10:])
    assert ages.min() == 1  # the fastest takes 4 ms, which is a tick
    assert ages.max() == 6  # the slowest 260 ms
    for before, now, percept in zip([None, *got], sent, got, strict=False):
        if percept is not None and percept is not before:
            assert now.frame - percept.frame == ceil(percept.latency / DT - 1e-6)  # its latency is what it took


def test_the_same_seed_has_the_same_delays_and_reset_begins_again() -> None:
    sent, delay = percepts(100), Delay(latency(MEASURED), seed=3)
    first = [p and p.frame for p in arrived(delay, sent)]
    delay.reset()
    assert [p and p.frame for p in arrived(delay, sent)] == first
    assert [p and p.frame for p in arrived(Delay(latency(MEASURED), seed=3), sent)] == first
    assert [p and p.frame for p in arrived(Delay(latency(MEASURED), seed=4), sent)] != first


def test_a_failed_frame_arrives_in_its_turn() -> None:
    sent = percepts(6)
    failing: list[Percept | None] = [*sent[:3], None, *sent[4:]]
    delay = Delay(Latency.of(50.0))
    got = [delay(i * DT, percept) for i, percept in enumerate(failing)]
    assert [percept and percept.frame for percept in got] == [None, 0, 1, 2, None, 4]


def test_a_percept_on_its_way_keeps_its_masks() -> None:
    """An engine writes the next frame's masks into the same arrays."""
    (percept,) = percepts(1)
    before = percept.drivable.copy()
    delay = Delay(Latency.of(50.0))
    delay(0.0, percept)
    percept.drivable[:] = 0.0
    late = delay(DT, None)
    assert late is not None
    np.testing.assert_array_equal(late.drivable, before)


def test_a_histogram_draws_what_was_measured() -> None:
    rng = np.random.default_rng(0)
    measured = rng.lognormal(-4.5, 0.6, 3000)
    rows = histogram(measured)
    assert len(rows) < 100
    assert sum(count for _, _, count in rows) == 3000
    assert all(least <= most <= 1.05 * least for least, most, _ in rows)
    assert all(most <= following for (_, most, _), (following, _, _) in pairwise(rows))
    drawn = [latency(rows).draw(rng) for _ in range(6000)]
    assert measured.min() <= min(drawn) <= max(drawn) <= measured.max()
    for share in (5, 50, 95, 99):
        assert np.percentile(drawn, share) == pytest.approx(np.percentile(measured, share), rel=0.15)
    assert histogram([0.01] * 3) == [[10.0, 10.0, 3]]


def test_latency_is_read_from_a_number_or_a_bench_json(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(json.dumps({"p50_ms": 1.0, "histogram": [[5, 7, 10], [90.0, 95.0, 1]]}))
    assert Latency.of(str(tmp_path / "bench.json")).rows == ((5.0, 7.0, 10.0), (90.0, 95.0, 1.0))
    assert Latency.of(100.0) == Latency.of("100") == Latency(((100.0, 100.0, 1.0),))
    assert Latency.of(None) == Latency()


@pytest.mark.parametrize("given", [-1.0, float("nan"), float("inf"), "-3", "nowhere.json", "."])
def test_a_bad_latency_is_named(given: float | str) -> None:
    with pytest.raises(UserError, match=f"latency {given}"):
        Latency.of(given)


@pytest.mark.parametrize(
    "text",
    ["", "[1]", "{}", "[]", '{"histogram": 5}', '{"histogram": []}', '{"histogram": [[1, 2]]}',
     '{"histogram": [[2, 1, 3]]}', '{"histogram": [[-1, 1, 3]]}', '{"histogram": [[1, 2, 0]]}',
     '{"histogram": [[1, NaN, 3]]}', '{"histogram": [["a", 2, 3]]}'],
)  # fmt: skip
def test_a_file_without_a_histogram_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(text)
    with pytest.raises(UserError, match=r"bench\.json"):
        Latency.of(str(tmp_path / "bench.json"))
