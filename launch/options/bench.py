"""Options of the benchmarks, and the gates that their figures must pass. Times in seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from roadcraft.launch.options.checks import check, seed_range
from roadcraft.launch.options.shared import Engine, Sim, Traffic
from roadcraft.launch.options.simulator import Collect, Drive
from roadcraft.sim.errors import UserError


def gates(text: str) -> dict[str, float]:
    """The limits of "name=value,name=value". Raises UserError for anything else."""
    limits: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"\s*(\w+)=(\d+(?:\.\d*)?|\.\d+)\s*", part)
        if match is None:
            raise UserError(f"gate {part!r} is not like p99_ms=20")
        limits[match[1]] = float(match[2])
    return limits


def check_engines(engines: tuple[str, ...]) -> None:
    """Raises UserError unless each is an engine and a precision."""
    for one in engines:
        check(re.fullmatch(r"\w+:\w+", one) is not None, f"engines: {one!r} is not like openvino:f32")


def check_gate(text: str, figures: tuple[str, ...]) -> None:
    """Raises UserError unless all the gate's names are figures of the benchmark."""
    for name in gates(text):
        check(name in figures, f"gate {name}: there are {', '.join(figures)}")


@dataclass(frozen=True)
class BenchSim:
    """Pictures, lidar points and ticks a second of the embedded simulator, and how long a drive takes to start."""

    seed: int = 2000
    """Draws town and traffic."""
    traffic: Traffic = field(default_factory=Traffic)
    ticks: int = 200
    """Ticks of each round."""
    rounds: int = 5
    """Rounds; the median counts."""
    starts: int = 2
    """How often a drive is started, the first time perhaps with a cold cache; 0 leaves it out."""

    def __post_init__(self) -> None:
        check(self.seed >= 0, f"seed {self.seed} is below 0")
        check(min(self.ticks, self.rounds) >= 1, "ticks and rounds are at least 1")
        check(self.starts >= 0, f"starts {self.starts} is below 0")


@dataclass(frozen=True)
class BenchEnv:
    """Steps a second of the training environment and of PPO in it, and what each further vehicle costs."""

    seed: int = 0
    """Of the first episode; draws those after it."""
    engine: Engine = field(default_factory=Engine)
    steps: int = 200
    """Steps of each round; PPO's rollout, which an update follows."""
    rounds: int = 5
    """Rounds; the median counts."""

    def __post_init__(self) -> None:
        check(self.seed >= 0, f"seed {self.seed} is below 0")
        check(min(self.steps, self.rounds) >= 1, "steps and rounds are at least 1")
        check(self.steps >= 2, f"steps {self.steps} is below 2, the shortest rollout of PPO")


@dataclass(frozen=True)
class BenchPerception:
    """From a uint8 camera frame to a percept: engines, precisions, sizes and batches in turn, and your own graphs."""

    engines: tuple[str, ...] = ()
    """Each as engine:precision; all that this machine runs when not given."""
    sizes: tuple[str, ...] = ()
    """Input sizes, the headline's first; each network's own and 320x192 when not given."""
    batches: tuple[int, ...] = ()
    """Batch sizes beside 1, of the first network's bare graph (nothing is prepared or decoded) in openvino and
    onnxruntime in f32 and bf16 at each size; when not given, 4 on the first of those engines at the first size."""
    onnx: tuple[str, ...] = ()
    """Anybody's ONNX files, measured in the same run."""
    reference: bool = True
    """Measure a network of TwinLiteNet's class too: 0.44 M parameters, two tasks, random weights."""
    weights: tuple[str, ...] = ()
    """Checkpoints (.safetensors), the headline's first; all that ship when not given."""
    threads: int = 0
    """Threads of each engine; 0 leaves it to the engine."""
    rounds: int = 8
    """Rounds in which all take turns."""
    frames: int = 25
    """Frames of each round."""
    seconds: float = 165.0
    """No new round begins that would end later than this after the start."""
    patience: float = 600.0
    """Seconds in which an engine must have loaded or done its round: one that hangs is ended, its row says so, and
    the wait does not count among those above."""
    gate: str = ""
    """Limits such as mean_ms=25,max_ms=35; exit status 1 when one is missed."""
    baseline: str | None = None
    """An earlier bench.json; its ratios to this run are printed."""

    def __post_init__(self) -> None:
        check_gate(self.gate, ("mean_ms", "p50_ms", "p90_ms", "p99_ms", "max_ms"))
        check_engines(self.engines)
        for size in self.sizes:
            check(re.fullmatch(r"[1-9]\d*x[1-9]\d*", size) is not None, f"sizes: {size!r} is not like 640x360")
        for name, paths in (("onnx", self.onnx), ("weights", self.weights)):
            for path in paths:
                check(Path(path).is_file(), f"{name}: there is no file {path}")
            stems = [Path(path).stem for path in paths]
            check(len(set(stems)) == len(stems), f"{name}: two files have the same name, {', '.join(paths)}")
        check(min(self.rounds, self.frames) >= 1, "rounds and frames are at least 1")
        check(min(self.batches, default=1) >= 1, f"batches {self.batches} are at least 1")
        check(self.threads >= 0, f"threads {self.threads} is below 0")
        check(0.0 < self.patience < 1e6, f"patience {self.patience} is not between 0 and 1e6 seconds")


@dataclass(frozen=True)
class BenchParity:
    """Each engine and precision beside torch in f32 on rendered drives: deviations of outputs, losses of figures."""

    engines: tuple[str, ...] = ()
    """Each as engine:precision; all that this machine runs when not given."""
    weights: str | None = None
    """A checkpoint (.safetensors) with its graphs beside it; the shipped one when not given."""
    seeds: str = "1990-1991"
    """One drive a seed, as A-B."""
    frames: int = 100
    """Frames of each drive, at 10 Hz."""

    def __post_init__(self) -> None:
        check_engines(self.engines)
        seed_range(self.seeds)
        check(self.frames >= 1, f"frames {self.frames} is below 1")


@dataclass(frozen=True)
class BenchTraining:
    """What each part of a training is worth: the network trained anew with one thing changed, at one small budget."""

    data: str | None = None
    """Folder of shards to train on."""
    validation: str | None = None
    """Folder of shards to judge on; needed with data."""
    collect: Collect = field(default_factory=lambda: Collect(seeds="0-59"))
    """What is recorded to train on when no data is named."""
    seeds: str = "1000-1039"
    """Drives to judge on, as A-B; recorded when no data is named."""
    variants: tuple[str, ...] = ()
    """Which trainings; all when not given."""
    style: Literal["grid", "suburb", "arterial", "roundabout", "highway"] = "roundabout"
    """The style of town that is left out, or new."""
    weather: Literal["clear", "rain", "fog", "night"] = "rain"
    """The weather that is left out."""
    look: int = 1
    """The kind of surfaces that is left out, where `collect.looks` were recorded: at least 2, also those of `data`."""
    frames: int = 1000
    """Labelled frames of the new style."""
    size: str = "small"
    """Of the network: tiny, slim, small or base."""
    steps: int = 300
    """Steps of each training."""
    batch: int = 4
    """Clips a step."""
    length: int = 4
    """Frames a clip."""
    threads: int = 1
    """Threads of torch."""
    resume: str | None = None
    """Folder of an earlier run to go on with: what it finished is kept."""

    def __post_init__(self) -> None:
        check((self.data is None) == (self.validation is None), "data and validation are named together or not at all")
        seed_range(self.seeds)
        looks = self.collect.looks
        check(looks == 1 or 0 <= self.look < looks, f"look {self.look} is none of the {looks} looks, 0 to {looks - 1}")
        for name in ("frames", "steps", "batch", "length", "threads"):
            check(getattr(self, name) >= 1, f"{name} {getattr(self, name)} is below 1")


@dataclass(frozen=True)
class BenchLoop:
    """From camera frame to applied control in the closed loop."""

    seed: int = 2000
    """Draws the drive."""
    driver: str = "network"
    """network, truth, expert, follower, or FILE.py:CLASS."""
    engine: Engine = field(default_factory=Engine)
    sim: Sim = field(default_factory=lambda: Sim(world="embedded"))
    ticks: int = 2000
    """Ticks that count."""
    warmup: int = 40
    """Ticks before, that do not."""
    gate: str = ""
    """Limits such as p99_ms=20,missed_20_hz=0; exit status 1 when one is missed or a frame was not perceived."""

    def __post_init__(self) -> None:
        check(self.ticks >= 1, f"ticks {self.ticks} is below 1")
        check(self.warmup >= 0, f"warmup {self.warmup} is below 0")
        missed = tuple(f"missed_{hz}_hz" for hz in (20, 50, 100))
        check_gate(self.gate, ("mean_ms", "p50_ms", "p99_ms", "max_ms", "unperceived", *missed))

    def drive(self) -> Drive:
        """The drive that is measured."""
        return Drive(seed=self.seed, driver=self.driver, engine=self.engine, sim=self.sim, video=False, rerun=False)
