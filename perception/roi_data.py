"""What the second stage learns from: the first stage's peaks in recorded clips, each with the pixels around it and what
is really there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from roadcraft.perception import arrays
from roadcraft.perception.augment import Sample
from roadcraft.perception.data import Place, Shards, clip_of
from roadcraft.perception.detection import iou
from roadcraft.perception.heads import GROUPS, MOST_PEAKS
from roadcraft.perception.labels import FrameLabels
from roadcraft.perception.metrics import on_unknown
from roadcraft.perception.network import Network, peaks
from roadcraft.perception.projection import camera_frame
from roadcraft.perception.roi import (
    LEAST,
    SAID,
    SIDE,
    at_cells,
    candidates,
    first_boxes,
    middles,
    pixels_of,
    squares_of,
)
from roadcraft.perception.targets import GROUP, NEAREST, asked_for
from roadcraft.perception.view import REFERENCE_FOCAL
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Camera

SHIFT = 3  # [square's pixels] by which squares may be moved for training
WIDE = SIDE + 2 * SHIFT
FIRST = 2  # frames of a clip before the memory has anything to say
SAME = 0.1  # IoU from which a peak's box is meant for an object


@dataclass(frozen=True, slots=True)
class Peaks:
    """N peaks of the first stage."""

    pixels: NDArray[np.uint8]  # (N, WIDE, WIDE, 3): the square, and SHIFT more on each side
    features: NDArray[np.float16]  # (N, neck + GROUPS): of the cell, and its logits of the classes
    boxes: NDArray[np.float32]  # (N, 4) the first stage's [input pixels]
    squares: NDArray[np.int32]  # (N, 3) left, top, scale, see `roi.squares_of`
    said: NDArray[np.float32]  # (N, 2) the first stage's log depth [log m at the reference focal length], log scale
    truth: NDArray[np.float32]  # (N, 4) the object's box; NaN where there is none
    depth: NDArray[np.float32]  # (N,) the object's log depth; NaN where there is none, or too near to be told
    group: NDArray[np.int8]  # (N,) of the object; GROUPS where there is none
    main: NDArray[np.bool_]  # (N,) whether it is the highest of its object's
    judged: NDArray[np.bool_]  # (N,) whether it can be told what this should have been
    size: NDArray[np.int32]  # (2,) height and width of the pictures

    def save(self, path: Path) -> None:
        """Written whole or not at all."""
        arrays.save(path, self)

    @staticmethod
    def load(path: Path) -> Peaks:
        """Raises UserError for a file that is something else."""
        found = arrays.load(path, Peaks, "record of peaks")
        if found.pixels.shape[1:] != (WIDE, WIDE, 3):
            raise UserError(f"{path} was recorded by another version: remove it")
        return found

    @staticmethod
    def joined(parts: list[Peaks]) -> Peaks:
        """All peaks of pictures of one size."""
        together = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Peaks)}
        return Peaks(**together | {"size": parts[0].size})


def identity(weights: str, shards: Shards) -> str:
    """16 hex digits that a network of that hash and these shards have, and no other: neither other shards nor the same
    ones elsewhere or written anew."""
    parts = [weights]
    for shard in sorted({clip[0].shard.resolve() for clip in shards.clips}):
        about = shard.stat()
        parts.append(f"{shard} {about.st_size} {about.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def record(network: Network, shards: Shards, folder: Path) -> Iterator[str]:
    """Writes the peaks of each shard's clips into a folder, but of those that are there already; says which."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    by_shard: dict[Path, list[list[Place]]] = {}
    for clip in shards.clips:
        by_shard.setdefault(clip[0].shard, []).append(clip)
    for shard, clips in by_shard.items():
        path = folder / f"{shard.stem}.npz"
        if not path.is_file():
            found = [part for clip in clips for part in look(network, shards, clip)]
            if found:
                Peaks.joined(found).save(path)
        yield shard.name


@torch.no_grad()
def look(network: Network, shards: Shards, clip: list[Place]) -> Iterator[Peaks]:
    """The peaks of the frames of a clip, which the network (in evaluation mode) sees from its beginning."""
    a = network.architecture
    samples = [shards.read(place) for place in clip]
    made = clip_of(samples, (a.height, a.width))
    heads, _ = network(torch.from_numpy(made.frames)[None], torch.from_numpy(made.motion)[None])
    for k, sample in enumerate(samples[FIRST:], FIRST):
        yield peaks_of({name: value[:, k] for name, value in heads.items()}, made.frames[k], sample)


def peaks_of(heads: dict[str, Tensor], frame: NDArray[np.uint8], sample: Sample) -> Peaks:
    """The peaks of one frame (H, W, 3), beside its labels."""
    found = peaks(heads["heat"])
    cols, (height, width) = found.shape[3], frame.shape[:2]
    cells = candidates(found, min(MOST_PEAKS, found[0, 0].numel()))
    best = found.amax(1).flatten(1).gather(1, cells)
    cells = cells[:, best[0] > LEAST]
    boxes, middle = first_boxes(at_cells(heads["objects"], cells))[0], middles(cells, cols)[0]
    left, top, scale = squares_of(boxes)
    left, top, boxes = left + middle[:, 0], top + middle[:, 1], boxes + middle.repeat(1, 2)
    at = pixels_of(left - SHIFT * scale, top - SHIFT * scale, scale, height, width, WIDE)
    features = torch.cat([at_cells(heads["detected"], cells), at_cells(heads["heat"], cells)], 2)[0]
    clipped = boxes.numpy().copy()
    clipped[:, 0::2], clipped[:, 1::2] = clipped[:, 0::2].clip(0, width), clipped[:, 1::2].clip(0, height)
    first = found[0].flatten(1)[:, cells[0]].argmax(0).numpy()
    return Peaks(
        frame.reshape(-1, 3)[at.numpy()].reshape(-1, WIDE, WIDE, 3),
        features.numpy().astype(np.float16),
        boxes.numpy(),
        torch.stack([left, top, scale], 1).numpy().astype(np.int32),
        at_cells(heads["objects"], cells)[0, :, 4:SAID].float().numpy(),
        *meant(clipped, first, sample.labels, sample.semantic),
        np.array([height, width], np.int32),
    )


def meant(
    boxes: NDArray[np.float32], first: NDArray[np.int64], labels: FrameLabels, semantic: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int8], NDArray[np.bool_], NDArray[np.bool_]]:
    """The object that each box (N, 4), of a group (N,) by the first stage, best first, is meant for: the object's box
    (N, 4), log depth (N,) and group (N,), whether no better box is meant for it, and whether anybody can tell: not of
    boxes on what has no label or on objects too hidden to be asked for."""
    seen = labels.objects[labels.objects["pixels"] > 0]
    asked, group = asked_for(FrameLabels(labels.frame, seen)), GROUP[seen["kind"]]
    truth, groups = np.full((len(boxes), 4), np.nan, np.float32), np.full(len(boxes), GROUPS, np.int8)
    deep = np.full(len(boxes), np.nan, np.float32)
    judged = np.array([not on_unknown(box, semantic) for box in boxes], bool)
    if not len(seen) or not len(boxes):
        return truth, deep, groups, np.zeros(len(boxes), bool), judged
    overlap = iou(boxes, seen["box"])
    liking = overlap * np.where(asked, 1.0, 0.5) * np.where(group[None] == first[:, None], 1.3, 1.0)
    nearest = liking.argmax(1)
    found = overlap[np.arange(len(boxes)), nearest] >= SAME
    rows = np.flatnonzero(found)
    truth[rows], groups[rows] = seen["box"][nearest[rows]], group[nearest[rows]]
    deep[rows] = log_depth(seen, labels.camera)[nearest[rows]]
    main = np.zeros(len(boxes), bool)
    main[rows[np.unique(nearest[rows], return_index=True)[1]]] = True
    on_hidden = ((overlap > 0.2) & ~asked).any(1)
    return truth, deep, groups, main, judged & np.where(found, asked[nearest], ~on_hidden)


def log_depth(objects: NDArray[np.void], camera: Camera) -> NDArray[np.float64]:
    """The log depth (N,) of objects' footprints at the reference focal length; NaN where they are too near to tell."""
    depth = camera_frame(camera, objects["xyz_ego"].astype(float))[:, 0]
    return np.log(np.where(depth > NEAREST, depth, np.nan) * REFERENCE_FOCAL / camera.focal)
