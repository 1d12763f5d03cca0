"""Events that geometry tells: who is in the way or about to be, and a light that was seen to change."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from roadcraft.perception.anticipation import CHANGED, CROSSING, CUT_IN, anticipated, entering
from roadcraft.perception.percept import OBJECT
from roadcraft.perception.tracker import TRACK

STRAIGHT = np.stack([np.arange(60.0), np.zeros(60)], -1)
BEND = np.stack([30.0 * np.sin(np.arange(60.0) / 30.0), 30.0 - 30.0 * np.cos(np.arange(60.0) / 30.0)], -1)
RED, NONE = np.array([0.9, 0.05, 0.0, 0.05]), np.array([0.0, 0.0, 0.1, 0.9])
LONG_AGO = (5.0, False)


def one(
    group: int, x: float, y: float, vx: float, vy: float, hits: int = 10, score: float = 0.8
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """An object and its track."""
    o, t = np.zeros(1, OBJECT), np.zeros(1, TRACK)
    o["xy_ego"], o["velocity_ego"] = (x, y), (vx, vy)
    t["hits"], t["score"], t["last"]["group"] = hits, score, group
    return o, t


@pytest.mark.parametrize(
    ("y", "vy", "crosses"),
    [
        (0.5, 0.0, True),  # stands in the way
        (3.5, -1.4, True),  # steps onto the street
        (-3.5, 1.4, True),
        (3.5, 1.4, False),  # goes away
        (3.5, 0.0, False),  # waits
        (6.0, -1.4, False),  # too far to be here within two seconds
    ],
)
def test_a_walker_crosses_who_is_in_the_way_or_will_be(y: float, vy: float, crosses: bool) -> None:
    cut_in, crossing = entering(*one(2, 15.0, y, 0.0, vy), STRAIGHT)
    assert (crossing > 0.5) is crosses
    assert cut_in == 0.0


def test_a_walker_is_judged_beside_the_way_that_bends() -> None:
    at = BEND[15]
    assert entering(*one(2, *at, 0.0, 0.0), BEND)[1] > 0.9
    assert entering(*one(2, *at, 0.0, 0.0), STRAIGHT)[1] < 0.1


def test_the_further_in_the_surer() -> None:
    sure = [entering(*one(2, 15.0, y, 0.0, 0.0), STRAIGHT)[1] for y in (0.0, 1.5, 2.1, 2.3, 3.0)]
    assert sure == sorted(sure, reverse=True)
    assert sure[2] > 0.5 > sure[3]


@pytest.mark.parametrize(
    ("y", "vx", "vy", "cuts_in"),
    [
        (3.5, 8.0, -1.5, True),  # comes over
        (1.2, 8.0, -1.0, True),  # is nearly over
        (3.5, 8.0, 0.0, False),  # drives beside
        (3.5, 8.0, 1.5, False),  # goes the other way
        (3.5, -8.0, -1.5, False),  # comes towards us
        (3.5, 0.0, -0.6, False),  # hardly moves
        (0.1, 8.0, 0.5, False),  # is our lead
    ],
)
def test_a_vehicle_cuts_in_that_comes_over_ahead_of_us(y: float, vx: float, vy: float, cuts_in: bool) -> None:
    cut_in, crossing = entering(*one(0, 15.0, y, vx, vy), STRAIGHT)
    assert (cut_in > 0.5) is cuts_in
    assert crossing == 0.0


def test_flickers_those_behind_and_those_far_ahead_are_nobody() -> None:
    for o, t in (one(2, 15.0, 0.0, 0.0, 0.0, hits=1), one(2, 15.0, 0.0, 0.0, 0.0, score=0.2)):
        assert entering(o, t, STRAIGHT) == (0.0, 0.0)
    for x in (-5.0, 45.0):
        assert entering(*one(2, x, 0.0, 0.0, 0.0), STRAIGHT) == (0.0, 0.0)


def test_a_light_that_was_seen_to_change_has_changed() -> None:
    learned = np.array([0.7, 0.9, 0.9, 0.1, 0.6])
    nobody = np.zeros(0, OBJECT), np.zeros(0, TRACK)
    for light, changed, said in (
        (RED, (0.5, False), True),
        (RED, LONG_AGO, False),
        (NONE, (0.5, False), False),  # the line is behind us
        (np.array([0.0, 0.9, 0.0, 0.1]), (3.0, True), True),  # a yellow one is about to change again
    ):
        out = anticipated(learned, *nobody, STRAIGHT, light, changed)
        assert bool(out[CHANGED] > 0.5) is said
        assert out[CUT_IN] == out[CROSSING] == 0.0  # nobody is there, whatever was learned
        np.testing.assert_array_equal(out[[0, 4]], learned[[0, 4]])
    assert anticipated(np.full(5, 0.8), *nobody, STRAIGHT, RED, LONG_AGO)[CHANGED] == 0.8  # what was learned counts too
