"""When a station tells of itself: ETSI EN 302 637-2, 6.1.3."""

from __future__ import annotations

from itertools import pairwise
from math import radians

import pytest

from roadcraft.sim.embedded.server.awareness import Awareness, Motion

REST = Motion((0.0, 0.0, 0.0), 0.0, 0.0)
TICK = 0.05  # s


def messages(rules: Awareness, motions: list[Motion], roadside: bool = False) -> list[float]:
    """Seconds between the messages, one motion a tick."""
    sent = [TICK * k for k, motion in enumerate(motions) if rules.due(TICK * k, motion, roadside)]
    return [round(b - a, 2) for a, b in pairwise(sent)]


def rules(fixed: bool = False) -> Awareness:
    return Awareness(0.1, 1.0, fixed)


@pytest.mark.parametrize(
    ("moved", "soon"),
    [
        (REST._replace(xyz=(4.1, 0.0, 0.0)), True),
        (REST._replace(xyz=(3.9, 0.0, 0.0)), False),
        (REST._replace(yaw=radians(4.1)), True),
        (REST._replace(yaw=radians(-3.9)), False),
        (REST._replace(speed=0.51), True),
        (REST._replace(speed=-0.49), False),
    ],
)
def test_what_changes_is_told_at_once(moved: Motion, soon: bool) -> None:
    assert messages(rules(), [REST] * 6 + [moved] * 30)[0] == (0.3 if soon else 1.0)


def test_after_a_change_three_messages_keep_its_pace() -> None:
    moved = REST._replace(speed=5.0)
    assert messages(rules(), [REST] * 8 + [moved] * 80) == [0.4, 0.4, 0.4, 0.4, 1.0, 1.0]


def test_never_sooner_than_the_shortest_nor_later_than_the_longest() -> None:
    racing = [REST._replace(xyz=(5.0 * k, 0.0, 0.0)) for k in range(20)]
    assert set(messages(rules(), racing)) == {0.1}
    assert set(messages(rules(), [REST] * 90)) == {1.0}


def test_a_fixed_rate_and_the_roadside_do_not_look_at_motion() -> None:
    assert set(messages(rules(fixed=True), [REST] * 20)) == {0.1}
    racing = [REST._replace(xyz=(5.0 * k, 0.0, 0.0)) for k in range(40)]
    assert set(messages(rules(), racing, roadside=True)) == {0.5}


def test_north_is_not_a_change_of_heading() -> None:
    before, behind = REST._replace(yaw=radians(179.0)), REST._replace(yaw=radians(-179.0))
    assert messages(rules(), [before] * 3 + [behind] * 30)[0] == 1.0
