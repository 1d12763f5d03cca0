"""Cameras and ray casts on a CPU: a scanline z-buffer over a baked ground, compiled by numba."""

from roadcraft.sim.embedded.render.overlay import paint_lines
from roadcraft.sim.embedded.render.renderer import Renderer
from roadcraft.sim.embedded.render.views import Images, Scene, View

__all__ = ["Images", "Renderer", "Scene", "View", "paint_lines"]
