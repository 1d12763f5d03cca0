"""roadcraft bench perception                     from camera frame to percept: engines, precisions, sizes, batches
roadcraft bench perception --onnx mine.onnx      your own network in the same run
roadcraft bench perception --batches 2 8         bare graphs in batches, in float on each engine of a CPU at each size
roadcraft bench parity  how far each engine and precision is from torch in f32, over frames with memory
roadcraft bench sim     pictures, lidar points and ticks a second of the simulator, here and through CARLA's protocol
roadcraft bench env     steps a second of the training environment and of PPO, with percepts from truth and the network
roadcraft bench training    what each part of a training is worth: the same small budget, one thing changed
roadcraft bench loop    from camera frame to applied control in the closed loop: percentiles, missed deadlines

Every figure is a median of several rounds, taken in turn (A B C A B C ...) so that noise falls on all alike. The last
line carries the machine. `--gate p99_ms=20` exits 1 when a figure of the last line is above its limit: for CI. So does
parity when an engine loses too much, and a gate on a loop in which a frame was not perceived.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from roadcraft.control.expert import ExpertDriver
from roadcraft.launch import build
from roadcraft.launch.bench_parity import bench_parity
from roadcraft.launch.bench_training import bench_training
from roadcraft.launch.bench_world import bench_env, bench_sim
from roadcraft.launch.log import percentiles
from roadcraft.launch.loop import decided, reset_driver
from roadcraft.launch.machine import machine
from roadcraft.launch.options.bench import (
    BenchEnv,
    BenchLoop,
    BenchParity,
    BenchPerception,
    BenchSim,
    BenchTraining,
    gates,
)
from roadcraft.launch.runs import Run
from roadcraft.perception.delay import histogram
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.errors import UserError

DEADLINES = {"20_hz": 0.05, "50_hz": 0.02, "100_hz": 0.01}  # s
PICTURES = 48  # that the engines are shown in turn


def run(asked: BenchPerception | BenchSim | BenchEnv | BenchLoop | BenchParity | BenchTraining, run: Run) -> int:
    """The verb; its status is 1 when a gate is missed or an engine loses too much in parity."""
    if isinstance(asked, BenchPerception):
        run.result.update(bench_perception(asked, run))
    elif isinstance(asked, BenchSim):
        run.result.update(bench_sim(asked))
    elif isinstance(asked, BenchParity):
        run.result.update(bench_parity(asked, run))
    elif isinstance(asked, BenchTraining):
        bench_training(asked, run)
    elif isinstance(asked, BenchEnv):
        run.result.update(bench_env(asked))
    else:
        run.result.update(bench_loop(asked))
    run.result["machine"] = machine()
    run.write_json("bench.json", run.result)
    if isinstance(asked, BenchParity):
        return 1 if run.result["missed"] else 0
    return missed_gates(asked.gate, run.result) if isinstance(asked, BenchLoop | BenchPerception) else 0


def missed_gates(gate: str, result: dict[str, Any]) -> int:
    """1 when a figure is above its limit (or not a number), or a frame was not perceived; says which. Otherwise 0."""
    figures = result | {f"missed_{name}": count for name, count in result.get("missed", {}).items()}
    limits = gates(gate)
    if limits and "unperceived" in result:
        limits = {"unperceived": 0.0, **limits}
    missed = [f"{name} {figures[name]:.2f} > {limit:g}" for name, limit in limits.items() if not figures[name] <= limit]
    if missed:
        print("gate missed: " + ", ".join(missed), file=sys.stderr)
    return 1 if missed else 0


def bench_perception(asked: BenchPerception, run: Run) -> dict[str, Any]:
    """The table goes to stderr and to bench.md, its picture to bench.png."""
    import cv2

    from roadcraft.launch.bench_plot import plot
    from roadcraft.perception.contender import SMALL
    from roadcraft.perception.engines import runnable
    from roadcraft.perception.latency import Benchmark, bench, floats, markdown
    from roadcraft.perception.reference import reference_graph
    from roadcraft.perception.shipped import all_shipped

    before = None if asked.baseline is None else read_baseline(Path(asked.baseline))
    with tqdm(desc="bench", bar_format="{desc}: {postfix} [{elapsed}]") as bar:
        began = perf_counter()
        bar.set_postfix_str("graphs, and a drive for its pictures")
        onnx = tuple(Path(path) for path in asked.onnx)
        engines = asked.engines or runnable()
        if asked.reference and floats(engines):
            onnx += (reference_graph(*SMALL),)
        frames = drive_frames(min(PICTURES, asked.rounds * asked.frames))
        how = Benchmark(
            engines=engines,
            weights=tuple(Path(path) for path in asked.weights) or all_shipped(),
            sizes=tuple(pixels(size) for size in asked.sizes),
            batches=asked.batches,
            onnx=onnx,
            threads=asked.threads,
            rounds=asked.rounds,
            frames=asked.frames,
            seconds=asked.seconds - (perf_counter() - began),
            patience=asked.patience,
            strict=bool(asked.engines),
        )
        result = bench(how, frames, lambda what: bar.set_postfix_str(what))
    table = markdown(result)
    run.write("bench.md", table)
    picture = plot([row for row in result["runs"] if "error" not in row], "From camera frame to percept")
    cv2.imwrite(str(run.folder / "bench.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    print(table, file=sys.stderr)
    if before is not None:
        result["ratio_to_baseline"] = against(result, before)
        for name, ratio in result["ratio_to_baseline"].items():
            print(f"{ratio:5.2f} x the baseline's p50: {name}", file=sys.stderr)
        if not result["ratio_to_baseline"]:
            print(f"no row in common with the baseline {asked.baseline}", file=sys.stderr)
    return result


def pixels(size: str) -> tuple[int, int]:
    """ "640x360" as width and height."""
    width, height = size.split("x")
    return int(width), int(height)


def drive_frames(count: int) -> NDArray[np.uint8]:
    """Camera frames (count, 360, 640, 3) of a drive, each a second after the last."""
    with closing(EmbeddedWorld()) as world:
        driver = ExpertDriver()
        tick = world.reset(episode_from_seed(2000))
        frames: list[NDArray[np.uint8]] = []
        while len(frames) < count:
            if tick.observation.frame % 20 == 0:
                assert tick.observation.rgb is not None
                frames.append(tick.observation.rgb.copy())
            world.looking = (tick.observation.frame + 1) % 20 == 0
            tick = world.step(driver(tick).control)
    return np.stack(frames)


def read_baseline(path: Path) -> dict[str, Any]:
    """An earlier bench.json. Raises UserError when it is none."""
    try:
        before: dict[str, Any] = json.loads(path.read_text())
        known = {row["name"]: float(row["p50_ms"]) for row in before["runs"] if "error" not in row}
        if not known or not min(known.values()) > 0.0:
            raise ValueError("no row has a p50_ms above 0")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"baseline {path}: not a bench.json ({error})") from None
    return before


def against(result: dict[str, Any], before: dict[str, Any]) -> dict[str, float]:
    """By row: this run's median by the earlier one's."""
    now, then = (
        {row["name"]: float(row["p50_ms"]) for row in one["runs"] if "error" not in row} for one in (result, before)
    )
    return {name: p50 / then[name] for name, p50 in now.items() if name in then}


def bench_loop(asked: BenchLoop) -> dict[str, Any]:
    """One drive; each tick's time from observation ready to control decided, the driver's parts included, and on how
    many of them the network gave no percept."""
    drive = asked.drive()
    driver, perceives = build.build_driver(drive, asked.seed)
    episode = build.build_episode(drive, asked.seed)
    seconds: list[float] = []
    unperceived, failure = 0, ""
    with build.open_world(asked.sim, episode.town) as world:
        tick = world.reset(episode)
        reset_driver(driver)
        for number in tqdm(range(asked.warmup + asked.ticks), desc="ticks"):
            began = perf_counter()
            decision = decided(driver, tick)
            if number >= asked.warmup:
                seconds.append(perf_counter() - began)
                unperceived += decision.percept is None
                failure = getattr(driver, "failure", "") or failure
            tick = world.step(decision.control)
            if tick.facts.progress > tick.facts.route_length - 5:
                tick = world.reset(episode)
                reset_driver(driver)
    values = np.array(seconds)
    seen = {"unperceived": unperceived} if asked.driver == "network" else {}
    if any(seen.values()):
        print(f"{unperceived} of {len(seconds)} ticks without a percept: {failure}", file=sys.stderr)
    return {
        **percentiles(seconds),
        "mean_ms": float(values.mean() * 1e3),
        "max_ms": float(values.max() * 1e3),
        "histogram": histogram(seconds),
        "missed": {name: int((values > limit).sum()) for name, limit in DEADLINES.items()},
        "ticks": len(seconds),
        **seen,
        **perceives._asdict(),
    }
