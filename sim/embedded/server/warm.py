"""Compiles the simulator's kernels before anybody waits for a tick.

numba keeps what it compiled. The first server on a machine compiles everything, cameras and rays too, so that no
client times out in its first picture; a note in the cache says that this was done, and later servers load only what
each tick needs. `roadcraft.launch.warm` does it sooner, side by side with what a driver needs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numba
import numpy as np

from roadcraft.sim import kernels
from roadcraft.sim.cache import cached, digest
from roadcraft.sim.embedded.server.cameras import Cameras
from roadcraft.sim.embedded.server.debug_shapes import Drawing
from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.sensors import equipment
from roadcraft.sim.embedded.server.wire import Pose
from roadcraft.sim.embedded.town import Town
from roadcraft.sim.errors import UserError

log = logging.getLogger(__name__)
KERNELS = kernels.ROOT / "sim" / "kernels.py"  # what a module with kernels imports
BLUEPRINTS = ("vehicle.lincoln.mkz_2020", "walker.pedestrian.0001")
CAMERAS = ("rgb", "depth", "semantic_segmentation", "instance_segmentation", "normals", "optical_flow", "dvs")
CHOSEN = [["image_size_x", 2, "64"], ["image_size_y", 2, "36"], ["gamma", 3, "2.0"], ["noise_stddev", 3, "1.0"]]


def warm_up(town: Town) -> None:
    """One tick of a small world; on the first start of this version also a picture of each kind and some rays."""
    live = small_world(town)
    tick(live)
    pictures(live)


def once(what: str, work: Callable[[], None], *packages: str) -> None:
    """Does some work unless it was done on this machine for the present kernels of these packages of Roadcraft."""

    def done() -> dict[str, np.ndarray]:
        work()
        return {"done": np.ones(1)}

    files = (file for package in packages for file in (kernels.ROOT / package).rglob("*.py"))
    compiled = {each for file in files if KERNELS in kernels.imports(file) for each in kernels.closure(file)}
    parts = (part for file in sorted(compiled) for part in (str(file.relative_to(kernels.ROOT)), file.read_bytes()))
    cached(f"{what}-{digest(numba.__version__, *parts)}", done)


def small_world(town: Town) -> LiveWorld:
    """A car and a walker in a town."""
    live = LiveWorld(town, "")
    for name, (x, y, yaw) in zip(BLUEPRINTS, town.network.spawns.tolist(), strict=False):
        live.spawn(name, [], Pose(x, y, 1.0, yaw))
    return live


def tick(live: LiveWorld) -> None:
    """Compiles what each tick needs."""
    live.step(0.05)
    live.snapshots.pack(live, 0.05, 0)


def pictures(live: LiveWorld) -> None:
    """Compiles what cameras of every kind and rays need, once on a machine."""
    once("kernels", lambda: _pictures(live), "sim")


def _pictures(live: LiveWorld) -> None:
    log.info("compiling the kernels of cameras, once: some minutes")
    eyes = []
    for kind in CAMERAS:
        eyes.append(live.spawn(f"sensor.camera.{kind}", CHOSEN, Pose(0.0, 0.0, 5.0)))
    try:
        for eye in eyes:
            eye.sensor = equipment(eye)
        cameras = Cameras()
        live.debug_shapes.add(Drawing([((3.0, 0.0, 5.0), (3.0, 1.0, 5.0))], 0.1, False, (255, 0, 0), 1.0), 0.0, 0)
        for _ in range(2):  # some pictures compare themselves with the one before
            for _ in cameras.images(live, eyes):
                pass
        live.rays.cast((0.0, 0.0, 2.0), np.array([[1.0, 0.0, 0.0]]), 50.0, live.simulation.bodies)
    except UserError as error:  # a map that cannot be drawn can still be driven on
        log.warning("cameras do not work on this map: %s", error)
