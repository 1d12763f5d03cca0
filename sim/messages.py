"""What flows between the world, the stack and the referee.

Units are SI and radians. Axes: x forward, y left, z up, counter-clockwise positive (ISO 8855). The world frame is
OpenDRIVE's (CARLA's with y negated); the ego frame's origin is the CARLA actor's origin, on the ground. Many objects
travel as one structured array. Only `sim/bridge.py` and `sim/embedded/server` know CARLA's left-handed degrees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from math import radians
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from roadcraft.sim.routes import Route

DT = 0.05  # s, one world tick (20 Hz, as the CARLA leaderboard runs)
ROUTE_POINTS = 20  # points of `Observation.route_ego`
ROUTE_SPACING = 10.0  # m between them
PATH_POINTS = 60  # points of `Facts.path_ego`, 1 m apart
# Distances ahead of the ego's origin at which lane lines are given [m]; the default camera sees the ground from 5 m.
LANE_X = np.array([5.0, 7.5, 10.0, 12.5, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0])
LANE_LINES = 4  # next left, left, right, next right


class Kind(IntEnum):
    """What an actor is; the first six are the classes that perception tells apart."""

    CAR = 0
    TRUCK = 1
    BUS = 2
    MOTORCYCLE = 3
    BICYCLE = 4
    PEDESTRIAN = 5
    PROP = 6
    STATIC = 7  # buildings, poles, trees: no actor, known from collisions only


class LightState(IntEnum):
    """Traffic light states in CARLA's order."""

    RED = 0
    YELLOW = 1
    GREEN = 2
    OFF = 3
    UNKNOWN = 4


class Command(IntEnum):
    """What the route asks for next; the numbers are CARLA's RoadOption."""

    LEFT = 1
    RIGHT = 2
    STRAIGHT = 3
    FOLLOW = 4
    CHANGE_LEFT = 5
    CHANGE_RIGHT = 6


class Mark(IntEnum):
    """Kind of a lane line."""

    NONE = 0
    SOLID = 1
    BROKEN = 2


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera fixed to the ego."""

    width: int = 640  # pixels
    height: int = 360  # pixels
    fov: float = radians(70.0)  # [rad] horizontal
    xyz_ego: tuple[float, float, float] = (1.2, 0.0, 1.5)  # [m]
    pitch: float = 0.0  # [rad], positive looks down (ISO 8855)
    labels: bool = False  # also render `Tick.labels`

    @property
    def focal(self) -> float:
        """Focal length [pixels], the same for both axes."""
        return self.width / 2 / float(np.tan(self.fov / 2))


@dataclass(frozen=True, slots=True)
class Ego:
    """The ego's own state as GNSS, IMU, wheel and steering sensors give it."""

    xy_world: NDArray[np.float64]  # (2,) [m], with GNSS error
    yaw_world: float  # [rad]
    speed: float  # [m/s], signed: negative when rolling backwards
    yaw_rate: float  # [rad/s]
    accel_ego: NDArray[np.float64]  # (2,) [m/s^2], without gravity
    steer: float  # [-1, 1], the steering in effect, left positive


@dataclass(frozen=True, slots=True)
class Observation:
    """All that a driving stack may see."""

    frame: int
    time: float  # [s] since the episode began
    rgb: NDArray[np.uint8] | None  # (H, W, 3); None when the episode has no camera
    camera: Camera | None
    ego: Ego
    route_ego: NDArray[np.float64]  # (20, 2) [m], 10 m apart, with the GNSS error; the last point repeats at the goal
    command: Command  # the manoeuvre at the next junction, FOLLOW when none is near


# One row an actor, the ego left out. `xyz` is the actor's origin (vehicles: on the ground; walkers: on the ground too).
ACTOR = np.dtype(
    [
        ("id", np.uint32),
        ("kind", np.uint8),  # Kind
        ("emergency", np.bool_),  # siren on
        ("braking", np.bool_),  # brake lights lit
        ("xyz", np.float64, 3),  # [m] world
        ("yaw", np.float64),  # [rad] world
        ("velocity", np.float64, 2),  # [m/s] world
        ("extent", np.float64, 3),  # [m] half sizes: length, width, height
        ("visible_px", np.int32),  # pixels in the label camera; -1 where nothing was rendered
    ]
)

# One row a contact of the ego in this tick.
CONTACT = np.dtype(
    [
        ("id", np.uint32),  # 0 for static things
        ("kind", np.uint8),  # Kind
        ("xy", np.float64, 2),  # [m] world, the ego's position
        ("impulse", np.float64),  # [N s]
    ]
)


@dataclass(frozen=True, slots=True)
class Facts:
    """Privileged truth of one tick: the referee's and the teacher's, never a policy's."""

    frame: int
    time: float  # [s] since the episode began
    pose: NDArray[np.float64]  # (3,) x, y [m], yaw [rad], world
    velocity_ego: NDArray[np.float64]  # (2,) [m/s]
    extent: NDArray[np.float64]  # (3,) [m] the ego's half sizes
    progress: float  # [m] along the route
    route_length: float  # [m]
    lateral_error: float  # [m] from the centre of the route's lane, left positive
    heading_error: float  # [rad] against the route
    lane_width: float  # [m] of the route's lane here
    off_lane: float  # [m] from the nearest driving or parking lane's centre (any lane)
    wrong_way: bool  # in a lane that leads the other way
    speed_limit: float  # [m/s]
    path_ego: NDArray[np.float64]  # (60, 2) [m] the centre of the route's lane ahead, 1 m apart, without GNSS error
    junction_distance: float  # [m] from the ego's origin to the route's next junction, 0 inside, inf when there is none
    lanes_ego: NDArray[np.float64]  # (4, 10) [m] lateral offset of each painted line at LANE_X, NaN where there is none
    lane_marks: NDArray[np.uint8]  # (4,) Mark: next left, left, right, next right
    light: LightState  # of the signal that governs the route ahead; UNKNOWN when there is none
    light_distance: float  # [m] from the ego's front bumper to its stop line; inf when there is none
    light_id: str  # its OpenDRIVE signal id, "" when there is none
    stop_distance: float  # [m] from the front bumper to the next stop sign's line on the route; inf when there is none
    stop_id: str
    actors: NDArray[np.void]  # (N,) ACTOR, within 150 m
    contacts: NDArray[np.void]  # (C,) CONTACT of this tick
    crossings: tuple[Mark, ...]  # lane lines crossed in this tick
    background_speed: float  # [m/s] mean speed of the background vehicles near the ego; NaN without any
    nearest_lane_width: float = 3.5  # [m] of the lane that `off_lane` is measured to
    red_light_run: str = ""  # signal id when the ego's tail crossed its stop line in this tick while it was red
    stop_zone: str = ""  # signal id of the stop sign in whose trigger box the ego is
    scenario_events: tuple[str, ...] = ()  # "scenario_timeout", "yield_emergency": declared by a scenario in this tick


@dataclass(frozen=True, slots=True)
class Labels:
    """Exact images for training; same size as the camera's."""

    semantic: NDArray[np.uint8]  # (H, W) CARLA tags
    instance: NDArray[np.uint32]  # (H, W) actor id, 0 where there is none
    depth: NDArray[np.float32]  # (H, W) [m] along the optical axis
    tilt: tuple[float, float, float] = (0.0, 0.0, 0.0)  # z [m], pitch, roll [rad] of the car with the camera, world


@dataclass(frozen=True, slots=True)
class Tick:
    """What a world says after each step."""

    observation: Observation
    facts: Facts
    labels: Labels | None = None


@dataclass(frozen=True, slots=True)
class Control:
    """What the car is told. Out of range or not finite raises ValueError."""

    steer: float = 0.0  # [-1, 1], left positive; 1 is the wheels' full lock
    throttle: float = 0.0  # [0, 1]
    brake: float = 0.0  # [0, 1]

    def __post_init__(self) -> None:
        if -1.0 <= self.steer <= 1.0 and 0.0 <= self.throttle <= 1.0 and 0.0 <= self.brake <= 1.0:
            return
        for name, low in (("steer", -1.0), ("throttle", 0.0), ("brake", 0.0)):
            value = getattr(self, name)
            if not low <= value <= 1.0:  # NaN fails too
                raise ValueError(f"Control.{name} = {value} is outside [{low:g}, 1]")


@dataclass(frozen=True, slots=True)
class Traffic:
    """How many others there are."""

    vehicles: int = 30
    walkers: int = 20
    two_wheelers: float | None = None  # share of motorcycles and bicycles; None: as in the streets


DARK_BELOW = 5.0  # [degrees] of sun altitude: drivers switch their headlights on


@dataclass(frozen=True, slots=True)
class Weather:
    """CARLA's WeatherParameters: percent, degrees and metres as CARLA gives them, in CARLA's order."""

    cloudiness: float = 5.0
    precipitation: float = 0.0
    precipitation_deposits: float = 0.0
    wind_intensity: float = 10.0
    sun_azimuth_angle: float = -1.0
    sun_altitude_angle: float = 45.0
    fog_density: float = 2.0
    fog_distance: float = 0.75
    fog_falloff: float = 0.1
    wetness: float = 0.0
    scattering_intensity: float = 1.0
    mie_scattering_scale: float = 0.03
    rayleigh_scattering_scale: float = 0.0331
    dust_storm: float = 0.0

    @property
    def dark(self) -> bool:
        """Whether drivers have their headlights on."""
        return self.sun_altitude_angle < DARK_BELOW


@dataclass(frozen=True, slots=True)
class Episode:
    """One drive from beginning to end: two equal episodes are the same drive."""

    town: str  # a town name such as "grid-20", or the path of an OpenDRIVE file
    seed: int = 0
    route: Route | None = None  # None: through `points`, or drawn from the seed
    points: tuple[tuple[float, float], ...] = ()  # [m] world, two at least: the route leads through them, where given
    route_length: float = 500.0  # [m] at least, for a drawn route
    weather: Weather = field(default_factory=Weather)
    traffic: Traffic = field(default_factory=Traffic)
    scenarios: tuple[str, ...] = ()  # names from `scenarios.py`, spread along the route
    triggers: tuple[tuple[float, float], ...] = ()  # [m] world: where each of them is triggered, instead
    camera: Camera | None = field(default_factory=Camera)  # None: nothing is rendered


class Decided(Protocol):
    """What a driver returns; `roadcraft.control.decision.Decision` is the full one."""

    @property
    def control(self) -> Control: ...


Driver = Callable[[Tick], Decided]


class World(Protocol):
    """A place to drive in. `dt` is the length of a tick [s]."""

    dt: float

    def reset(self, episode: Episode) -> Tick:
        """Begins an episode and returns its first tick."""

    def step(self, control: Control) -> Tick:
        """Applies the control for one tick of `dt` and returns what then is."""

    def close(self) -> None:
        """Gives everything back. May be called twice."""
