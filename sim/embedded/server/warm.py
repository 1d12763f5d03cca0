"""Compiles the simulator's kernels before anybody waits for a tick.

numba keeps what it compiled beside the sources. The first server on a machine compiles everything, cameras and rays
too, so that no client times out in its first picture; a note in the cache says that this was done, and later servers
load only what each tick needs.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numba
import numpy as np

from roadcraft.sim.cache import cached, digest
from roadcraft.sim.embedded.server.cameras import Cameras
from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.sensors import equipment
from roadcraft.sim.embedded.server.wire import Pose
from roadcraft.sim.embedded.town import Town
from roadcraft.sim.errors import UserError

log = logging.getLogger(__name__)
PACKAGE = Path(__file__).parents[2]  # the folder `sim`
BLUEPRINTS = ("vehicle.lincoln.mkz_2020", "walker.pedestrian.0001")
CAMERAS = ("rgb", "depth", "semantic_segmentation", "instance_segmentation", "normals", "optical_flow", "dvs")


def warm_up(town: Town) -> None:
    """One tick of a small world; on the first start of this version also a picture of each kind and some rays."""
    live = LiveWorld(town, "")
    for name, (x, y, yaw) in zip(BLUEPRINTS, town.network.spawns.tolist(), strict=False):
        live.spawn(name, [], Pose(x, y, 1.0, yaw))
    live.step(0.05)
    live.snapshots.pack(live, 0.05, 0)
    sources = (file.read_bytes() for file in sorted(PACKAGE.rglob("*.py")))
    cached(f"kernels-{digest(str(PACKAGE), numba.__version__, *sources)}", lambda: _compile(live))


def _compile(live: LiveWorld) -> dict[str, np.ndarray]:
    log.info("compiling the simulator's kernels, once: about a minute")
    eyes = []
    for kind in CAMERAS:
        size = [["image_size_x", 2, "64"], ["image_size_y", 2, "36"]]
        eyes.append(live.spawn(f"sensor.camera.{kind}", size, Pose(0.0, 0.0, 5.0)))
    try:
        for eye in eyes:
            eye.sensor = equipment(eye)
        cameras = Cameras()
        for _ in range(2):  # some pictures compare themselves with the one before
            for _ in cameras.images(live, eyes):
                pass
        live.rays.cast((0.0, 0.0, 2.0), np.array([[1.0, 0.0, 0.0]]), 50.0, live.simulation.bodies)
    except UserError as error:  # a map that cannot be drawn can still be driven on
        log.warning("cameras do not work on this map: %s", error)
    return {"done": np.ones(1)}
