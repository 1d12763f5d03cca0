"""Cameras that nobody mounts: nothing is written beyond the buffers, and the pictures are whole."""

from __future__ import annotations

from dataclasses import replace
from math import radians
from typing import Any

import numpy as np
import pytest

from roadcraft.sim.embedded.render.measure import RAINY_NIGHT, street
from roadcraft.sim.embedded.render.renderer import Renderer
from roadcraft.sim.embedded.render.views import Scene, View
from roadcraft.sim.embedded.scenery import Shape
from roadcraft.sim.messages import Weather

GUARD, MARK = 4096, 0xA5  # bytes before and after each buffer, and what they hold
WEATHERS = [Weather(), RAINY_NIGHT, Weather(fog_density=60.0, cloudiness=60.0)]


@pytest.fixture(scope="module")
def place() -> tuple[Renderer, np.ndarray, list[View], np.ndarray]:
    town, bodies, cameras = street()
    static = town.scenery.static
    return Renderer(town), bodies, cameras, static[static["shape"] == Shape.BUILDING][0]["xyz"]


def guarded(buffers: Any, guards: list[np.ndarray]) -> Any:
    """The same named tuple of arrays, each between guards that are added to the list. What an array has to spare after
    its last number stays its own."""
    return type(buffers)(*(_guard(b, guards) if isinstance(b, np.ndarray) else guarded(b, guards) for b in buffers))


def _guard(array: np.ndarray, guards: list[np.ndarray]) -> np.ndarray:
    whole = array if array.base is None else array.base
    size = whole.size * array.itemsize
    raw = np.full(size + 2 * GUARD, MARK, np.uint8)
    guards += [raw[:GUARD], raw[GUARD + size :]]
    copy = raw[GUARD : GUARD + size].view(array.dtype)[: array.size].reshape(array.shape)
    copy[...] = array
    return copy


def check(place: Any, view: View, weather: Weather) -> None:
    """Draws all images of a view between guards."""
    renderer, bodies, _, _ = place
    size, guards = (view.width, view.height), list[np.ndarray]()
    renderer._buffers.pop(size, None)
    buffers, _ = renderer._prepare(view)
    renderer._buffers[size] = guarded(buffers, guards), {}
    wanted = {"semantic": True, "instance": True, "depth": True, "bgra": True}
    images = renderer.render(Scene(bodies, weather=weather), view, **wanted)
    del renderer._buffers[size]
    assert all((guard == MARK).all() for guard in guards), view
    assert ((images.depth > 0) & (images.depth <= 1000.5)).all(), view
    assert (images.semantic > 0).all(), view
    assert (images.bgra >> 24 == 255).all(), view


@pytest.mark.parametrize("weather", WEATHERS, ids=["day", "rainy night", "fog"])
def test_narrow_and_low_images_stay_within_their_buffers(place, weather) -> None:
    for width in range(1, 21):
        for height in (1, 2, 7, 16):
            check(place, replace(place[2][20], width=width, height=height), weather)


@pytest.mark.parametrize("weather", WEATHERS, ids=["day", "rainy night", "fog"])
@pytest.mark.parametrize("fov", [10.0, 90.0, 160.0])
def test_odd_cameras_stay_within_their_buffers(place, weather, fov) -> None:
    x, y, z = place[2][20].xyz
    for xyz in ((x, y, z), tuple(place[3] + (0.0, 0.0, 2.0)), (x, y, -1.0), (x, y, 0.0), (x, y, 300.0)):
        for turn in ({}, {"roll": radians(90.0)}, {"pitch": radians(-89.0)}, {"pitch": radians(80.0), "roll": 2.0}):
            check(place, replace(place[2][20], xyz=xyz, fov=radians(fov), width=83, height=45, **turn), weather)
