"""Routes: the way that an episode asks for, along lane centres, with its commands and stop lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadcraft.sim.roads import RoadNetwork

COMMAND_AHEAD = 30.0  # [m] before a junction or lane change from which its command is given

STOP = np.dtype(
    [
        ("s", np.float64),  # [m] of the stop line along the route
        ("signal", np.int32),  # row in the network's `signals`
        ("kind", np.uint8),  # roads.SignalKind: LIGHT or STOP
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """N points 1 m apart along lane centres (the last step may be shorter)."""

    xy: NDArray[np.float64]  # (N, 2) [m] world
    yaw: NDArray[np.float64]  # (N,) [rad]
    s: NDArray[np.float64]  # (N,) [m]
    lane: NDArray[np.int32]  # (N,) lane of the network
    lane_s: NDArray[np.float64]  # (N,) [m] along that lane
    width: NDArray[np.float64]  # (N,) [m]
    speed_limit: NDArray[np.float64]  # (N,) [m/s]
    junction: NDArray[np.bool_]  # (N,) inside a junction
    command: NDArray[np.uint8]  # (N,) messages.Command of the junction or lane change within the next 30 m, else FOLLOW
    stops: NDArray[np.void] = field(repr=False)  # (K,) STOP, in order

    @property
    def length(self) -> float:
        """[m]"""
        return float(self.s[-1])

    @property
    def junctions(self) -> int:
        """How many junctions it crosses."""
        inside = np.concatenate([[False], self.junction])
        return int((inside[1:] & ~inside[:-1]).sum())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Route) and np.array_equal(self.xy, other.xy) and np.array_equal(self.lane, other.lane)

    def __hash__(self) -> int:
        return hash((self.xy.tobytes(), self.lane.tobytes()))


def route_through(
    network: RoadNetwork, lanes: Sequence[int], start_s: float = 0.0, end_s: float | None = None
) -> Route:
    """The route along successive (or neighbouring: a lane change) lanes, from `start_s` on the first to `end_s`."""
    raise NotImplementedError


def route_from_points(network: RoadNetwork, xy: ArrayLike) -> Route:
    """The shortest route through points (K, 2) [m] in the world frame."""
    raise NotImplementedError


def route_from_seed(network: RoadNetwork, seed: int, length: float = 500.0, start: int | None = None) -> Route:
    """A route of at least `length` [m] from a spawn point, with turns, drawn from the seed."""
    raise NotImplementedError
