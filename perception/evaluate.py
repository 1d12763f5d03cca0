"""The figures of an engine on drives: the expert (or any driver) drives, the engine watches, the labels judge."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception import augment
from roadcraft.perception.data import Shards
from roadcraft.perception.detection import detections
from roadcraft.perception.engines.base import NetworkEngine
from roadcraft.perception.events import EventWatch
from roadcraft.perception.labels import FrameLabels, frame_labels, look_ahead, recorded_semantic, standing
from roadcraft.perception.measure import error_model
from roadcraft.perception.metrics import Records, Scorer, by_distance, figures
from roadcraft.perception.percept import Percept
from roadcraft.perception.view import Fitter
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Camera, Command, Driver, Ego, Episode, Observation, World

LEAST = 0.02  # score down to which detections count for average precision
WEATHERS = ("clear", "rain", "fog", "night")
CORRUPTIONS = ("none", "noise", "blur", "jpeg", "patch")
Corrupt = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]
Frame = tuple[Percept, NDArray[np.void], FrameLabels, NDArray[np.uint8]]


class Seen(NamedTuple):
    """A frame and what is known of it."""

    observation: Observation
    camera: Camera
    labels: FrameLabels
    semantic: NDArray[np.uint8]


def corruption(name: str) -> Corrupt:
    """One of CORRUPTIONS, at one strength. Raises UserError for another name."""
    known: dict[str, Corrupt] = {
        "none": lambda rgb, rng: rgb,
        "noise": lambda rgb, rng: augment.noise(rgb, 15.0, rng),
        "blur": lambda rgb, rng: augment.blur(rgb, rng),
        "jpeg": lambda rgb, rng: augment.jpeg(rgb, 20),
        "patch": lambda rgb, rng: augment.patch(rgb, rng),
    }
    if name not in known:
        raise UserError(f"no corruption {name!r}: {', '.join(known)} exist")
    return known[name]


def labelled_drive(
    world: World, episode: Episode, driver: Driver, frames: int = 250, every: int = 2, corrupt: str = "none"
) -> Iterator[Seen]:
    """Drives one episode for `frames` frames, one each `every` ticks."""
    camera = replace(episode.camera or Camera(), labels=True)
    tick = world.reset(replace(episode, camera=camera))
    known = standing(world)
    watch, rng, spoil = EventWatch(), np.random.default_rng(episode.seed), corruption(corrupt)
    for k in range(frames * every):
        happening = watch(tick.facts)
        if k % every == 0:
            assert tick.observation.rgb is not None
            assert tick.labels is not None
            observation = replace(tick.observation, rgb=spoil(tick.observation.rgb, rng))
            labels = frame_labels(tick, happening, *known)
            yield Seen(observation, camera, labels, recorded_semantic(tick.labels, known[1] is not None))
        if tick.facts.progress > tick.facts.route_length - 5.0:
            break
        if hasattr(world, "looking"):
            world.looking = (k + 1) % every == 0
        tick = world.step(driver(tick).control)
    if hasattr(world, "looking"):
        world.looking = True


def watched(engine: NetworkEngine, seen: Seen) -> Frame:
    """What an engine makes of a frame, beside its labels."""
    percept = engine(seen.observation)
    fitter = Fitter(engine.model.width, engine.model.height)
    found = detections(engine.heads, seen.camera, fitter, LEAST)
    kept = replace(percept, drivable=percept.drivable.copy(), lane_mask=percept.lane_mask.copy())
    return kept, found, seen.labels, seen.semantic


def watch_drive(
    world: World,
    episode: Episode,
    driver: Driver,
    engine: NetworkEngine,
    frames: int = 250,
    every: int = 2,
    corrupt: str = "none",
) -> Records:
    """Drives one episode and scores what the engine saw."""
    engine.reset()
    return scored([watched(engine, seen) for seen in labelled_drive(world, episode, driver, frames, every, corrupt)])


def scored(seen: list[Frame]) -> Records:
    """Records of one drive's frames, whose labels are completed with what came later."""
    look_ahead([labels for _, _, labels, _ in seen])
    scorer = Scorer()
    for percept, found, labels, semantic in seen:
        scorer.add(percept, found, labels, semantic)
    return scorer.records


def watch_shards(engine: NetworkEngine, folder: Path, corrupt: str = "none") -> Records:
    """The same on recorded clips."""
    shards = Shards(folder)
    shards.refresh()
    records, spoil = Records(), corruption(corrupt)
    fitter = Fitter(engine.model.width, engine.model.height)
    for number, clip in enumerate(shards.clips):
        engine.reset()
        scorer, rng = Scorer(), np.random.default_rng(number)
        for k, place in enumerate(clip):
            sample = shards.read(place)
            f = sample.labels.frame
            ego = Ego(np.zeros(2), 0.0, float(f["speed"]), float(f["yaw_rate"]), np.zeros(2), 0.0)
            rgb = spoil(sample.rgb, rng)
            percept = engine(
                Observation(k, float(f["time"]), rgb, sample.labels.camera, ego, np.zeros((20, 2)), Command.FOLLOW)
            )
            found = detections(engine.heads, sample.labels.camera, fitter, LEAST)
            scorer.add(percept, found, sample.labels, sample.semantic)
        records.add(scorer.records)
    return records


def evaluate(
    engine: NetworkEngine,
    world: World,
    episodes: Iterable[tuple[str, Episode]],
    driver_for: Callable[[int], Driver],
    frames: int = 250,
    corrupt: str = "none",
    progress: Callable[[str], None] = lambda done: None,
) -> dict[str, Any]:
    """All figures over (weather's name, episode) pairs, in the whole, by weather and by distance, and the model of
    its errors."""
    whole, parts = Records(), dict[str, Records]()
    for weather, episode in episodes:
        records = watch_drive(world, episode, driver_for(episode.seed), engine, frames, corrupt=corrupt)
        whole.add(records)
        parts.setdefault(weather, Records()).add(records)
        progress(f"{episode.town} {weather}")
    return {
        **figures(whole),
        "by_weather": {weather: figures(records) for weather, records in parts.items()},
        "by_distance": by_distance(whole),
        "engine": engine.name,
        "precision": engine.precision,
        "weights": engine.model.hash,
        "input": [engine.model.width, engine.model.height],
        "machine": platform.processor() or platform.machine(),
        "corruption": corrupt,
        "errors": asdict(error_model(whole)),
    }


def plain(values: Any) -> Any:
    """The same for JSON: NaN becomes null, numbers are rounded."""
    if isinstance(values, dict):
        return {k: plain(v) for k, v in values.items()}
    if isinstance(values, float):
        return None if not np.isfinite(values) else round(values, 4)
    return values


def to_json(values: dict[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps(plain(values))
