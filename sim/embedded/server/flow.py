"""How far each pixel of a camera came since its last picture: from depth, and from the motion of camera and bodies.

Bodies are rigid: what is worn and swung (limbs, wheels) moves with its body as one thing.
"""

# Kernels take arrays whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.kernels import njit

if TYPE_CHECKING:
    from roadcraft.sim.embedded.render import Images, View
    from roadcraft.sim.embedded.server.live import LiveWorld

SKY = 999.0  # [m] from which a pixel shows nothing
MOST_FLOW = 2.0  # CARLA's range, in half images
POSE = ["id", "xyz", "yaw", "pitch", "roll", "extent"]


def flow(
    depth: NDArray[np.float32],
    instance: NDArray[np.uint32],
    focal: float,
    place: NDArray[np.float64],
    axes: NDArray[np.float64],
    old_place: NDArray[np.float64],
    old_axes: NDArray[np.float64],
    slot: NDArray[np.int64],
    turns: NDArray[np.float64],
    shifts: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Motion of each pixel since the camera's last picture into `out` (H, W, 2), in CARLA's units: x to the right in
    half widths, y up in half heights.

    A point at world P now was at turns[s] P + shifts[s], s = slot[its body's id]; slot 0 is what stands still. In the
    camera's axes, then, what is at z (u, v, 1) now was at z ways[s] (u, v, 1) + starts[s].
    """
    ways = old_axes @ turns @ axes.T
    starts = (turns @ place + shifts - old_place) @ old_axes.T
    _flow(depth, instance, focal, slot, ways, starts, out)


@njit(error_model="numpy", _nrt=False)
def _flow(depth, instance, focal, slot, ways, starts, out):
    height, width = depth.shape
    across, up, over_focal = focal / (width / 2), focal / (height / 2), 1.0 / focal
    for i in range(height):
        v = (i + 0.5 - height / 2) * over_focal
        for j in range(width):
            u, z = (j + 0.5 - width / 2) * over_focal, depth[i, j]
            s, moved = 0, 0.0  # the sky is infinitely far: only turning moves it
            if z <= SKY:
                owner, moved = instance[i, j], 1.0
                if owner < len(slot):
                    s = slot[owner]
            way, start = ways[s], starts[s]
            old_x = (way[0, 0] * u + way[0, 1] * v + way[0, 2]) * z + moved * start[0]
            old_y = (way[1, 0] * u + way[1, 1] * v + way[1, 2]) * z + moved * start[1]
            old_z = (way[2, 0] * u + way[2, 1] * v + way[2, 2]) * z + moved * start[2]
            out[i, j, 0], out[i, j, 1] = 0.0, 0.0
            if old_z > 1e-3:  # it was in front of the camera
                over = 1.0 / old_z
                out[i, j, 0] = min(max((u - old_x * over) * across, -MOST_FLOW), MOST_FLOW)
                out[i, j, 1] = min(max((old_y * over - v) * up, -MOST_FLOW), MOST_FLOW)


def _rotations(bodies: NDArray[np.void]) -> NDArray[np.float64]:
    """(B, 3, 3) from bodies' axes to the world's: Rz(yaw) Ry(pitch) Rx(roll)."""
    cy, sy, cp, sp = np.cos(bodies["yaw"]), np.sin(bodies["yaw"]), np.cos(bodies["pitch"]), np.sin(bodies["pitch"])
    cr, sr = np.cos(bodies["roll"]), np.sin(bodies["roll"])
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def motions(
    now: NDArray[np.void], before: NDArray[np.void]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """slot (by id), turns (S, 3, 3) and shifts (S, 3) of `flow` for bodies that were there before; others stand."""
    now, before = now[now["id"] > 0], before[before["id"] > 0]
    _, here, there = np.intersect1d(now["id"], before["id"], return_indices=True)
    now, before = now[here], before[there]
    slot = np.zeros(int(now["id"].max(initial=0)) + 1, np.int64)
    slot[now["id"]] = 1 + np.arange(len(now))
    turns, shifts = np.tile(np.eye(3), (len(now) + 1, 1, 1)), np.zeros((len(now) + 1, 3))
    turns[1:] = _rotations(before) @ np.swapaxes(_rotations(now), 1, 2)
    shifts[1:] = before["xyz"] - (turns[1:] @ now["xyz"][..., None])[..., 0]
    return slot, turns, shifts


class Motion:
    """The motion of a camera's pixels from picture to picture."""

    def __init__(self, width: int, height: int) -> None:
        self.pixels = np.zeros((height, width, 2), np.float32)  # as `flow` writes it; the same at every call
        self._last: tuple[View, NDArray[np.void], float] | None = None

    def rest(self) -> None:
        """The next picture is a first one."""
        self._last = None

    def measure(self, images: Images, view: View, live: LiveWorld, smallest: float = 0.0) -> float:
        """Fills `pixels` and returns how long [s] that motion took: 0 for a first picture, in which nothing moves.

        `smallest`: bodies whose bounding sphere has a smaller radius [pixels] in the picture are taken to stand.
        """
        assert images.depth is not None
        assert images.instance is not None
        simulation = live.simulation
        bodies = simulation.bodies[POSE].copy()
        old, before, then = self._last or (view, bodies, simulation.time)
        self._last = (view, bodies, simulation.time)
        place, old_place = np.array(view.xyz, np.float64), np.array(old.xyz, np.float64)
        large = bodies
        if smallest > 0:
            away = np.linalg.norm(bodies["xyz"] - place, axis=1)
            large = bodies[np.linalg.norm(bodies["extent"], axis=1) * view.focal >= smallest * away]
        flow(
            images.depth, images.instance, view.focal, place, view.axes, old_place, old.axes,
            *motions(large, before), self.pixels,
        )  # fmt: skip
        return simulation.time - then
