"""Senses switched off or given by the facts: just that one changes."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from control_scenes import percept, tick

from roadcraft.control.drivers import NetworkDriver
from roadcraft.control.senses import Senses
from roadcraft.perception.percept import OBJECT, Percept
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Kind, Observation

OBJECTS = np.zeros(2, OBJECT)
OBJECTS["kind"], OBJECTS["track"] = (Kind.CAR, Kind.PEDESTRIAN), (1, 2)
SEEN = percept(3, objects=OBJECTS, light=np.array([0.9, 0.0, 0.0, 0.1]), light_distance=12.0)


def changed(a: Percept, b: Percept) -> set[str]:
    """Names of the fields that differ."""
    return {f.name for f in fields(Percept) if not np.array_equal(getattr(a, f.name), getattr(b, f.name), True)}


@pytest.mark.parametrize(
    ("sense", "names"),
    [
        ("lanes", {"lanes_ego", "lane_prob", "lane_marks"}),
        ("lights", {"light", "light_distance", "stop_prob"}),
        ("vehicles", {"objects"}),
        ("pedestrians", {"objects"}),
        ("memory", set()),
    ],
)
def test_a_sense_left_out_says_nothing_and_the_others_all_they_said(sense: str, names: set[str]) -> None:
    out = Senses(without=(sense,))(tick(3), SEEN)
    assert changed(out, SEEN) == names
    kinds = {"vehicles": [Kind.PEDESTRIAN], "pedestrians": [Kind.CAR]}.get(sense, [Kind.CAR, Kind.PEDESTRIAN])
    assert out.objects["kind"].tolist() == kinds
    assert (out.light[3] == 1.0) == (sense == "lights")
    assert np.isnan(out.lanes_ego).all() == (sense == "lanes")


def test_an_exact_sense_is_the_facts() -> None:
    now = tick(3)
    out = Senses(exact=("lights",))(now, SEEN)
    assert out.light_distance == np.inf  # no light governs there
    assert changed(out, SEEN) == {"light", "light_distance"}
    assert Senses(exact=("vehicles",))(now, SEEN).objects["kind"].tolist() == [Kind.PEDESTRIAN]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"without": ("sonar",)}, "sonar"),
        ({"exact": ("memory",)}, "memory"),
        ({"without": ("lights",), "exact": ("lights",)}, "one of the two"),
    ],
)
def test_what_cannot_be_is_named(asked: dict[str, tuple[str, ...]], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Senses(**asked)


def test_without_memory_perception_begins_anew_with_every_frame() -> None:
    class Counting:
        name, precision, resets = "counting", "f32", 0

        def reset(self) -> None:
            self.resets += 1

        def __call__(self, observation: Observation) -> Percept:
            return percept(observation.frame)

    counts = []
    for senses in (Senses(), Senses(without=("memory",))):
        driver = NetworkDriver(engine := Counting(), senses=senses)
        for frame in range(5):
            driver(tick(frame))
        counts.append(engine.resets)
    assert counts[1] - counts[0] == 5
