"""Where training clips come from: recording ticks of any world into shards, and reading clips back.

A shard is a WebDataset tar: for each frame `<key>.jpg` (or .png), `<key>.semantic.png`, `<key>.frame.npy`,
`<key>.objects.npy`, in the order of time; a key is `<episode seed>-<clip>-<frame>`. No pickles.
"""

from __future__ import annotations

import io
import logging
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.augment import Augmentation, Sample, augment
from roadcraft.perception.events import EventWatch
from roadcraft.perception.labels import (
    FRAME,
    HIGHEST_TAG,
    SEEN,
    FrameLabels,
    fault,
    frame_labels,
    look_ahead,
    recorded_semantic,
    standing,
)
from roadcraft.perception.targets import Targets, asked_for, frame_targets
from roadcraft.perception.view import motion_vector
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Camera, Control, Driver, Episode, Facts, Kind, LightState, Tick, World

log = logging.getLogger(__name__)
# How a clip that shows such a thing is liked beside one that shows a light that is about to turn red: what is rare and
# matters is learned from more often than it is met.
EVENT, PERSON, MOVING, PLAIN = 0.3, 0.2, 0.15, 0.06
NEAR = 14.0, 4.0  # [m] along and across from the ego's middle: somebody near
PERSON_NEAR = 30.0  # [m] ahead: a pedestrian or cyclist near
TRIES = 30  # clips that are looked at, at most, for one that is liked
LONGEST_WAIT = 900  # ticks that a clip waits for somebody ahead ...
CLOSE = 13.0, 2.0  # [m] ... within so much, along and across, from middle to middle
PARTS = (("jpg", "png"), ("semantic.png",), ("frame.npy",), ("objects.npy",))  # endings of a frame's files


@dataclass(frozen=True)
class Recipe:
    """How clips are recorded."""

    frames: int = 60  # of a clip
    clips: int = 2  # of an episode
    every: int = 2  # ticks between frames (20 Hz)
    skip: int = 60  # ticks between clips
    warm_up: int = 20  # ticks before the first
    jitter: float = 0.4  # share of episodes whose camera is mounted differently
    swerve: float = 0.5  # share of clips in which the car is steered off its line now and then
    queue: float = 0.3  # share of clips that wait until somebody is close ahead: rare on the way, and what matters most
    quality: int = 92  # of the JPEGs; 0: PNG


def jittered_camera(rng: np.random.Generator, base: Camera) -> Camera:
    """Another mounting: 1.2 to 1.9 m high, up to half a metre aside, up to 3 degrees nose up or down."""
    x, y, z = rng.uniform(0.6, 1.8), rng.uniform(-0.5, 0.5), rng.uniform(1.2, 1.9)
    return replace(base, xyz_ego=(x, y, z), pitch=float(np.radians(rng.uniform(-3.0, 3.0))))


class Swerving:
    """A driver that is pushed off its line for a second now and then, so that views from there are seen too."""

    def __init__(self, driver: Driver, rng: np.random.Generator) -> None:
        self.driver, self._rng = driver, rng
        self._until, self._push, self._next = 0.0, 0.0, rng.uniform(0.0, 4.0)

    def __call__(self, tick: Tick) -> Control:
        control = self.driver(tick).control
        now, rng = tick.observation.time, self._rng
        if now >= self._next:
            self._until = now + rng.uniform(0.5, 1.5)
            self._next = now + rng.uniform(3.0, 8.0)
            strength = 0.9 / max(tick.observation.ego.speed, 3.0)
            self._push = float(rng.normal(0.0, strength))
        steer = control.steer + (self._push if now < self._until else 0.0)
        return replace(control, steer=float(np.clip(steer, -1.0, 1.0)))


def record_episode(
    world: World, episode: Episode, driver: Driver, recipe: Recipe, rng: np.random.Generator
) -> Iterator[tuple[str, list[tuple[Tick, FrameLabels]]]]:
    """Clips of one episode as (key, frames). Ends early when the drive goes wrong for long."""
    camera = episode.camera or Camera()
    if rng.random() < recipe.jitter:
        camera = jittered_camera(rng, camera)
    tick = world.reset(replace(episode, camera=replace(camera, labels=True)))
    known = standing(world)
    watch = EventWatch()
    control: Callable[[Tick], Control] = lambda t: driver(t).control  # noqa: E731
    wait = recipe.warm_up
    for clip in range(recipe.clips):
        steer = Swerving(driver, rng) if rng.random() < recipe.swerve else control
        frames: list[tuple[Tick, FrameLabels]] = []
        patience = LONGEST_WAIT if rng.random() < recipe.queue else 0
        for k in range(wait + patience):
            if _astray(tick):
                return
            if k >= wait and somebody_ahead(tick.facts):
                break
            watch(tick.facts)
            tick = _step(world, steer(tick), looks=k + 1 >= wait)
        for k in range(recipe.frames * recipe.every):
            happening = watch(tick.facts)
            if k % recipe.every == 0:
                frames.append((tick, frame_labels(tick, happening, *known)))
            tick = _step(world, steer(tick), looks=(k + 1) % recipe.every == 0)
            if _astray(tick):
                break
        look_ahead([labels for _, labels in frames])
        yield f"{episode.seed:06d}-{clip}", frames
        wait = recipe.skip
        if _arrives(tick):
            return


def _arrives(tick: Tick) -> bool:
    return tick.facts.progress > tick.facts.route_length - 20.0


def _astray(tick: Tick) -> bool:
    return abs(tick.facts.lateral_error) > 6.0 or _arrives(tick)


def somebody_ahead(facts: Facts) -> bool:
    """Whether an actor is CLOSE ahead of the ego."""
    x, y, yaw = facts.pose
    dx, dy = (facts.actors["xyz"][:, :2] - (x, y)).T
    along, across = dx * np.cos(yaw) + dy * np.sin(yaw), dy * np.cos(yaw) - dx * np.sin(yaw)
    return bool(((along > 0.0) & (along < CLOSE[0]) & (np.abs(across) < CLOSE[1])).any())


def _step(world: World, control: Control, looks: bool) -> Tick:
    """A tick; a world that can leave the camera out does so where nobody looks."""
    if hasattr(world, "looking"):
        world.looking = looks
    return world.step(control)


class ShardWriter:
    """Writes clips into tar files of about `size` frames. A shard appears under its name when it is complete."""

    def __init__(self, folder: Path, prefix: str, size: int = 240, quality: int = 92) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.prefix, self.size, self.quality = folder, prefix, size, quality
        self.count = 0  # of frames
        self._tar: tarfile.TarFile | None = None
        self._in_shard = self._shards = 0

    def write(self, key: str, frames: list[tuple[Tick, FrameLabels]], parked_known: bool = False) -> None:
        """Adds a clip. `parked_known`: its labels tell of parked cars too."""
        for k, (tick, labels) in enumerate(frames):
            rgb, images = tick.observation.rgb, tick.labels
            assert rgb is not None
            assert images is not None
            name = f"{key}-{k:04d}"
            picture = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
            if self.quality:
                self._add(f"{name}.jpg", _encoded(".jpg", picture, cv2.IMWRITE_JPEG_QUALITY, self.quality))
            else:
                self._add(f"{name}.png", _encoded(".png", picture, cv2.IMWRITE_PNG_COMPRESSION, 2))
            semantic = recorded_semantic(images, parked_known)
            self._add(f"{name}.semantic.png", _encoded(".png", semantic, cv2.IMWRITE_PNG_COMPRESSION, 1))
            self._add(f"{name}.frame.npy", _npy(np.asarray(labels.frame)))
            self._add(f"{name}.objects.npy", _npy(labels.objects))
            self.count += 1
            self._in_shard += 1
        if self._in_shard >= self.size:
            self.close()

    def _add(self, name: str, data: bytes) -> None:
        if self._tar is None:
            path = self.folder / f".{self.prefix}-{self._shards:05d}.tar"
            self._tar = tarfile.open(path, "w")  # noqa: SIM115 (closed by `close`)
        info = tarfile.TarInfo(name)
        info.size, info.mtime = len(data), int(time.time())
        self._tar.addfile(info, io.BytesIO(data))

    def close(self) -> None:
        """Completes the shard at hand."""
        if self._tar is not None:
            self._tar.close()
            path = Path(str(self._tar.name))
            path.rename(path.with_name(path.name[1:]))
            self._tar, self._in_shard = None, 0
            self._shards += 1


def _encoded(kind: str, image: NDArray[np.uint8], *options: int) -> bytes:
    ok, data = cv2.imencode(kind, image, list(options))
    assert ok
    return bytes(data)


def _npy(array: NDArray[Any]) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def collect(
    world: World,
    episodes: Iterable[Episode],
    driver_for: Callable[[int], Driver],
    out: Path,
    recipe: Recipe | None = None,
    progress: Callable[[int], None] = lambda frames: None,
) -> int:
    """Drives through the episodes and records shards into `out`; returns the number of frames. `driver_for` makes a
    driver for an episode's seed; `progress` is told the frames so far after each clip."""
    recipe = recipe or Recipe()
    total = 0
    for episode in episodes:
        rng = np.random.default_rng((episode.seed, 77))
        writer = ShardWriter(out, f"{episode.seed:06d}", quality=recipe.quality)
        for key, frames in record_episode(world, episode, driver_for(episode.seed), recipe, rng):
            writer.write(key, frames, standing(world)[1] is not None)
            progress(total + writer.count)
        writer.close()
        total += writer.count
    return total


@dataclass(frozen=True, slots=True)
class Place:
    """Where one frame's files are: the shard, the frame's key, and offset and size of each of PARTS."""

    shard: Path
    key: str
    parts: tuple[tuple[int, int], ...]


@dataclass
class Shards:
    """All clips in a folder of shards, read by random access. `skipped` names the shards that were cut short."""

    folder: Path
    clips: list[list[Place]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    _known: set[Path] = field(default_factory=set)

    def refresh(self) -> int:
        """Looks for new shards; returns the number of frames known now. Raises UserError where there is no folder."""
        if not self.folder.is_dir():
            raise UserError(f"no folder of shards at {self.folder}: `roadcraft collect` records one")
        for path in sorted(self.folder.glob("*.tar")):
            if path not in self._known and not path.name.startswith("."):  # a dot: being written
                self._known.add(path)
                try:
                    self.clips += _index(path)
                except (tarfile.TarError, EOFError, ValueError) as error:
                    self.skipped.append(path.name)
                    log.warning("skipped shard %s: %s", path, error)
        return sum(map(len, self.clips))

    def labels(self, place: Place) -> FrameLabels:
        """The labels of one frame, but the semantic image. Raises UserError, with shard and frame, when they are not
        what they should be."""
        return _labels(place, *_read(place, 2, 3))

    def read(self, place: Place) -> Sample:
        """One frame. Raises UserError, with shard and frame, when its files are not what they should be: a shard that
        is not whole is passed over, but nobody shall learn from, or pass over unseen, what is whole and wrong."""
        coded, coded_semantic, frame, objects = _read(place, 0, 1, 2, 3)
        picture = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR)
        semantic = cv2.imdecode(np.frombuffer(coded_semantic, np.uint8), cv2.IMREAD_GRAYSCALE)
        labels = _labels(place, frame, objects)
        if picture is None or semantic is None:
            raise _wrong(place, "its pictures cannot be read")
        size = tuple(labels.frame["size"].tolist())
        if not picture.shape[1::-1] == semantic.shape[::-1] == size:
            raise _wrong(place, f"its pictures are not both of the labels' {size[0]}x{size[1]} pixels")
        if semantic.max(initial=0) > HIGHEST_TAG:
            raise _wrong(place, f"semantic tag {semantic.max()} is not one of CARLA's (0-{HIGHEST_TAG})")
        rgb = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
        return Sample(rgb, np.asarray(semantic, np.uint8), labels)


def _wrong(place: Place, what: str) -> UserError:
    return UserError(f"shard {place.shard}, frame {place.key}: {what}")


def _read(place: Place, *parts: int) -> list[bytes]:
    """Some of a frame's files, by their place in PARTS."""
    with place.shard.open("rb") as file:
        data = []
        for offset, size in (place.parts[part] for part in parts):
            file.seek(offset)
            data.append(file.read(size))
    return data


def _labels(place: Place, frame: bytes, objects: bytes) -> FrameLabels:
    try:
        arrays = [np.load(io.BytesIO(data), allow_pickle=False) for data in (frame, objects)]
    except (ValueError, EOFError, OSError) as error:
        raise _wrong(place, f"its labels cannot be read: {error}") from None
    if [a.dtype for a in arrays] != [FRAME, SEEN]:
        raise _wrong(place, "its labels are not of this version")
    labels = FrameLabels(arrays[0][()].copy(), arrays[1].copy())
    if found := fault(labels):
        raise _wrong(place, found)
    return labels


def _index(path: Path) -> list[list[Place]]:
    """The clips of one shard. Raises TarError or ValueError for a broken one."""
    size = path.stat().st_size
    frames: dict[str, dict[int, tuple[int, int]]] = {}
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            key, _, ending = member.name.partition(".")
            part = next((i for i, endings in enumerate(PARTS) if ending in endings), None)
            if part is None:
                continue
            if member.offset_data + member.size > size:
                raise ValueError(f"cut short in {member.name}")
            frames.setdefault(key, {})[part] = (member.offset_data, member.size)
    clips: dict[str, list[Place]] = {}
    for key in sorted(frames):
        if len(frames[key]) != len(PARTS):
            raise ValueError(f"{key} lacks files")
        place = Place(path, key, tuple(frames[key][i] for i in range(len(PARTS))))
        clips.setdefault(key.rpartition("-")[0], []).append(place)
    return list(clips.values())


@dataclass(frozen=True, slots=True)
class Clip:
    """A training example: T frames with their targets."""

    frames: NDArray[np.uint8]  # (T, H, W, 3)
    motion: NDArray[np.float32]  # (T, MOTION)
    targets: list[Targets]
    name: str = ""  # where it begins: the shard, and the frame's key


def draw_clip(shards: Shards, length: int, size: tuple[int, int], how: Augmentation, rng: np.random.Generator) -> Clip:
    """A random clip of `length` frames, augmented. `size`: height and width of the network's input."""
    long_enough = [clip for clip in shards.clips if len(clip) >= length]
    if not long_enough:
        raise UserError(f"{shards.folder} holds no clip of {length} frames")
    for _ in range(TRIES):
        clip = long_enough[int(rng.integers(len(long_enough)))]
        step = 2 if len(clip) >= 2 * length and rng.random() < 0.2 else 1
        start = int(rng.integers(len(clip) - (length - 1) * step))
        ends = (shards.labels(clip[start]), shards.labels(clip[start + (length - 1) * step]))
        if rng.random() < max(map(liking, ends)):
            break
    samples = [shards.read(clip[start + k * step]) for k in range(length)]
    first = clip[start]
    return replace(clip_of(augment(samples, how, rng), size), name=f"{first.shard.name}:{first.key}")


def liking(labels: FrameLabels) -> float:
    """Probability that a clip with such a frame is learned from when it is drawn."""
    frame, objects = labels.frame, labels.objects
    if frame["light"] == LightState.YELLOW and frame["light_visible"]:
        return 1.0
    if frame["events"].any():
        return EVENT
    seen = objects[asked_for(labels)]
    ahead = (seen["xyz_ego"][:, 0] > 0.0) & (seen["xyz_ego"][:, 0] < PERSON_NEAR)
    if (ahead & (seen["kind"] >= Kind.MOTORCYCLE)).any():
        return PERSON
    if (np.abs(seen["xyz_ego"][:, :2]) < NEAR).all(1).any():
        return MOVING
    moving = bool(frame["speed"] >= 0.5)
    return MOVING if moving and (frame["light_visible"] or frame["stop_visible"]) else PLAIN


def clip_of(samples: list[Sample], size: tuple[int, int], before: float | None = None) -> Clip:
    """Samples in time order as a training example. `before`: time [s] of the frame before the first, if there was."""
    seen_light = seen_stop = False
    targets, motion = [], []
    last = before
    for s in samples:
        if s.rgb.shape[:2] != size:
            raise UserError(f"frames of {s.rgb.shape[1]}x{s.rgb.shape[0]} do not fit a network for {size[1]}x{size[0]}")
        frame = s.labels.frame
        seen_light |= bool(frame["light_visible"]) and not s.ruined
        seen_stop |= bool(frame["stop_visible"]) and not s.ruined
        unknown = not frame["signs_known"]
        target = frame_targets(s.labels, s.semantic, seen_light or unknown, seen_stop or unknown)
        targets.append(replace(target, valid=0.0) if s.ruined else target)
        dt = 0.0 if last is None else float(frame["time"]) - last
        motion.append(motion_vector(s.labels.camera, float(frame["speed"]), float(frame["yaw_rate"]), dt))
        last = float(frame["time"])
    return Clip(np.stack([s.rgb for s in samples]), np.stack(motion), targets)
