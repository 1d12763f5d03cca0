"""Clips begin where they are asked to begin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from fakes import FakeWorld

from roadcraft.control.decision import Decision
from roadcraft.control.drivers import load_driver
from roadcraft.perception.data import CLOSE, Recipe, record_episode, somebody_ahead
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.messages import ACTOR, Control, Episode, Traffic


def test_a_queueing_clip_begins_behind_somebody_and_is_whole() -> None:
    recipe = Recipe(frames=3, clips=1, jitter=0.0, swerve=0.0, queue=1.0)
    episode = episode_from_seed(2, traffic=Traffic(60, 0), scenarios=())
    clips = list(record_episode(EmbeddedWorld(), episode, load_driver("expert"), recipe, np.random.default_rng(0)))
    assert [len(frames) for _, frames in clips] == [3]
    first = clips[0][1][0][0]
    assert somebody_ahead(first.facts)
    assert first.observation.rgb is not None


def test_a_drive_that_leaves_its_way_between_clips_has_only_whole_clips() -> None:
    recipe = Recipe(frames=2, clips=2, skip=400, jitter=0.0, swerve=0.0, queue=0.0)
    episode = episode_from_seed(2, traffic=Traffic(0, 0), scenarios=())
    circles = lambda tick: Decision(None, tick.observation.route_ego[:0], Control(), Control(0.6, 0.6))  # noqa: E731
    clips = list(record_episode(EmbeddedWorld(), episode, circles, recipe, np.random.default_rng(0)))
    assert [len(frames) for _, frames in clips] == [2]


def test_ahead_is_ahead_not_behind_nor_in_the_next_lane() -> None:
    facts = FakeWorld().reset(Episode("grid", 0)).facts
    x, y, yaw = facts.pose
    for along, across, there in ((CLOSE[0] - 1, 0.0, True), (-5.0, 0.0, False), (5.0, 3.5, False), (20.0, 0.0, False)):
        actors = np.zeros(1, ACTOR)
        actors["xyz"][0, :2] = (
            x + along * np.cos(yaw) - across * np.sin(yaw),
            y + along * np.sin(yaw) + across * np.cos(yaw),
        )
        assert somebody_ahead(replace(facts, actors=actors)) == there
