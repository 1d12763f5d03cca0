"""Where a town shows itself best: of all that its cars see in a while, the view with most to be seen.

Worth is what a person looks for in a picture of a street: vehicles and walkers of a good size, houses and trees,
lights, a road that bends, branches or is fast, and nothing in the way. It is counted in small pictures of labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log, radians, tan

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render import Images, Renderer, Scene
from roadcraft.sim.embedded.server.crowd import populate
from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.town import Town
from roadcraft.sim.embedded.world import mounted_view
from roadcraft.sim.messages import DT, Camera, Kind, Weather
from roadcraft.sim.roads import LaneKind

FOV, PITCH = radians(80.0), radians(5.0)  # [rad] of the cameras on the cars' roofs
FORWARD = 0.8  # [m] from a car's middle to its camera
SMALL = (128, 72)  # pixels of the pictures that are judged
EVERY = 40  # ticks between two looks
AHEAD = (8.0, 45.0)  # [m] of road that counts
HEADINGS = 12  # directions of a road that are told apart
FAST = 25.0  # m/s, a fast road
NEAR = 5.0  # [m] nearer than which things are in the way
BUILDING, VEGETATION, SIGNAL = 3, 9, 7  # CARLA's semantic tags


@dataclass(frozen=True)
class Sight:
    """What one car sees at one moment."""

    worth: float
    time: float  # [s] of traffic before it
    car: int  # id of the car
    vehicles: int  # in the picture
    walkers: int
    pictures: list[NDArray[np.uint8]]  # (H, W, 3) in each weather, some hundredths of a second apart


class Street:
    """A town's traffic and its renderer."""

    def __init__(self, town: Town, seed: int, vehicles: int, walkers: int, height: float) -> None:
        self.live = LiveWorld(town, town.name, seed=seed)
        populate(self.live, vehicles, walkers, seed)
        self.height = height  # [m] of the cameras
        self._renderer = Renderer(town)
        network = town.network
        driving = network.lanes["kind"][network.lane_of] == LaneKind.DRIVING
        self._xy, self._yaw = network.xy[driving], network.yaw[driving]

    def look(self, car: int, size: tuple[int, int], labels: bool = False) -> Images:
        """What the camera on a car sees; with `labels` no colours."""
        simulation = self.live.simulation
        camera = Camera(*size, FOV, (FORWARD, 0.0, self.height), PITCH)
        scene = Scene(simulation.bodies, simulation.lights.state, simulation.weather, simulation.time)
        images: Images = self._renderer.render(
            scene,
            mounted_view(camera, simulation.body(car)),
            rgb=not labels,
            semantic=labels,
            instance=labels,
            depth=labels,
            hide=car,
        )
        return images

    def pictures(self, car: int, size: tuple[int, int], weathers: Sequence[Weather]) -> list[NDArray[np.uint8]]:
        """What a car sees in each weather, with a tick before each in which drivers switch lamps on or off."""
        simulation, before, found = self.live.simulation, self.live.simulation.weather, []
        for weather in weathers:
            simulation.weather = weather
            self.live.step(DT)
            rgb = self.look(car, size).rgb
            assert rgb is not None
            found.append(rgb.copy())
        simulation.weather = before
        return found

    def judge(self, car: int) -> tuple[float, int, int]:
        """Worth of what a car sees, vehicles and walkers in it."""
        images = self.look(car, SMALL, labels=True)
        assert images.semantic is not None
        assert images.instance is not None
        assert images.depth is not None
        bodies = self.live.simulation.bodies
        ids, pixels = np.unique(images.instance[images.instance > 0], return_counts=True)
        kinds = np.array([bodies["kind"][self.live.simulation.row(int(each))] for each in ids], int)
        share = pixels / images.instance.size
        tags = np.bincount(images.semantic.ravel(), minlength=256) / images.semantic.size
        driven, walking = share[kinds < Kind.PEDESTRIAN], share[kinds == Kind.PEDESTRIAN]
        worth = (
            min(float(np.minimum(driven / 0.01, 1).sum()), 5.0)
            + 0.8 * min(float(np.minimum(walking / 0.002, 1).sum()), 3.0)
            + 3.0 * min((tags[BUILDING] + tags[VEGETATION]) / 0.2, 1.0)
            + min(300 * tags[SIGNAL], 1.0)
            + self._road(car)
            - 30.0 * float((images.depth < NEAR).mean())
            - 20.0 * max(float(share.max(initial=0.0)) - 0.05, 0.0)
        )
        return float(worth), int((driven > 0.0005).sum()), int((walking > 0.0005).sum())

    def _road(self, car: int) -> float:
        """Worth of the road ahead: of its many directions (their entropy) and of its speed limit."""
        body, network = self.live.simulation.body(car), self.live.town.network
        away = self._xy - body["xyz"][:2]
        c, s = np.cos(body["yaw"]), np.sin(body["yaw"])
        ahead, aside = away @ (c, s), np.abs(away @ (-s, c))
        seen = (ahead > AHEAD[0]) & (ahead < AHEAD[1]) & (aside < ahead * tan(FOV / 2))
        turn = (self._yaw[seen] - body["yaw"]) / (2 * np.pi) % 1.0
        share = np.bincount((turn * HEADINGS).astype(int) % HEADINGS, minlength=HEADINGS) / max(int(seen.sum()), 1)
        share = share[share > 0]
        variety = float(-(share * np.log(share)).sum()) / log(HEADINGS)
        limit = float(network.lanes["speed_limit"][body["lane"]]) if body["lane"] >= 0 else 0.0
        return 9.0 * variety**4 + 6.0 * min(limit / FAST, 1.0) ** 2


def sights(
    street: Street, seconds: float, size: tuple[int, int], weathers: Sequence[Weather]
) -> Iterator[Sight | None]:
    """Each better sight than those before, as traffic goes on; None for a look that finds none."""
    bodies, best = street.live.simulation.bodies, -np.inf
    cars = bodies["id"][(bodies["kind"] == Kind.CAR) & (bodies["id"] > 0)].tolist()
    for tick in range(0, round(seconds / DT), EVERY):
        found = [(*street.judge(car), car) for car in cars]
        worth, vehicles, walkers, car = max(found, default=(-np.inf, 0, 0, 0))
        better = worth > best
        if better:
            best = worth
            yield Sight(worth, tick * DT, car, vehicles, walkers, street.pictures(car, size, weathers))
        else:
            yield None
        for _ in range(EVERY):
            street.live.step(DT)
