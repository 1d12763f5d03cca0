"""From configurations to the things that they name: episode, driver, world. The only place that knows all the parts."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from roadcraft.control.drivers import ExpertDriver, load_driver
from roadcraft.control.senses import Senses
from roadcraft.launch.faults import FaultyCamera, Image
from roadcraft.launch.machine import cores
from roadcraft.launch.options.evaluation import EvaluatePolicy
from roadcraft.launch.options.shared import Engine, Sim
from roadcraft.launch.options.simulator import Drive
from roadcraft.launch.routes import episode_fields, request_of
from roadcraft.launch.waiting import FIRST_TIME, waiting
from roadcraft.launch.warm import compile_ahead
from roadcraft.perception.delay import Latency
from roadcraft.sim.embedded.server.process import ServerProcess
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.messages import Driver, Episode, Traffic, World

if TYPE_CHECKING:
    from roadcraft.perception.engines import NetworkEngine  # needs the extra `perception`

ELSEWHERE = 10  # added to a seed: an episode in another town of the same style

Asked = Drive | EvaluatePolicy


def build_episode(asked: Asked, seed: int) -> Episode:
    """The seed's episode with what was asked otherwise. Raises UserError for a route file that cannot be read."""
    traffic = Traffic(asked.traffic.vehicles, asked.traffic.walkers)
    otherwise: dict[str, Any] = {"traffic": traffic, "route_length": asked.route_length}
    request = request_of(asked, seed)
    if request is not None:
        otherwise |= episode_fields(asked, request)
    named = {"town": asked.town, "weather": asked.weather if isinstance(asked, Drive) else None}
    otherwise |= {name: value for name, value in named.items() if value is not None}
    if not asked.traffic.scenarios:
        otherwise["scenarios"] = ()
    return episode_from_seed(seed, **otherwise)


def build_engine(asked: Engine) -> NetworkEngine:
    """The perception engine. Raises UserError for one that is not installed or weights that do not fit."""
    from roadcraft.perception.engines import load_engine

    with waiting("loading the perception network"):
        engine = load_engine(asked.name, asked.precision, asked.weights, asked.threads)
    if asked.name == "auto" and multiprocessing.parent_process() is None:
        tell_choice(f"perception: {engine.name} {engine.precision}, {engine.why}")
    return engine


def among(asked: Engine, processes: int) -> Engine:
    """The engine for each of several processes that compute at once: with its share of the cores, unless told."""
    return replace(asked, threads=asked.threads or max(cores() // max(processes, 1), 1))


@cache
def tell_choice(words: str) -> None:
    """Which engine was chosen, and why; a line on stderr, once."""
    print(words, file=sys.stderr, flush=True)


class Perceives(NamedTuple):
    """What a driver perceives with, and why with that."""

    engine: str = "none"
    precision: str = "none"
    why: str = "this driver has no network"


def build_driver(asked: Asked, seed: int) -> tuple[Driver, Perceives]:
    """The driver, and what it perceives with. Raises UserError for what does not exist or does not fit."""
    latency = Latency.of(asked.latency)
    engine = build_engine(asked.engine) if asked.driver == "network" else None
    senses = Senses(asked.without, asked.exact) if isinstance(asked, EvaluatePolicy) else Senses()
    driver = load_driver(
        asked.driver, engine, asked.policy, seed=seed, supervise=asked.supervisor, latency=latency, senses=senses
    )
    fault = camera_fault(asked)
    if fault != "none":
        elsewhere = frames(episode_from_seed(seed + ELSEWHERE)) if fault == "other_town" else None
        driver = FaultyCamera(driver, fault, elsewhere)
    return driver, Perceives() if engine is None else Perceives(engine.name, engine.precision, engine.why)


def camera_fault(asked: Asked) -> str:
    """What is to be wrong with the camera."""
    return "black" if isinstance(asked, Drive) and asked.blind else asked.fault


def frames(episode: Episode) -> Iterator[Image]:
    """The camera's frames of another drive, by the expert, over and over."""
    world, driver = EmbeddedWorld(), ExpertDriver()
    while True:
        tick = world.reset(episode)
        driver.reset()
        while tick.facts.progress < tick.facts.route_length - 20:
            assert tick.observation.rgb is not None
            yield tick.observation.rgb
            tick = world.step(driver(tick).control)


@dataclass(frozen=True)
class Watched:
    """A server of ours as a CarlaWorld looks at it: whether it lives, and where it says what."""

    server: ServerProcess

    def poll(self) -> int | None:
        """Its exit status, None while it lives."""
        return None if self.server.process is None else self.server.process.poll()

    def tail(self) -> str:
        """The end of what it wrote."""
        return self.server.tail()


@contextmanager
def open_world(asked: Sim, town: str) -> Iterator[World]:
    """The world to drive in; a server of our own is started if none is named, and stopped however this ends."""
    with ExitStack() as stack:
        if asked.in_process:
            yield stack.enter_context(closing(EmbeddedWorld()))
            return
        from roadcraft.sim.bridge import CarlaWorld

        if not asked.runs_already:
            compile_ahead()
            with waiting("starting the simulator", FIRST_TIME):
                server = stack.enter_context(ServerProcess(town=town))
            world = CarlaWorld("127.0.0.1", server.port, Watched(server))
        else:
            world = CarlaWorld(asked.host or "127.0.0.1", asked.port or 2000)
        yield stack.enter_context(closing(world))
