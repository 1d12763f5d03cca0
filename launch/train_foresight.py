"""What `train foresight` does: records drives that the network watches, then trains on them."""

from __future__ import annotations

import sys
from contextlib import closing
from functools import cache
from pathlib import Path

from tqdm import tqdm

from roadcraft.control.drivers import load_driver
from roadcraft.launch import build
from roadcraft.launch.options.checks import seed_range
from roadcraft.launch.options.training import TrainForesight
from roadcraft.launch.runs import Run
from roadcraft.launch.workers import Failed, run_jobs
from roadcraft.perception.engines.base import NetworkEngine
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.errors import WorldLost
from roadcraft.sim.messages import Traffic

WEATHERS = ("clear", "rain", "fog", "night")  # by the seed's remainder


def train_foresight(asked: TrainForesight, run: Run, out: Path, command: str) -> None:
    """Trains; drives, weights and their card are in `out`."""
    from roadcraft.perception.foresight_train import ForesightTraining, train_foresight

    folders = out / "drives" / "train", out / "drives" / "validate"
    for folder, seeds in zip(folders, (asked.seeds, asked.validation_seeds), strict=True):
        record(asked, folder, seed_range(seeds))
    how = ForesightTraining(*folders, out, steps=asked.steps, batch=asked.batch, rate=asked.rate, seed=asked.seed)
    about = {"seeds": asked.seeds, "validation_seeds": asked.validation_seeds, "watched_by": watching(asked)}
    best = train_foresight(how, command, about, lambda words: print(words, file=sys.stderr, flush=True))
    run.result.update(weights=best, steps=asked.steps, out=out)


def watching(asked: TrainForesight) -> dict[str, str]:
    """Which network watched."""
    engine = engine_of(asked)
    return {"engine": engine.name, "precision": engine.precision, "weights": engine.model.hash}


def record(asked: TrainForesight, folder: Path, seeds: list[int]) -> None:
    """Records the drives that are not in the folder yet. Raises WorldLost when one cannot be recorded."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(asked, str(path), seed) for seed in seeds if not (path := folder / f"{seed:06d}.npz").is_file()]
    with tqdm(total=len(jobs), desc=folder.name, unit="drive") as bar:
        for (_, _, seed), answer in run_jobs(record_one, jobs, asked.workers):
            if isinstance(answer, Failed):
                raise WorldLost(f"the drive of seed {seed} could not be recorded: {answer.reason}")
            bar.update()


def record_one(job: tuple[TrainForesight, str, int]) -> int:
    """Records one seed's drive in this process; returns the number of frames."""
    from roadcraft.perception.foresight_data import watch

    asked, path, seed = job
    traffic = Traffic(asked.traffic.vehicles, asked.traffic.walkers)
    scenarios = {} if asked.traffic.scenarios else {"scenarios": ()}
    episode = episode_from_seed(seed, weather=WEATHERS[seed % 4], traffic=traffic, **scenarios)
    with closing(EmbeddedWorld()) as world:
        every = 1 if seed // 4 % 2 else 2
        drive = watch(engine_of(asked), world, episode, load_driver("expert", seed=seed), asked.frames, every)
    drive.save(Path(path))
    return len(drive.counts)


@cache
def engine_of(asked: TrainForesight) -> NetworkEngine:
    """The engine of this process."""
    return build.build_engine(build.among(asked.engine, asked.workers))
