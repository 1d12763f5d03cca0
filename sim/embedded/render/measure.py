"""How fast the renderer is, as a ratio that means the same on every machine.

The reference is one linear `cv2.warpPerspective` of a 256x144 image of three channels. Both run in one thread, turn by
turn; the medians of many short turns are compared, in processor time so that neighbours on the machine do not count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import radians
from statistics import median
from time import thread_time

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.catalogue import CATALOGUE
from roadcraft.sim.embedded.render.renderer import Renderer
from roadcraft.sim.embedded.render.views import Scene, View
from roadcraft.sim.embedded.scenery import Scenery, Shape
from roadcraft.sim.embedded.town import Town, load_town
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Kind, LightState, Weather
from roadcraft.sim.roads import LaneKind

VEHICLES, WALKERS, BUILDINGS = 30, 10, 20
STREET = 150.0  # [m] of street that is furnished
CAMERAS = 60  # places along it, one a frame
SIDE = radians(60.0)  # between neighbours of three cameras
RAINY_NIGHT = Weather(90.0, 70.0, 60.0, 30.0, -1.0, -40.0, 8.0, wetness=80.0)


def street(style: str = "arterial", seed: int = 0) -> tuple[Town, NDArray[np.void], list[View]]:
    """A street of a town with VEHICLES, WALKERS, the BUILDINGS nearest to it and all else that stands there, and
    cameras that drive along it."""
    town = load_town(style)
    network, rng = town.network, np.random.default_rng(seed)
    x, y, yaw = (float(v) for v in network.spawns[0])
    along = np.array([np.cos(yaw), np.sin(yaw)])
    middle = np.array([x, y]) + along * STREET / 2
    static = town.scenery.static
    distance = np.linalg.norm(static["xyz"][:, :2] - middle, axis=1)
    houses = np.flatnonzero(static["shape"] == Shape.BUILDING)
    keep = (distance < STREET) & (static["shape"] != Shape.BUILDING)
    keep[houses[np.argsort(distance[houses])[:BUILDINGS]]] = True
    bodies = np.zeros(VEHICLES + WALKERS, BODY)
    for i, row in enumerate(bodies):
        walks = i >= VEHICLES
        on, most = (LaneKind.SIDEWALK, WALKERS) if walks else (LaneKind.DRIVING, VEHICLES)
        kinds = [b for b in CATALOGUE if b.kind <= Kind.PEDESTRIAN and (b.kind == Kind.PEDESTRIAN) == walks]
        ahead = 8 + (i - VEHICLES * walks) / most * STREET + rng.uniform(0, 3)
        lane, s, _ = network.nearest(np.array([x, y]) + along * ahead, yaw + np.pi * (i % 2), 1 << on)
        px, py, heading, _ = network.point(lane, s)
        blueprint = kinds[int(rng.integers(len(kinds)))]
        row["id"], row["kind"], row["blueprint"] = i + 1, blueprint.kind, CATALOGUE.index(blueprint)
        row["xyz"], row["yaw"], row["extent"] = (px, py, 0), heading, blueprint.extent
        row["color"], row["lights"], row["speed"] = rng.integers(30, 230, 3), 3 | 8 * (i % 3 == 0), 1.4
    cameras = []
    for ahead in np.linspace(0, STREET / 2, CAMERAS):
        lane, s, _ = network.nearest(np.array([x, y]) + along * ahead, yaw)
        px, py, heading, _ = network.point(lane, s)
        cameras.append(View((px, py, 1.5), heading, width=256, height=144, fov=radians(90.0)))
    return replace(town, scenery=Scenery(static[keep])), bodies, cameras


def reference() -> Callable[[], object]:
    """One call warps one image. UserError where OpenCV is not installed."""
    try:
        import cv2
    except ImportError:
        raise UserError("render_ratio compares with OpenCV: install opencv-python") from None
    cv2.setNumThreads(1)
    source = np.random.default_rng(0).integers(0, 255, (2000, 2400, 3), np.uint8)
    matrix = np.array([[1.0, 0.3, 10.0], [0.05, 2.0, 40.0], [0.0, 0.004, 1.0]], np.float32)
    out = np.empty((144, 256, 3), np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return lambda: cv2.warpPerspective(source, matrix, (256, 144), dst=out, flags=flags)


def rate(call: Callable[[], object], calls: int = 20) -> float:
    """Calls a second of processor time."""
    begin = thread_time()
    for _ in range(calls):
        call()
    return calls / (thread_time() - begin)


def measure(turns: int = 25) -> dict[str, float]:
    """Frames a second and ratios, by day and in rain at night: RGB, semantic, instance and depth in each frame.

    Of three cameras, a frame is all three pictures.
    """
    town, bodies, cameras = street()
    renderer = Renderer(town)
    states = np.full(len(town.network.signals), int(LightState.RED), np.uint8)
    labels = {"semantic": True, "instance": True, "depth": True}

    def film(weather: Weather, width: int = 256, height: int = 144, yaw: float = 0.0) -> Callable[[], object]:
        views = [replace(view, width=width, height=height, yaw=view.yaw + yaw) for view in cameras]
        scene, counter = Scene(bodies, states, weather), iter(range(10**9))
        return lambda: renderer.render(scene, views[next(counter) % CAMERAS], **labels)

    def film_three() -> Callable[[], object]:
        """Ahead, to the left and to the right."""
        ways = [film(Weather(), width=800, height=600, yaw=turn) for turn in (0.0, SIDE, -SIDE)]
        return lambda: [way() for way in ways]

    calls = {
        "render_fps": film(Weather()),
        "reference_fps": reference(),
        "render_fps_weather": film(RAINY_NIGHT),
        "reference_fps_weather": reference(),
        "render_fps_640x360": film(Weather(), width=640, height=360),
        "render_fps_800x600": film(Weather(), width=800, height=600),
        "render_fps_three_800x600": film_three(),
    }
    found: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(turns + 1):
        for name, call in calls.items():
            figure = rate(call)
            if turn:  # the first turn warms up
                found[name].append(figure)
    figures = {name: median(values) for name, values in found.items()}
    ratios = {
        "render_ratio": figures["render_fps"] / figures["reference_fps"],
        "render_ratio_weather": figures["render_fps_weather"] / figures["reference_fps_weather"],
    }
    return {name: round(value, 3) for name, value in (ratios | figures).items()}
