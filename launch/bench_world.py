"""How fast the world is: `bench sim` and `bench env`.

What runs in one thread is timed in its processor time, so that neighbours on the machine do not count; what uses
several processes or threads (the real client, the network, a drive's start) is timed by the clock.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from statistics import median
from time import perf_counter, thread_time
from typing import Any

import numpy as np
from tqdm import tqdm

from roadcraft.control.env import DriveEnv
from roadcraft.control.policy import DECIDE_TICKS
from roadcraft.launch import build
from roadcraft.launch.bench_ppo import learners
from roadcraft.launch.bench_server import bench_server
from roadcraft.launch.options.bench import BenchEnv, BenchSim
from roadcraft.sim.embedded.render.measure import measure
from roadcraft.sim.embedded.server.crowd import populate
from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.scans import Lidar
from roadcraft.sim.embedded.server.wire import Pose
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import DT, Camera, Control, Kind, Traffic, World

Clock = Callable[[], float]
TURNS = 5  # turns of the renderer in a round
LIDAR = {"channels": "64", "range": "100", "points_per_second": "2000000", "rotation_frequency": "20"}
ROOF = 2.4  # [m] of the lidar above the road
CROWDED: dict[str, Any] = {"town": "highway", "route_length": 2000.0, "scenarios": ()}  # has room for all of CROWD
CROWD = (10, 50, 100, 200)  # vehicles
ONWARDS = np.array([0.0, 0.2], np.float32)  # a policy's action: along the path, faster


def in_turn(contenders: dict[str, Callable[[int], float]], rounds: int, count: int) -> dict[str, float]:
    """Rates [1/s] by name: each contender does `count` things a round and says how long it took; medians of rounds."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in tqdm(range(rounds), desc="rounds"):
        for name, contender in contenders.items():
            times[name].append(contender(count))
    return {name: count / median(taken) for name, taken in times.items()}


def bench_sim(asked: BenchSim) -> dict[str, Any]:
    """Pictures and points a second; ticks a second here and through the client; how long a drive takes to start."""
    result: dict[str, Any] = dict(measure(TURNS * asked.rounds))
    episode = episode_from_seed(
        asked.seed, traffic=Traffic(asked.traffic.vehicles, asked.traffic.walkers), scenarios=()
    )
    result["lidar_points_per_s"] = lidar_points(asked, episode.town)
    cameras = {
        "no_camera": None,
        "camera_320x180": Camera(320, 180),
        "camera_640x360": Camera(),
        "labels_640x360": Camera(labels=True),
    }
    contenders: dict[str, Callable[[int], float]] = {}
    worlds: list[World] = []
    for name, camera in cameras.items():
        worlds.append(EmbeddedWorld())
        worlds[-1].reset(replace(episode, camera=camera))
        contenders[name] = stepping(worlds[-1])
    rates = in_turn(contenders, asked.rounds, asked.ticks)
    for world in worlds:
        world.close()
    result["in_process_ticks_per_s"] = rates
    result["real_time_factor"] = {name: rate * DT for name, rate in rates.items()}
    result.update(bench_server(asked, episode.town))
    if asked.starts:
        result["drive_start_s"] = [drive_start() for _ in tqdm(range(asked.starts), desc="starts")]
    return result


def stepping(world: World) -> Callable[[int], float]:
    """Steps a world with a car that rolls along; returns how long `count` ticks took [s]."""

    def steps(count: int) -> float:
        began = thread_time()
        for _ in range(count):
            world.step(Control(throttle=0.3))
        return thread_time() - began

    return steps


def lidar_points(asked: BenchSim, town: str) -> float:
    """Rays a second of a whole lidar on a car's height in traffic, from casting to the bytes of the message."""
    live = LiveWorld(load_town(town), town, seed=asked.seed)
    populate(live, asked.traffic.vehicles, asked.traffic.walkers, asked.seed)
    x, y, yaw = live.town.network.spawns[0].tolist()
    given = [[name, 2, value] for name, value in LIDAR.items()]
    actor = live.spawn("sensor.lidar.ray_cast", given, Pose(x, y, ROOF, yaw))
    lidar = Lidar(actor)

    def scans(count: int) -> float:
        began = thread_time()
        for _ in range(count):
            live.step(DT)
            for _ in lidar.sense(live, actor, DT):
                pass
        return thread_time() - began

    scans(1)
    points = round(lidar.rate * DT / lidar.channels) * lidar.channels
    return points * in_turn({"lidar": scans}, asked.rounds, max(asked.ticks // 20, 1))["lidar"]


def drive_start() -> float:
    """How long the default drive takes from the command to the end of its first tick [s], its video left out."""
    words = ["drive", "--max_ticks", "1", "--video", "false", "--rerun", "false"]
    with tempfile.TemporaryDirectory() as folder:
        began = perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "roadcraft.launch", *words], cwd=folder, capture_output=True, text=True, check=False
        )
        taken = perf_counter() - began
    if done.returncode:
        raise UserError(f"a drive did not start: {done.stderr.strip().splitlines()[-1]}")
    return taken


def bench_env(asked: BenchEnv) -> dict[str, Any]:
    """Steps a second of `DriveEnv` and of PPO, one environment, one process; and what each further vehicle costs."""
    pictures = DriveEnv()
    pictures.overrides["camera"] = Camera(256, 144)
    envs = {"truth": DriveEnv(), "camera": pictures, "network": DriveEnv(engine=build.build_engine(asked.engine))}
    clocks: dict[str, Clock] = {"truth": thread_time, "camera": thread_time, "network": perf_counter}
    learning = learners(asked)
    contenders: dict[str, Callable[[int], float]] = {
        name: driving(env, asked.seed, clocks[name]) for name, env in envs.items()
    }
    rates = in_turn({**contenders, **learning}, asked.rounds, asked.steps)
    for env in envs.values():
        env.close()
    for learner in learning.values():
        learner.close()
    return {
        "env_steps_per_s": rates["truth"] * DECIDE_TICKS,
        "env_camera_steps_per_s": rates["camera"] * DECIDE_TICKS,
        "ppo_steps_per_s": rates["ppo"],
        "ppo_network_steps_per_s": rates["ppo_network"],
        "decisions_per_s": rates,
        **growth(asked),
    }


def driving(env: DriveEnv, seed: int, clock: Clock) -> Callable[[int], float]:
    """Steps an environment; returns how long `count` decisions took [s]. New episodes are the same and do not count."""
    env.reset(seed=seed, options={"seed": seed})

    def go(count: int) -> float:
        taken = 0.0
        for _ in range(count):
            began = clock()
            over = any(env.step(ONWARDS)[2:4])
            taken += clock() - began
            if over:
                env.reset(options={"seed": seed})
        return taken

    return go


def growth(asked: BenchEnv) -> dict[str, Any]:
    """Microseconds of a tick by vehicles in the town, and of each vehicle more."""
    contenders: dict[int, Callable[[int], float]] = {}
    envs = []
    for wanted in CROWD:
        world = EmbeddedWorld()
        envs.append(DriveEnv(world=world, episode={**CROWDED, "traffic": Traffic(wanted, 20)}))
        go = driving(envs[-1], asked.seed, thread_time)
        assert world.simulation is not None
        bodies = world.simulation.bodies
        contenders[int(((bodies["id"] > 0) & (bodies["kind"] <= Kind.BICYCLE)).sum()) - 1] = go
    rates = in_turn({str(count): go for count, go in contenders.items()}, asked.rounds, asked.steps)
    for env in envs:
        env.close()
    cost = {count: 1e6 / (rates[str(count)] * DECIDE_TICKS) for count in contenders}
    return {
        "us_per_step_by_vehicles": {str(count): taken for count, taken in cost.items()},
        "us_per_vehicle": {f"{a}-{b}": (cost[b] - cost[a]) / (b - a) for a, b in pairwise(cost)},
    }
