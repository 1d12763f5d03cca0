"""Who has made the stop at a sign: of two whose ways cross one, who waited longest first, each body's wait its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.server.stop_signs import AGAIN, GAP, PATIENT, RESTS, STOP, StopSigns
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.messages import Kind

BEFORE = 4.0  # [m] of a car's middle before the line
SPEED = 4.0  # [m/s] of who comes along


class Crossing(NamedTuple):
    """Two signed lanes of the grid whose ways cross, and a lane within the junction that crosses that of the first."""

    signs: StopSigns
    lanes: tuple[int, int]
    inside: int

    def car(self, number: int, lane: int, before: float = BEFORE) -> NDArray[np.void]:
        """One that stands before the line of a lane."""
        found = np.zeros(1, BODY)
        found["id"], found["kind"], found["lane"], found["extent"] = number, int(Kind.CAR), lane, (2.4, 1.0, 0.7)
        found["lane_s"] = self.signs.signs.stop_s[lane] - before
        return found


@pytest.fixture
def crossing() -> Crossing:
    network = load_town("grid").network
    stops = network.lanes["stop"]
    lane, other, met = next(
        (int(lane), int(other), int(met))
        for lane in np.flatnonzero(stops >= 0)
        for way in network.successors(int(lane))
        for met in network.conflicts(way)
        for other in network.predecessors(int(met))
        if other != lane and stops[other] >= 0
    )
    return Crossing(StopSigns(network), (lane, other), met)


def both(crossing: Crossing) -> NDArray[np.void]:
    return np.concatenate([crossing.car(1 + k, lane) for k, lane in enumerate(crossing.lanes)])


def test_of_two_whose_ways_cross_one_is_told_green(crossing: Crossing) -> None:
    signs, bodies = crossing.signs, both(crossing)
    signs.step(bodies, STOP - 0.1)
    assert not signs.go.any()
    signs.step(bodies, 0.1)
    assert signs.go.tolist() == [True, False]
    for _ in range(10):
        signs.step(bodies, AGAIN)
        assert signs.go.tolist() == [True, False]
    bodies[0]["id"] = 0
    signs.step(bodies, AGAIN)
    assert signs.go.tolist() == [False, True]


def test_who_has_to_let_another_at_a_sign_go_is_not_held(crossing: Crossing) -> None:
    """The TrafficManager has its own order of those, and each would wait for the other."""
    crossing.signs.step(both(crossing), STOP)
    assert crossing.signs.go.sum() == 1
    assert not crossing.signs.held.any()


def test_who_has_waited_longest_goes_first_whatever_the_row(crossing: Crossing) -> None:
    for first in (0, 1):
        signs, bodies = crossing.signs, both(crossing)
        signs.step(bodies[:0], 0.1)  # nobody is known any more
        alone = bodies.copy()
        alone[1 - first]["id"] = 0
        signs.step(alone, 0.3)
        signs.step(bodies, STOP)  # both have stopped long enough in this tick
        assert signs.waited[first] > signs.waited[1 - first]
        assert np.flatnonzero(signs.go).tolist() == [first]


def test_waits_are_kept_when_rows_are_added_and_lost_with_their_row_or_id(crossing: Crossing) -> None:
    signs, lane = crossing.signs, crossing.lanes[0]
    one, elsewhere = crossing.car(1, lane), crossing.car(7, crossing.inside, 0.0)
    elsewhere["lane"] = -1
    signs.step(np.concatenate([elsewhere, one]), 1.5)
    signs.step(np.concatenate([elsewhere, one, elsewhere]), 0.4)
    assert signs.waited == pytest.approx([0.0, 1.9, 0.0])
    signs.step(np.concatenate([elsewhere, one]), 0.0)
    assert signs.waited == pytest.approx([0.0, 1.9])
    signs.step(np.concatenate([elsewhere, crossing.car(2, lane)]), 0.2)
    assert signs.waited == pytest.approx([0.0, 0.2])
    signs.step(elsewhere, 0.1)
    signs.step(np.concatenate([elsewhere, crossing.car(2, lane)]), 0.1)
    assert signs.waited == pytest.approx([0.0, 0.1])


def test_who_is_over_the_line_stays_green_when_rows_are_added(crossing: Crossing) -> None:
    signs, one = crossing.signs, crossing.car(1, crossing.lanes[0], 0.0)
    signs.step(one, STOP)
    assert signs.go.tolist() == [True]
    crosses = crossing.car(2, crossing.inside)
    signs.step(np.concatenate([one, crosses]), 0.1)
    assert signs.go.tolist() == [True, False]


def test_a_tick_of_whole_seconds_does_not_round_the_next_one(crossing: Crossing) -> None:
    bodies = crossing.car(1, crossing.lanes[0])
    crossing.signs.step(bodies, 1)
    crossing.signs.step(bodies, 0.5)
    assert crossing.signs.waited.tolist() == [1.5]


@pytest.fixture
def side_road() -> tuple[Crossing, NDArray[np.void]]:
    """A car that stands at a suburb's sign, and one that comes along a long lane without a sign whose way crosses."""
    network = load_town("suburb").network
    stops, lengths = network.lanes["stop"], network.lanes["length"]
    lane, crosses = next(
        (int(lane), int(other))
        for lane in np.flatnonzero(stops >= 0)
        for way in network.successors(int(lane))
        for met in network.conflicts(way)
        for other in network.predecessors(int(met))
        if stops[other] < 0 and lengths[other] > SPEED * 2.0 * GAP
    )
    crossing = Crossing(StopSigns(network), (lane, crosses), crosses)
    return crossing, np.concatenate([crossing.car(1, lane), crossing.car(2, crosses)])


def comes(crossing: Crossing, bodies: NDArray[np.void], seconds: float, speed: float = SPEED) -> None:
    """Puts the other car so many seconds, at SPEED, before the junction."""
    end = crossing.signs.signs.length[crossing.lanes[1]] - bodies["extent"][1, 0]
    bodies[1]["lane_s"], bodies[1]["speed"] = end - SPEED * seconds, speed


def test_nobody_is_told_green_in_front_of_who_comes(side_road: tuple[Crossing, NDArray[np.void]]) -> None:
    """Only who will be there before the gap is over counts: who stands does not, and after a while nobody far does."""
    crossing, bodies = side_road
    signs = crossing.signs
    for seconds, speed, go in (
        (0.9 * GAP, SPEED, False),
        (0.9 * GAP, 0.0, True),
        (1.1 * GAP, SPEED, True),
        (0.9 * GAP, SPEED, True),  # it is on its way
        (0.4 * GAP, SPEED, False),
    ):
        comes(crossing, bodies, seconds, speed)
        signs.step(bodies, STOP)
        assert signs.go.tolist() == [go, False], (seconds, speed)
    while signs.waited[0] <= PATIENT:
        assert not signs.go[0]
        signs.step(bodies, AGAIN)
    assert signs.go[0]


def test_who_will_not_be_through_before_others_come_is_held(side_road: tuple[Crossing, NDArray[np.void]]) -> None:
    """From when it stands until nobody comes for a stop and a gap; then never again before it has gone."""
    crossing, bodies = side_road
    signs = crossing.signs
    comes(crossing, bodies, 0.9 * (GAP + STOP))
    bodies[0]["speed"] = 1.0
    signs.step(bodies, 0.05)
    assert not signs.held.any()
    bodies[0]["speed"] = 0.05
    signs.step(bodies, 0.05)
    assert signs.held.tolist() == [True, False]
    comes(crossing, bodies, 1.1 * (GAP + STOP))
    signs.step(bodies, 0.05)
    assert not signs.held.any()
    comes(crossing, bodies, 2.0)
    signs.step(bodies, 0.05)
    assert not signs.held.any()
    bodies[0]["id"] = 3  # another car, in the same row
    signs.step(bodies, 0.05)
    assert signs.held.tolist() == [True, False]
    while signs.waited[0] <= PATIENT:
        assert signs.held[0]
        signs.step(bodies, AGAIN)
    assert not signs.held.any()


def test_nobody_is_held_for_who_rests_inside(crossing: Crossing) -> None:
    """It may wait for the one at the sign; who creeps on, with stops between, does not."""
    waits, inside = crossing.car(1, crossing.lanes[0]), crossing.car(2, crossing.inside)

    def held_after(speed: float, seconds: float) -> bool:
        inside["speed"] = speed
        crossing.signs.step(np.concatenate([waits, inside]), seconds)
        return bool(crossing.signs.held[0])

    assert held_after(2.0, 0.05)
    for _ in range(4):
        assert held_after(0.0, RESTS - 0.1)
        assert held_after(0.5, 0.05)
    assert held_after(0.0, RESTS - 0.1)
    assert not held_after(0.0, 0.1)
