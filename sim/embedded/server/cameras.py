"""Cameras: what the renderer draws, in CARLA's pixel formats.

Pixels travel as BGRA, row 0 on top. Depth is a 24-bit number over 1000 m with its low byte in R; a semantic tag is in
R; an instance is its tag in R and the low and high byte of the actor's id in G and B.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import radians
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.server import wire
from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.blur import Blur
from roadcraft.sim.embedded.server.noise import Noise
from roadcraft.sim.embedded.server.optics import Optics
from roadcraft.sim.errors import UserError
from roadcraft.sim.kernels import njit

if TYPE_CHECKING:
    from roadcraft.sim.embedded.render import Images, Renderer, View
    from roadcraft.sim.embedded.server.live import LiveWorld
    from roadcraft.sim.embedded.town import Town

FAR = 1000.0  # [m] full scale of a depth image
MOST_PIXELS = 4096 * 4096
FIELDS_OF_VIEW = (1.0, 170.0)  # [degrees]

NUMBERS = {
    "sensor.camera.rgb": wire.RGB,
    "sensor.camera.depth": wire.DEPTH,
    "sensor.camera.semantic_segmentation": wire.SEMANTIC,
    "sensor.camera.instance_segmentation": wire.INSTANCE,
    "sensor.camera.normals": wire.NORMALS,
    "sensor.camera.optical_flow": wire.OPTICAL_FLOW,
    "sensor.camera.dvs": wire.DVS,
    "sensor.camera.cosmos_visualization": wire.COSMOS,
}
NEEDS = {
    wire.RGB: frozenset({"bgra"}),
    wire.DEPTH: frozenset({"depth"}),
    wire.SEMANTIC: frozenset({"semantic"}),
    wire.INSTANCE: frozenset({"semantic", "instance"}),
}


@njit
def _depth(depth, out):  # type: ignore[no-untyped-def]
    """(H, W) metres into 24 bits, R low."""
    for i in range(depth.shape[0]):
        for j in range(depth.shape[1]):
            value = np.uint32(min(max(depth[i, j] / 1000.0, 0.0), 1.0) * 16777215.0)
            out[i, j, 2], out[i, j, 1], out[i, j, 0] = value & 255, value >> 8 & 255, value >> 16 & 255


@njit
def _tags(semantic, out):  # type: ignore[no-untyped-def]
    """(H, W) tags into R."""
    for i in range(semantic.shape[0]):
        for j in range(semantic.shape[1]):
            out[i, j, 2] = semantic[i, j]


@njit
def _instances(semantic, instance, out):  # type: ignore[no-untyped-def]
    """(H, W) tags into R, ids into G (low) and B (high)."""
    for i in range(semantic.shape[0]):
        for j in range(semantic.shape[1]):
            out[i, j, 2], out[i, j, 1] = semantic[i, j], instance[i, j] & 255
            out[i, j, 0] = instance[i, j] >> 8 & 255


@cache
def drawing() -> ModuleType:
    """The renderer's package, imported when first needed: a server without cameras starts without it."""
    from roadcraft.sim.embedded import render

    return render


class Camera:
    """One camera's format and buffer."""

    needs: frozenset[str] = frozenset()  # what it asks of the renderer; the class's, or the instance's

    def __init__(self, actor: Actor) -> None:
        self.number = NUMBERS[actor.type_id]
        self.width, self.height = int(actor.number("image_size_x")), int(actor.number("image_size_y"))
        self.fov = actor.number("fov")
        if not (self.width >= 1 and self.height >= 1 and self.width * self.height <= MOST_PIXELS):
            raise UserError(f"{actor.type_id}: an image of {self.width} x {self.height} pixels cannot be")
        if not FIELDS_OF_VIEW[0] <= self.fov <= FIELDS_OF_VIEW[1]:
            raise UserError(f"{actor.type_id}: fov = {self.fov:g} is outside {FIELDS_OF_VIEW} degrees")
        self.head = struct.pack("<IIf", self.width, self.height, self.fov)
        self.needs = self.needs or NEEDS[self.number]
        photo = self.number == wire.RGB
        self.optics = Optics(actor, self.width, self.height, photo)
        self.noise = Noise(actor) if photo else None
        self.blur = Blur(actor, self.width, self.height) if photo else None
        if self.blur is not None and self.blur.open:
            self.needs = frozenset({"rgb", "depth", "instance"})
        noisy = self.noise is not None and not self.noise.none
        self.straight = self.needs == {"bgra"} and self.optics.plain and not noisy  # the renderer's pixels as they are
        self.pixels: NDArray[np.uint8] = np.zeros((0, 0, 4), np.uint8)

    def view(self, actor: Actor) -> View:
        """Where it looks from and how."""
        pose = actor.pose
        view: View = drawing().View(
            pose.xyz, pose.yaw, pose.pitch, pose.roll, self.width, self.height, radians(self.fov)
        )
        return view

    def canvas(self) -> NDArray[np.uint8]:
        """(H, W, 4) BGRA, opaque; the same at every call."""
        if not self.pixels.size:
            self.pixels = np.zeros((self.height, self.width, 4), np.uint8)
            self.pixels[..., 3] = 255
        return self.pixels

    def rest(self) -> None:
        """Nobody listened to a tick: the next picture is a first one."""
        if self.blur is not None:
            self.blur.rest()

    def encode(self, images: Images, view: View, live: LiveWorld, actor: Actor) -> memoryview | bytes:
        """The pixels on the wire, or nothing if there is no message; the buffer is used again by the next call."""
        if self.straight:
            assert images.bgra is not None
            return images.bgra.data.cast("B")
        pixels = self.canvas()
        if self.blur is not None and self.blur.open:
            self.blur(images, view, live, pixels)
        elif self.number == wire.RGB:
            assert images.bgra is not None
            pixels.view(np.uint32)[..., 0] = images.bgra
        elif self.number == wire.DEPTH:
            _depth(images.depth, pixels)
        elif self.number == wire.SEMANTIC:
            _tags(images.semantic, pixels)
        elif self.number == wire.INSTANCE:
            _instances(images.semantic, images.instance, pixels)
        self.optics(pixels)
        if self.noise is not None:
            self.noise(pixels)
        return pixels.data.cast("B")


@dataclass(slots=True)
class Shot:
    """One rendering and the cameras that use it."""

    view: View
    hide: int  # id of the body that is not drawn, 0 for none
    cameras: list[Actor]


class Cameras:
    """Renders what the cameras of a tick need, each view once."""

    def __init__(self) -> None:
        self.town: Town | None = None
        self.renderer: Renderer | None = None

    def load(self, town: Town) -> Renderer:
        """The renderer of that town."""
        if self.renderer is None or self.town is not town:
            self.town, self.renderer = town, drawing().Renderer(town)
        return self.renderer

    def shots(self, live: LiveWorld, cameras: list[Actor]) -> list[Shot]:
        """Cameras grouped by what they see, in the order of the first of each group."""
        if len(cameras) == 1:  # as hashing a view takes longer than making it
            return [Shot(cameras[0].sensor.view(cameras[0]), live.mounted_in(cameras[0]), cameras)]
        found: dict[tuple[View, int, tuple[int, ...]], Shot] = {}
        for actor in cameras:
            view, hide = actor.sensor.view(actor), live.mounted_in(actor)
            found.setdefault((view, hide, actor.ignored), Shot(view, hide, [])).cameras.append(actor)
        return list(found.values())

    def images(self, live: LiveWorld, cameras: list[Actor]) -> Iterator[tuple[Actor, tuple[memoryview | bytes, ...]]]:
        """Each camera with its payload, which is valid until the next one and empty where there is nothing to send."""
        if not cameras:
            return
        renderer = self.load(live.shown.town)
        simulation = live.simulation
        since = simulation.time - live.blinks_from
        lines = live.debug_shapes.lines(simulation.time, live.frame)
        for shot in self.shots(live, cameras):
            bodies = live.seen_by(shot.cameras[0])
            scene = drawing().Scene(bodies, simulation.lights.state, simulation.weather, since)
            needs = frozenset().union(*(actor.sensor.needs for actor in shot.cameras))
            painted = lines is not None and not needs.isdisjoint(("rgb", "bgra"))
            images = renderer.render(
                scene,
                shot.view,
                rgb="rgb" in needs,
                semantic="semantic" in needs,
                instance="instance" in needs,
                depth=painted or "depth" in needs,
                bgra="bgra" in needs,
                hide=shot.hide,
            )
            if painted:
                drawing().paint_lines(lines, shot.view, images)
            for actor in shot.cameras:
                content = actor.sensor.encode(images, shot.view, live, actor)
                yield actor, (actor.sensor.head, content) if content else ()
