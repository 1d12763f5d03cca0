"""The shipped network after a minute of driving sees what it sees after some seconds."""

from __future__ import annotations

import numpy as np

from roadcraft.control.drivers import load_driver
from roadcraft.perception.engines import load_engine
from roadcraft.perception.evaluate import labelled_drive
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed

LONG, SHORT = 240, 40  # frames at 10 Hz


def test_a_long_drive_is_forgotten() -> None:
    world = EmbeddedWorld()
    drive = list(labelled_drive(world, episode_from_seed(990), load_driver("expert"), frames=LONG))
    world.close()
    old, new = load_engine("onnxruntime", "f32"), load_engine("onnxruntime", "f32")
    for k, seen in enumerate(drive):
        old(seen.observation)
        if k >= len(drive) - SHORT:
            new(seen.observation)
    assert len(drive) == LONG
    for name in ("masks", "peaks", "scene"):
        assert np.abs(old.heads[name] - new.heads[name]).max() < 0.03
