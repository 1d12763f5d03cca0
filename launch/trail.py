"""trails/<driver>-<seed>.npy: a hash of the world's state at every tick, to find where two runs of a route part."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadcraft.launch.loop import Moment
from roadcraft.sim.messages import Episode, Facts, Tick

PER_UNIT = 1000  # states that agree to the millimetre, mm/s and milliradian are the same


def state_hash(facts: Facts) -> int:
    """32 bits of what is there: the ego and everybody within 150 m with pose and speed, and the light ahead."""
    others = facts.actors
    parts = (facts.pose, facts.velocity_ego, others["xyz"], others["yaw"], others["velocity"], [float(facts.light)])
    state = np.concatenate([np.ravel(part) for part in parts])
    return zlib.crc32(np.rint(PER_UNIT * state).astype("<i8").tobytes())


class Trail:
    """Subscriber that writes the hashes, 4 bytes a tick: of the first tick, then of what came of each decision."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hashes: list[int] = []

    def begin(self, episode: Episode, tick: Tick) -> None:
        """The state that the drive begins in."""
        self.hashes = [state_hash(tick.facts)]

    def __call__(self, moment: Moment) -> None:
        self.hashes.append(state_hash(moment.after.facts))

    def close(self) -> None:
        """Writes the file, whole or not at all. May be called twice."""
        self.path.parent.mkdir(exist_ok=True)
        draft = self.path.with_suffix(".part")
        with draft.open("wb") as file:
            np.save(file, np.array(self.hashes, "<u4"))
        draft.replace(self.path)


def stem(driver: str) -> str:
    """A driver's name in file names: FILE.py:CLASS goes by its file."""
    return Path(driver.split(":")[0]).stem


def trail_path(folder: Path, driver: str, seed: int) -> Path:
    """Where the trail of a route lies in a run's folder."""
    return folder / "trails" / f"{stem(driver)}-{seed}.npy"


def read_trail(path: Path) -> NDArray[np.uint32] | None:
    """The hashes (ticks + 1,); None when there is no such file."""
    if not path.is_file():
        return None
    hashes: NDArray[np.uint32] = np.load(path, allow_pickle=False)
    return hashes


def parting(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> int | None:
    """The first tick at which two trails differ, or only one goes on; None when they are the same."""
    common = min(len(one), len(other))
    differing = np.flatnonzero(one[:common] != other[:common])
    if len(differing):
        return int(differing[0])
    return None if len(one) == len(other) else common
