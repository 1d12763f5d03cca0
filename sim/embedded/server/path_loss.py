"""What a radio signal loses on its way: the models of ETSI TR 103 257-1 among which CARLA's V2X sensors choose.

Losses in dB, distances and heights in metres, frequencies in GHz.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import cos, hypot, isfinite, log10, pi, sin, sqrt
from typing import NamedTuple

from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.errors import UserError

LIGHT = 0.299_792_458  # [m] that light goes in a nanosecond
GROUND = 1.02  # relative permittivity of the road, as CARLA has it
NEAREST = 0.1  # [m] a shorter way counts as this long
DEEPEST = 1e-5  # part of the field that two rays leave of each other at least
SHALLOW = -0.78  # the knife-edge parameter below which nothing is lost
FADING = {  # standard deviation by sight; ETSI has none for rural roads: the middle, as in CARLA
    "highway": (3.3, 3.8, 6.8),
    "rural": (4.25, 4.55, 6.8),
    "urban": (5.2, 5.3, 6.8),
}


class Sight(IntEnum):
    """What stands between two antennas."""

    CLEAR = 0
    VEHICLE = 1
    BUILDING = 2  # or anything else that is no vehicle


class Edge(NamedTuple):
    """A roof between two antennas."""

    before: float  # [m] from the sender
    behind: float  # [m] to the receiver
    above: float  # [m] over the straight line; negative below it


class Way(NamedTuple):
    """The way of a signal."""

    distance: float
    heights: tuple[float, float]  # of sender and receiver over the lower one's ground
    sight: Sight = Sight.CLEAR
    edges: tuple[Edge, ...] = ()


@dataclass(frozen=True, slots=True)
class PathLoss:
    """The mean loss of one receiver's signals."""

    ghz: float = 5.9
    scenario: str = "highway"
    model: str = "winner"
    exponent: float = 2.7  # of the log-distance model behind buildings
    reference: float = 1.0  # its reference distance

    @staticmethod
    def of(actor: Actor) -> PathLoss:
        """As a V2X sensor's attributes say. Raises UserError for what cannot be."""
        ghz, exponent, reference = (actor.number(name) for name in ("frequency_ghz", "path_loss_exponent", "d_ref"))
        if not (0 < ghz < 1000 and 0 < reference < 1e6 and 0 <= exponent < 100 and isfinite(exponent)):
            raise UserError(f"{actor.type_id}: frequency_ghz, d_ref or path_loss_exponent is out of bounds")
        return PathLoss(ghz, actor.attributes["scenario"], actor.attributes["path_loss_model"], exponent, reference)

    def __call__(self, way: Way) -> float:
        """The loss without fading."""
        way = way._replace(distance=max(way.distance, NEAREST))
        over = max((knife_edge(edge, LIGHT / self.ghz) for edge in way.edges), default=0.0)
        if self.model == "winner":
            return winner(way, self.ghz, self.scenario) + (over if way.sight is Sight.VEHICLE else 0.0)
        if way.sight is Sight.CLEAR:
            return two_ray(way, LIGHT / self.ghz)
        if way.sight is Sight.VEHICLE:
            return free_space(way.distance, self.ghz) + over
        return free_space(self.reference, self.ghz) + 10 * self.exponent * log10(way.distance / self.reference)

    def fading(self, sight: Sight) -> float:
        """Standard deviation of what varies."""
        return FADING[self.scenario][sight]


def winner(way: Way, ghz: float, scenario: str) -> float:
    """WINNER+ D5.3, with its own formula behind buildings."""
    if way.sight is Sight.BUILDING:
        return 36.85 + 30.0 * log10(way.distance) + 18.9 * log10(ghz)
    if scenario == "highway":
        return 32.4 + 20.0 * log10(way.distance) + 20.0 * log10(ghz)
    return 38.77 + 16.7 * log10(way.distance) + 18.2 * log10(ghz)


def free_space(distance: float, ghz: float) -> float:
    """Spreading alone."""
    return 20.0 * log10(4.0 * pi * distance * ghz / LIGHT)


def two_ray(way: Way, wavelength: float) -> float:
    """The straight ray and the one that the road reflects, which strengthen and weaken each other."""
    low, high = sorted(way.heights)
    ground = max(sqrt(max(way.distance**2 - (high - low) ** 2, 0.0)), NEAREST)
    reflected = hypot(way.distance, 2.0 * sqrt(low * high))
    sine, cosine = (low + high) / reflected, ground / reflected
    bend = sqrt(GROUND - min(cosine, 1.0) ** 2)
    gamma = (sine - bend) / (sine + bend)
    phase = 2.0 * pi / wavelength * (way.distance - reflected)
    left = max(hypot(1.0 + gamma * cos(phase), gamma * sin(phase)), DEEPEST)
    return 20.0 * log10(4.0 * pi * ground / wavelength / left)


def knife_edge(edge: Edge, wavelength: float) -> float:
    """What bending over one roof costs (ITU-R P.526)."""
    before, behind = max(edge.before, NEAREST), max(edge.behind, NEAREST)
    v = edge.above * sqrt(2.0 * (before + behind) / (wavelength * before * behind))
    return 6.9 + 20.0 * log10(hypot(v - 0.1, 1.0) + v - 0.1) if v >= SHALLOW else 0.0
