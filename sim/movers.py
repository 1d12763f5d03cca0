"""Things that a scenario moves by hand: along a path, at a wished speed, to either side of it, tick by tick.

They heed what is ahead of them unless told otherwise, so that no scenario runs into a car that could not help it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, cos, hypot, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.geometry import arc_length
from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import DT, Facts
from roadcraft.sim.roads import RoadNetwork
from roadcraft.sim.routes import Route
from roadcraft.sim.stage import Stage

HARDEST_BRAKE = 8.0  # m/s^2
STAND_OFF = 3.0  # m left to what a mover stops for
CLEAR_SIDE = 0.5  # m left beside what it passes
LOOK = 60.0  # m ahead that it looks
PATIENCE = 4.0  # s that it stands before it squeezes by, ...
SQUEEZE = 0.05  # ... with so many metres beside it, ...
UNDER_WAY = 4.0  # ... until it drives so many m/s again
BACKS = (8.0, 14.0, 26.0)  # s of standing after which it backs off from who faces it, stops, and gives up waiting
REVERSE, FACING = 1.0, 0.5  # m/s; cosine of the angle to who faces it
HALF_WIDTH, HALF_LENGTH = 1.0, 2.5  # m of the ordinary car


@kernel
def path_pose(
    xy: NDArray[np.float64], yaw: NDArray[np.float64], s: NDArray[np.float64], at: float, side: float
) -> tuple[float, float, float]:
    """x, y [m], yaw [rad] at arc length `at` of a `Path`, held at its ends, `side` [m] to the left of it."""
    low, high = 0, len(s) - 1
    if at >= s[high]:
        low = high
    while high - low > 1:
        middle = (low + high) // 2
        if s[middle] <= at:
            low = middle
        else:
            high = middle
    x, y, turned = xy[low, 0], xy[low, 1], yaw[low]
    if low < high and at > s[low]:
        length, along = s[high] - s[low], at - s[low]
        x += (xy[high, 0] - x) / length * along
        y += (xy[high, 1] - y) / length * along
        turned += (yaw[high] - turned) / length * along
    return x - side * sin(turned), y + side * cos(turned), turned


@dataclass(frozen=True, slots=True)
class Path:
    """A way to drive: points (N, 2) [m] with the heading (N,) [rad, unwrapped] and arc length (N,) [m] of each."""

    xy: NDArray[np.float64]
    yaw: NDArray[np.float64]
    s: NDArray[np.float64]

    @property
    def length(self) -> float:
        return float(self.s[-1])

    def pose(self, s: float, side: float = 0.0) -> tuple[float, float, float]:
        """x, y, yaw at arc length `s`, `side` [m] to the left of it."""
        return path_pose(self.xy, self.yaw, self.s, s, side)

    def project(self, xy: NDArray[np.float64]) -> float:
        """Arc length [m] of the point nearest to a place."""
        return float(self.s[int(np.argmin(np.hypot(*(self.xy - xy).T)))])


def path_of_route(route: Route) -> Path:
    """The route itself."""
    return Path(route.xy, np.unwrap(route.yaw), route.s)


def path_of_lanes(network: RoadNetwork, lanes: list[int]) -> Path:
    """Along lanes that follow each other."""
    rows = np.concatenate([np.arange(r.start, r.stop) for r in map(network.points, lanes)])
    xy = network.xy[rows]
    keep = np.concatenate([[True], np.hypot(*np.diff(xy, axis=0).T) > 1e-3])
    return Path(xy[keep], np.unwrap(network.yaw[rows][keep]), arc_length(xy[keep]))


class Mover:
    """One vehicle on a path. `s` [m] along it, `side` [m] to its left, `speed` [m/s], `half` its half sizes [m],
    `stood` for how long [s] it has been held up, `faced` whether by somebody who faces it."""

    def __init__(
        self,
        stage: Stage,
        blueprint: str,
        path: Path,
        s: float,
        speed: float = 0.0,
        side: float = 0.0,
        color: tuple[int, int, int] | None = None,
        half: tuple[float, float] = (HALF_LENGTH, HALF_WIDTH),
        siren: bool = False,
    ) -> None:
        """Raises PlaceTaken."""
        self.stage, self.blueprint, self.path, self.color = stage, blueprint, path, color
        self.s, self.side, self.speed, self.half = s, side, speed, half
        x, y, yaw = path.pose(s, side)
        self.pose = (x, y, yaw)
        self.siren, self.stood, self.faced = siren, 0.0, False
        self.actor = stage.spawn(blueprint, self.pose, color=color)
        self._lit = (False, False, False, False)

    def drive(
        self,
        facts: Facts,
        wish: float,
        accel: float = 2.5,
        brake: float = 4.0,
        side: float | None = None,
        rate: float = 1.2,
        heed: bool = True,
    ) -> None:
        """One tick towards the speed `wish` [m/s] and, at `rate` [m/s], towards `side` [m]."""
        change = min(max(wish - self.speed, -brake * DT), accel * DT)
        if heed:
            change = min(change, self.braking(facts) * DT)
        self.speed = 0.0 if self._makes_room() else max(self.speed + change, 0.0)
        self.stood = self.stood + DT if self.speed == 0.0 < wish else 0.0 if self.speed > UNDER_WAY else self.stood
        speed = -REVERSE if self._makes_room() and self.stood < BACKS[1] else self.speed
        aside = 0.0
        if side is not None and self.speed > 0.3:
            aside = min(max(side - self.side, -rate * DT), rate * DT)
        self.s += speed * DT
        self.side += aside
        x, y, yaw = self.path.pose(self.s, self.side)
        self.pose = (x, y, yaw + atan2(aside / DT, max(self.speed, 1.0)))
        velocity = speed * np.array([cos(self.pose[2]), sin(self.pose[2])])
        self.stage.move(self.actor, self.pose, velocity)
        self.show(brake=change < -1.0 * DT or self.speed == 0.0, left=aside > 0.0, right=aside < 0.0)

    def _makes_room(self) -> bool:
        """Whether it backs off from who faces it, or then waits for them to pass: else both would stand for ever."""
        return self.faced and BACKS[0] < self.stood < BACKS[2]

    def show(self, brake: bool = False, left: bool = False, right: bool = False) -> None:
        """Switches its lights where they change."""
        lit = (brake, left, right, self.siren)
        if lit != self._lit:
            self.stage.lights(self.actor, *lit)
            self._lit = lit

    def braking(self, facts: Facts) -> float:
        """The acceleration [m/s^2] at which it stops behind the nearest thing on its path; inf with nothing there."""
        others = facts.actors[facts.actors["id"] != self.actor]
        c, s = cos(facts.pose[2]), sin(facts.pose[2])
        forward, left = facts.velocity_ego.tolist()
        xy = np.vstack([facts.pose[:2], others["xyz"][:, :2]])
        velocity = np.vstack([(forward * c - left * s, forward * s + left * c), others["velocity"]])
        half = np.vstack([facts.extent[:2], others["extent"][:, :2]])
        yaw = np.append(facts.pose[2], others["yaw"])
        near = np.hypot(*(xy - self.pose[:2]).T) < LOOK
        ahead, beside, along, course = self._on_path(xy[near], velocity[near], half[near], yaw[near])
        inside = (ahead > -2.0) & (beside < (CLEAR_SIDE if self.stood < PATIENCE else SQUEEZE))
        if self.stood < BACKS[0] or self.stood > BACKS[2]:
            self.faced = bool((inside & (ahead < 2 * STAND_OFF) & (course < FACING)).any())
        if not inside.any():
            return float("inf")
        ahead, along = ahead[inside], along[inside]
        if ((ahead < STAND_OFF) & (along <= self.speed)).any():
            return -HARDEST_BRAKE
        # What stops both at the same place, were the other to brake as hard.
        need = float(((self.speed**2 - along**2) / (2 * np.maximum(ahead - STAND_OFF, 0.05))).max())
        return -min(need, HARDEST_BRAKE) if need > 2.0 else float("inf")

    def _on_path(
        self,
        xy: NDArray[np.float64],
        velocity: NDArray[np.float64],
        half: NDArray[np.float64],
        yaw: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Of each thing, along the path's bends: [m] from bumper to bumper, [m] between the sides, [m/s] along, and the
        cosine of how far it is turned from the path."""
        first, last = np.searchsorted(self.path.s, (self.s - self.half[0], self.s + LOOK))
        rows = slice(max(int(first) - 1, 0), int(last) + 1)
        points, course, s = self.path.xy[rows], self.path.yaw[rows], self.path.s[rows]
        nearest = np.argmin(np.hypot(*(xy[:, None] - points).transpose(2, 0, 1)), axis=1)
        c, sn = np.cos(course[nearest]), np.sin(course[nearest])
        dx, dy = (xy - points[nearest]).T
        turned = yaw - course[nearest]
        long, wide = np.abs(np.cos(turned)), np.abs(np.sin(turned))
        reach, breadth = long * half[:, 0] + wide * half[:, 1], wide * half[:, 0] + long * half[:, 1]
        ahead = s[nearest] + dx * c + dy * sn - self.s - self.half[0] - reach
        beside = np.abs(dy * c - dx * sn - self.side) - self.half[1] - breadth
        along = np.maximum(velocity[:, 0] * c + velocity[:, 1] * sn, 0.0)
        return ahead, beside, along, np.cos(turned)

    def distance(self, facts: Facts) -> float:
        """[m] to the ego."""
        return hypot(self.pose[0] - facts.pose[0], self.pose[1] - facts.pose[1])

    def ahead(self, facts: Facts) -> float:
        """[m] that it is ahead of the ego, along the ego's heading."""
        x, y, yaw = facts.pose
        return float((self.pose[0] - x) * cos(yaw) + (self.pose[1] - y) * sin(yaw))

    def remove(self) -> None:
        self.stage.remove(self.actor)
