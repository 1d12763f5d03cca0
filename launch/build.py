"""From configurations to the things that they name: episode, driver, world. The only place that knows all the parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from roadcraft.control.drivers import ExpertDriver, load_driver
from roadcraft.launch import config
from roadcraft.launch.faults import FaultyCamera, Image
from roadcraft.perception.percept import Engine
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.messages import Driver, Episode, Traffic, World

ELSEWHERE = 10  # added to a seed: an episode in another town of the same style

Asked = config.Drive | config.EvaluatePolicy


def build_episode(asked: Asked, seed: int) -> Episode:
    """The seed's episode with what was asked otherwise."""
    traffic = Traffic(asked.traffic.vehicles, asked.traffic.walkers)
    episode = episode_from_seed(seed, traffic=traffic, route_length=asked.route_length)
    if isinstance(asked, config.Drive) and asked.town is not None:
        episode = replace(episode, town=asked.town)
    return episode if asked.traffic.scenarios else replace(episode, scenarios=())


def build_engine(asked: config.Engine) -> Engine:
    """The perception engine. Raises UserError for one that is not installed or weights that do not fit."""
    from roadcraft.perception.engines import load_engine

    return load_engine(asked.name, asked.precision, asked.weights)


def build_driver(asked: Asked, seed: int) -> tuple[Driver, str, str]:
    """The driver, and its engine's name and precision ("none" for drivers without one)."""
    engine = build_engine(asked.engine) if asked.driver == "network" else None
    driver = load_driver(asked.driver, engine, asked.policy, seed=seed, supervise=asked.supervisor)
    fault = camera_fault(asked)
    if fault != "none":
        elsewhere = frames(episode_from_seed(seed + ELSEWHERE)) if fault == "other_town" else None
        driver = FaultyCamera(driver, fault, elsewhere)
    return driver, getattr(engine, "name", "none"), getattr(engine, "precision", "none")


def camera_fault(asked: Asked) -> str:
    """What is to be wrong with the camera."""
    return "black" if isinstance(asked, config.Drive) and asked.blind else asked.fault


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


@contextmanager
def open_world(asked: config.Sim, folder: Path) -> Iterator[World]:
    """The world to drive in; a server of our own is started if none is named, and stopped however this ends."""
    if asked.world == "embedded":
        world: World = EmbeddedWorld()
        try:
            yield world
        finally:
            world.close()
        return
    raise NotImplementedError
