"""Events from facts: each happens in its scene and in no other."""

from __future__ import annotations

import numpy as np
import perception_fakes as fake
import pytest

from roadcraft.perception.events import EventWatch
from roadcraft.perception.percept import EVENTS
from roadcraft.sim.messages import Facts, Kind, LightState


def braking_lead(frame: int) -> Facts:
    rows = fake.actors((1, Kind.CAR, 18.0, 0.2, 0.0, 6.0))
    rows["braking"] = True
    return fake.facts(frame, actors=rows)


def cutting_in(frame: int) -> Facts:
    rows = fake.actors((1, Kind.CAR, 15.0, 2.5 - 0.06 * frame, -0.15, 8.0))
    return fake.facts(frame, actors=rows)


def crossing(frame: int) -> Facts:
    return fake.facts(frame, actors=fake.actors((1, Kind.PEDESTRIAN, 14.0, -2.8 + 0.07 * frame, np.pi / 2, 1.4)))


def changing_light(frame: int) -> Facts:
    state = LightState.GREEN if frame < 2 else LightState.YELLOW
    return fake.facts(frame, light=state, light_id="4", light_distance=30.0)


def blocked(frame: int) -> Facts:
    return fake.facts(frame, actors=fake.actors((1, Kind.PROP, 12.0, 0.0, 0.0, 0.0)))


def quiet(frame: int) -> Facts:
    """Oncoming, parked beside, walking on the pavement, behind."""
    rows = fake.actors(
        (1, Kind.CAR, 30.0, 3.5, np.pi, 8.0),
        (2, Kind.CAR, 12.0, -4.5, 0.0, 0.0),
        (3, Kind.PEDESTRIAN, 10.0, -6.0, 0.0, 1.2),
        (4, Kind.CAR, -8.0, 0.0, 0.0, 9.0),
    )
    return fake.facts(frame, actors=rows, light=LightState.GREEN, light_id="4", light_distance=30.0 - frame)


SCENES = dict(zip(EVENTS, (braking_lead, cutting_in, crossing, changing_light, blocked), strict=True))


@pytest.mark.parametrize("event", EVENTS)
def test_each_scene_shows_its_event_and_no_other(event: str) -> None:
    watch, happened = EventWatch(), np.zeros(len(EVENTS), bool)
    for frame in range(60):
        happened |= watch(SCENES[event](frame))
    assert [name for name, seen in zip(EVENTS, happened, strict=True) if seen] == [event]


def test_nothing_happens_on_a_quiet_street() -> None:
    watch = EventWatch()
    assert not any(watch(quiet(frame)).any() for frame in range(60))


def test_waiting_at_a_red_light_is_no_blocked_road() -> None:
    watch = EventWatch()
    rows = fake.actors((1, Kind.CAR, 10.0, 0.0, 0.0, 0.0))
    facts = [fake.facts(k, actors=rows, light=LightState.RED, light_id="1", light_distance=20.0) for k in range(80)]
    assert not any(watch(f).any() for f in facts)
