"""What a scenario may do to a world: put things on the road, move them along a path, set lights.

Scenarios are written once against `Stage`; `EmbeddedStage` (in `embedded/world.py`) and `CarlaStage` (in `bridge.py`)
do it in process and over the real client. Poses are rounded as CARLA's wire rounds them, so that both do the same.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadcraft.sim.errors import UserError
from roadcraft.sim.geometry import from_carla_yaw, to_carla_yaw
from roadcraft.sim.messages import LightState
from roadcraft.sim.roads import ANY_KIND, RoadNetwork

BACKGROUND = "background"  # role of those whose mean speed the ego's is compared with
# [m] from the ego. CARLA's leaderboard averages over all of its background activity, which lives around the ego only;
# our towns are full of traffic everywhere, so that the same measure needs a reach.
BACKGROUND_RADIUS = 100.0
SCENARIO = "scenario"  # role of a scenario's actors
EGO_BLUEPRINT = "vehicle.lincoln.mkz_2020"
EGO_ROLE = "hero"
EGO_COLOR = (38, 38, 38)
WARM_UP = 10  # ticks before an episode's first, in which spawned things settle; the ego's brake is on
VEHICLE_LIFT = 0.3  # m above the ground at which vehicles are spawned: CARLA wants them clear of it
WALKER_LIFT = 1.0  # m above the ground of a walker's middle when spawned
# Bits of CARLA's VehicleLightState.
POSITION_LIGHT, LOW_BEAM, BRAKE_LIGHT, RIGHT_LIGHT, LEFT_LIGHT, SIREN_LIGHT = 1, 2, 8, 16, 32, 512


class PlaceTaken(UserError):
    """Something stands where an actor was to be spawned."""


class Stage(Protocol):
    """One episode's hands on a world. World frame, SI units. Actors left over are removed with the episode."""

    def spawn(
        self,
        blueprint: str,
        pose: ArrayLike,
        *,
        autopilot: int = 0,
        role: str = SCENARIO,
        color: tuple[int, int, int] | None = None,
    ) -> int:
        """A new actor at `pose` (x, y, yaw) on the ground; its number. Raises PlaceTaken.

        `autopilot` is 0 for things that the scenario moves, otherwise the seed of the world's own driver. Vehicles
        that no such driver drives have their headlights on when it is dark.
        """

    def remove(self, actor: int) -> None:
        """Takes an actor away."""

    def move(self, actor: int, pose: ArrayLike, velocity: ArrayLike) -> None:
        """Puts an actor at `pose` (x, y, yaw) with `velocity` (2,) [m/s]: how a scenario drives, tick by tick."""

    def walk(self, actor: int, direction: ArrayLike, speed: float) -> None:
        """Lets a pedestrian walk along `direction` (2,) at `speed` [m/s] until told otherwise."""

    def lights(
        self, actor: int, brake: bool = False, left: bool = False, right: bool = False, siren: bool = False
    ) -> None:
        """Switches a vehicle's brake lights, indicators and blue lights."""

    def set_light(self, signal: int, state: LightState) -> None:
        """Shows `state` on a traffic light (row of the network's signals) until its next change."""


def light_bits(dark: bool, brake: bool = False, left: bool = False, right: bool = False, siren: bool = False) -> int:
    """CARLA's VehicleLightState."""
    lamps = BRAKE_LIGHT * brake | LEFT_LIGHT * left | RIGHT_LIGHT * right | SIREN_LIGHT * siren
    return (POSITION_LIGHT | LOW_BEAM) * dark | lamps


def ground_height(network: RoadNetwork, x: float, y: float) -> float:
    """Height [m] of the lane nearest to a place, of any kind."""
    lane, s, _ = network.nearest((x, y), kinds=ANY_KIND)
    if lane < 0:
        return 0.0
    points = network.points(lane)
    return float(np.interp(s, network.s[points], network.z[points]))


def as_sent(pose: ArrayLike) -> NDArray[np.float64]:
    """A pose (x, y, yaw) after CARLA's wire: 32 bit floats, degrees."""
    x, y, yaw = np.asarray(pose, float).tolist()
    degrees = float(np.float32(to_carla_yaw(yaw)))
    return np.array([float(np.float32(x)), float(np.float32(y)), from_carla_yaw(degrees)])
