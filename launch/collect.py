"""roadcraft collect --seeds 0-99 --out shards/train      the expert drives, frames and exact labels are recorded
roadcraft collect --sim.host 10.0.0.5 --sim.port 2000   on a server that runs already, CARLA's or ours

Shards are tar files (WebDataset): a picture, a semantic image, a frame's labels and its objects for each frame. A shard
appears under its name only when it is whole. Labels come from the simulator; nobody annotates by hand.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from roadcraft.control.drivers import load_driver
from roadcraft.launch import build
from roadcraft.launch.options.checks import seed_range
from roadcraft.launch.options.simulator import Collect
from roadcraft.launch.runs import Run, writable_folder
from roadcraft.launch.workers import Failed, run_jobs
from roadcraft.perception.data import Recipe, collect
from roadcraft.sim.episodes import episode_from_seed, look_number, town_of, with_look
from roadcraft.sim.errors import WorldLost
from roadcraft.sim.messages import Episode, Traffic

MANY = 0.5  # share of two-wheelers where there are many


def run(asked: Collect, run: Run) -> None:
    """The verb."""
    out = Path(asked.out) if asked.out is not None else run.folder / "shards"
    writable_folder(out)
    run.result.update(out=out, frames=0, drives=0, failed=[])
    record(asked, out, run)


def record(asked: Collect, out: Path, run: Run) -> None:
    """Records one drive a seed into `out`; counts in the run's result as it goes. Raises WorldLost when all failed."""
    seeds = seed_range(asked.seeds)
    jobs = [(replace(asked, out=str(out)), seed) for seed in seeds]
    result = run.result
    with tqdm(total=len(seeds), desc="drives", unit="drive") as bar:
        for (_, seed), answer in run_jobs(drive_one, jobs, 1 if asked.sim.runs_already else asked.workers):
            if isinstance(answer, Failed):
                result["failed"].append({"seed": seed, "why": answer.reason})
            else:
                result["frames"] += answer
                result["drives"] += 1
            bar.update()
            bar.set_postfix_str(f"{result['frames']} frames", refresh=False)
    if result["failed"] and not result["drives"]:
        raise WorldLost(f"no drive could be recorded: {result['failed'][0]['why']}")


def drive_one(job: tuple[Collect, int]) -> int:
    """Records one seed's drive in this process; returns the number of frames."""
    asked, seed = job
    recipe = Recipe(
        frames=asked.frames,
        clips=asked.clips,
        every=asked.every,
        jitter=asked.jitter,
        swerve=asked.swerve,
        queue=asked.queue,
    )
    episode = episode_of(asked, seed)
    with build.open_world(asked.sim, episode.town) as world:
        return collect(world, [episode], lambda s: load_driver(asked.driver, seed=s), Path(str(asked.out)), recipe)


def episode_of(asked: Collect, seed: int) -> Episode:
    """The drive that is recorded for a seed."""
    rare = np.random.default_rng([seed, 0x2B]).random() < asked.two_wheelers
    traffic = Traffic(asked.traffic.vehicles, asked.traffic.walkers, MANY if rare else None)
    town = with_look(town_of(seed), look_number(seed, asked.looks))
    none = {} if asked.traffic.scenarios else {"scenarios": ()}
    return episode_from_seed(seed, town=town, traffic=traffic, **none)
