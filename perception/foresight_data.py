"""What foresight learns from: drives in which an engine watched, each track beside what its object really did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception import arrays
from roadcraft.perception.detection import iou
from roadcraft.perception.engines.base import NetworkEngine
from roadcraft.perception.evaluate import labelled_drive
from roadcraft.perception.foresight import PATHS, Foresight
from roadcraft.perception.labels import FrameLabels, look_ahead
from roadcraft.perception.targets import GROUP
from roadcraft.perception.trackfeatures import FEATURES, MIRRORED, SCENE_FEATURES, SCENE_MIRRORED
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Driver, Episode, World

SAME = 0.4  # IoU from which a track's box is an object's
TRUTH = 4 + 2 * PATHS  # velocity [m/s], place, places at PATH_TIMES [m], in the ego frame; NaN unknown


@dataclass(frozen=True, slots=True)
class Watched:
    """A drive of T frames with M rows of tracks, those of a frame one after the other."""

    counts: NDArray[np.int64]  # (T,) rows of each frame
    tracks: NDArray[np.int64]  # (M,) numbers
    features: NDArray[np.float32]  # (M, FEATURES)
    truth: NDArray[np.float32]  # (M, TRUTH)
    scenes: NDArray[np.float32]  # (T, SCENE_FEATURES)
    events: NDArray[np.float32]  # (T, 5)

    def save(self, path: Path) -> None:
        """Written whole or not at all."""
        arrays.save(path, self)

    @staticmethod
    def load(path: Path) -> Watched:
        """Raises UserError for a file that is something else."""
        found = arrays.load(path, Watched, "watched drive")
        widths = [array.shape[1:] for array in (found.features, found.truth, found.scenes)]
        if widths != [(FEATURES,), (TRUTH,), (SCENE_FEATURES,)]:
            raise UserError(f"{path} was recorded by another version: remove it")
        return found


def watch(engine: NetworkEngine, world: World, episode: Episode, driver: Driver, frames: int, every: int) -> Watched:
    """Drives an episode for `frames` frames, one each `every` ticks, and notes what the engine's tracker made of it."""
    engine.decoder.foresight = Foresight(None)
    engine.reset()
    noted, labels = [], []
    for seen in labelled_drive(world, episode, driver, frames, every):
        engine(seen.observation)
        decoder = engine.decoder
        noted.append((decoder.objects.copy(), decoder.foresight.features, decoder.foresight.scene))
        labels.append(seen.labels)
    look_ahead(labels)
    own: dict[int, int] = {}  # actor of each track
    truths = [_truth(objects, frame, own) for (objects, _, _), frame in zip(noted, labels, strict=True)]
    return Watched(
        np.array([len(objects) for objects, _, _ in noted]),
        np.concatenate([objects["track"] for objects, _, _ in noted]).astype(np.int64),
        np.concatenate([features for _, features, _ in noted]),
        np.concatenate(truths),
        np.stack([scene for _, _, scene in noted]),
        np.stack([frame.frame["events"] for frame in labels]).astype(np.float32),
    )


def _truth(objects: NDArray[np.void], labels: FrameLabels, own: dict[int, int]) -> NDArray[np.float32]:
    """(N, TRUTH) of the objects of a frame; whose a track is, is noted in `own`: it stays his while he is not seen."""
    actors = labels.objects
    overlap = iou(objects["box"], actors["box"])
    overlap[:, actors["pixels"] <= 0] = 0.0
    overlap[GROUP[objects["kind"]][:, None] != GROUP[actors["kind"]][None]] = 0.0
    row = np.full(len(objects), -1)
    while overlap.size and overlap.max() > SAME:
        i, j = np.unravel_index(int(overlap.argmax()), overlap.shape)
        overlap[i], overlap[:, j] = 0.0, 0.0
        row[i] = j
        own[int(objects["track"][i])] = int(actors["id"][j])
    index = {int(number): j for j, number in enumerate(actors["id"])}
    for i in np.flatnonzero((row < 0) & (objects["box"][:, 2] <= 0.0)):
        row[i] = index.get(own.get(int(objects["track"][i]), -1), -1)
    truth = np.full((len(objects), TRUTH), np.nan, np.float32)
    found = row >= 0
    truth[found, :2] = actors["velocity_ego"][row[found]]
    truth[found, 2:4] = actors["xyz_ego"][row[found], :2]
    truth[found, 4:] = actors["path_ego"][row[found]].reshape(-1, 2 * PATHS)
    return truth


@dataclass(frozen=True, slots=True)
class Window:
    """L frames of a drive with N places, one for each track that appears: what is not there has `there` False."""

    features: NDArray[np.float32]  # (L, N, FEATURES)
    there: NDArray[np.bool_]  # (L, N)
    truth: NDArray[np.float32]  # (L, N, TRUTH)
    scenes: NDArray[np.float32]  # (L, SCENE_FEATURES)
    events: NDArray[np.float32]  # (L, 5)


def window(drive: Watched, start: int, length: int, places: int, mirror: bool = False) -> Window:
    """Frames `start` to `start + length`; tracks beyond `places` are left out. `mirror`: left for right."""
    ends = np.cumsum(drive.counts)
    features = np.zeros((length, places, FEATURES), np.float32)
    truth = np.full((length, places, TRUTH), np.nan, np.float32)
    there = np.zeros((length, places), bool)
    place: dict[int, int] = {}
    for k in range(length):
        rows = np.arange(ends[start + k] - drive.counts[start + k], ends[start + k])
        at = np.array([place.setdefault(n, len(place)) for n in drive.tracks[rows].tolist()], np.int64)
        rows, at = rows[at < places], at[at < places]
        features[k, at], truth[k, at], there[k, at] = drive.features[rows], drive.truth[rows], True
    scenes = drive.scenes[start : start + length].copy()
    if mirror:
        features[..., MIRRORED] *= -1.0
        truth[..., 1::2] *= -1.0
        scenes[:, SCENE_MIRRORED] *= -1.0
    return Window(features, there, truth, scenes, drive.events[start : start + length])
