"""Who is on the road, from perceived objects: false alarms left out, velocities made plausible."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.faces import STANDING_SEEN
from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import Kind

SCORE_MIN, SCORE_KEPT = 0.3, 0.1  # objects less likely than this are not there; than that, if they were certain ...
SURE = 0.5  # ... with so high a score ...
CLOSE = 9.0, 1.5  # m ... and have since been so close before us, along and across
SLOW = 3.0  # m/s below which a vehicle's velocity is little but its error; of a faster one the heading may be wrong
AGREES = 0.7  # cosine from which heading and velocity agree, about
SLIP = 0.35  # of the speed along its heading, most that a vehicle moves sideways: headings are seen some degrees off


@kernel
def others_from(objects: NDArray[np.void], seen: NDArray[np.int32], others: NDArray[np.void]) -> int:
    """Fills `others` (N,) OTHER from perceived `objects` (N,) OBJECT; returns how many.

    `seen` (K, 3): a track, a count of its frames: one that appeared just now counts only when it is near (a false
    alarm lives for a frame or two), and whether it was certain: whoever was, close before us, is not doubted for being
    cut off by the picture's edges.
    """
    count = 0
    for row in range(len(seen)):
        seen[row, 1] -= 1
        if seen[row, 1] <= 0:
            seen[row, 0] = -1
    for i in range(len(objects)):
        p = objects[i]
        slot, spare = -1, 0
        for row in range(len(seen)):
            if seen[row, 0] == p.track:
                slot = row
            if seen[row, 1] < seen[spare, 1]:
                spare = row
        if slot < 0:
            slot = spare
            seen[slot, 0], seen[slot, 1], seen[slot, 2] = p.track, 0, 0
        seen[slot, 1] = min(seen[slot, 1] + 3, 12)
        near = p.xy_ego[0] < 12.0 and abs(p.xy_ego[1]) < 3.0
        close = 0.0 < p.xy_ego[0] < CLOSE[0] and abs(p.xy_ego[1]) < CLOSE[1]
        if p.score > SURE:
            seen[slot, 2] = 1
        elif not close and p.score < SCORE_MIN:
            seen[slot, 2] = 0
        if p.score < (SCORE_KEPT if seen[slot, 2] else SCORE_MIN) or (seen[slot, 1] < 5 and not near):
            continue
        o = others[count]
        o.xy[0], o.xy[1] = p.xy_ego[0], p.xy_ego[1]
        o.yaw = p.yaw_ego
        o.half[0], o.half[1] = 0.5 * p.size[0], 0.5 * p.size[1]
        o.walker, o.passed = p.kind == Kind.PEDESTRIAN, False
        vx, vy = p.velocity_ego[0], p.velocity_ego[1]
        c, s, pace = np.cos(p.yaw_ego), np.sin(p.yaw_ego), np.hypot(vx, vy)
        along, aside = c * vx + s * vy, c * vy - s * vx
        # Wheels roll where they point, and hardly back: what seems to go aside is error.
        if not o.walker and (pace < SLOW or abs(along) > AGREES * pace):
            along = 0.0 if pace < SLOW and along < 0.0 else along
            aside = min(SLIP * abs(along), max(-SLIP * abs(along), aside))
            vx, vy = c * along - s * aside, s * along + c * aside
        standing = not o.walker and np.hypot(vx, vy) < STANDING_SEEN
        o.velocity[0], o.velocity[1] = (0.0, 0.0) if standing else (vx, vy)
        ax, ay = p.path_ego[1, 0] - p.xy_ego[0], p.path_ego[1, 1] - p.xy_ego[1]
        bx, by = p.path_ego[3, 0] - p.path_ego[1, 0], p.path_ego[3, 1] - p.path_ego[1, 1]
        o.yaw_rate = 0.0
        if ax * ax + ay * ay > 4.0 and bx * bx + by * by > 4.0 and not o.walker:
            turn = np.arctan2(ax * by - ay * bx, ax * bx + ay * by)
            o.yaw_rate = min(1.0, max(-1.0, turn))
        count += 1
    return count
