"""Options of the verbs that make networks: train, and export of what comes out. Lengths in metres."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from roadcraft.launch.options.checks import check, seed_range
from roadcraft.launch.options.shared import Engine, Traffic
from roadcraft.launch.options.simulator import Collect
from roadcraft.perception.heads import MOST_PEAKS


@dataclass(frozen=True)
class TrainPerception:
    """Trains the perception network on shards; what it needs is recorded first when no shards are named."""

    data: str | None = None
    """Folder of shards to train on."""
    validation: str | None = None
    """Folder of shards that choose the best weights; needed with data."""
    collect: Collect = field(default_factory=Collect)
    """What is recorded to train on when no data is named."""
    validation_seeds: str = "1000-1007"
    """What is recorded to validate on when no data is named."""
    resume: str | None = None
    """Folder of an earlier run to go on with."""
    init: str | None = None
    """Weights to start from (.safetensors)."""
    prune: bool = False
    """Whether init is of a larger size, whose least blocks and channels are left out."""
    teacher: str | None = None
    """Weights of a network to learn from beside the labels (.safetensors)."""
    size: str = "small"
    """Of the network: tiny, slim, small or base."""
    memory: str = "gru"
    """What remembers: gru, attention or none."""
    steps: int = 4000
    """Training steps."""
    batch: int = 6
    """Clips a step, of each process."""
    length: int = 4
    """Frames a clip."""
    rate: float = 2e-3
    """Highest learning rate."""
    seed: int = 0
    """Draws weights and clips."""
    bf16: bool = True
    """Mixed precision, where the hardware has it; f32 elsewhere."""
    threads: int = 1
    """Threads of torch."""
    loaders: int = 1
    """Threads that read and augment clips."""
    save_every: int = 100
    """Steps from checkpoint to checkpoint."""
    validate_every: int = 400
    """Steps from validation to validation."""
    augment: bool = True
    """Whether pictures are made harder."""

    def __post_init__(self) -> None:
        check((self.data is None) == (self.validation is None), "data and validation are named together or not at all")
        check(not self.prune or self.init is not None, "prune needs init: the weights of a larger network")
        for name in ("steps", "batch", "length", "threads", "loaders", "save_every", "validate_every"):
            check(getattr(self, name) >= 1, f"{name} {getattr(self, name)} is below 1")
        check(0 < self.rate < 1, f"rate {self.rate} is not between 0 and 1")
        check(self.seed >= 0, f"seed {self.seed} is below 0")
        seed_range(self.validation_seeds)


@dataclass(frozen=True)
class TrainRoi:
    """Trains the network's second stage, which looks at peaks again at the input's full resolution; the rest stays."""

    data: str | None = None
    """Folder of shards to train on."""
    validation: str | None = None
    """Folder of shards that are judged while training; needed with data."""
    collect: Collect = field(
        default_factory=lambda: Collect(
            seeds="640-745", frames=12, clips=8, jitter=0.25, swerve=0.3, traffic=Traffic(35, 40)
        )
    )
    """What is recorded to train on when no data is named."""
    validation_seeds: str = "1000-1039"
    """What is recorded to validate on when no data is named."""
    resume: str | None = None
    """Folder of an earlier run of this verb whose recordings are taken; its weights are replaced."""
    init: str | None = None
    """Weights that get the second stage (.safetensors); those that ship when not given."""
    go_on: bool = False
    """Goes on with the second stage that these weights have, instead of with a new one."""
    peaks: int = 24
    """Peaks of a frame that are looked at again."""
    steps: int = 6000
    """Training steps."""
    batch: int = 256
    """Peaks a step."""
    rate: float = 2e-3
    """Highest learning rate."""
    seed: int = 0
    """Draws weights and peaks."""

    def __post_init__(self) -> None:
        check((self.data is None) == (self.validation is None), "data and validation are named together or not at all")
        for name in ("peaks", "steps", "batch"):
            check(getattr(self, name) >= 1, f"{name} {getattr(self, name)} is below 1")
        check(
            self.peaks <= MOST_PEAKS, f"peaks {self.peaks} is above {MOST_PEAKS}, those of a frame that it is taught by"
        )
        check(0.0 < self.rate < 1.0, f"rate {self.rate} is not between 0 and 1")
        check(self.seed >= 0, f"seed {self.seed} is below 0")
        seed_range(self.validation_seeds)


@dataclass(frozen=True)
class TrainForesight:
    """Trains what foresees velocities, paths and events from tracked objects, on drives that the network watches."""

    seeds: str = "400-525"
    """Drives to train on, as A-B."""
    validation_seeds: str = "1060-1083"
    """Drives that choose the best weights."""
    frames: int = 250
    """Of a drive; every second drive is watched at 20 Hz, the others at 10 Hz."""
    workers: int = 2
    """Processes that drive."""
    resume: str | None = None
    """Folder of an earlier run whose recorded drives are taken."""
    steps: int = 3000
    """Training steps."""
    batch: int = 8
    """Windows a step."""
    rate: float = 3e-3
    """Highest learning rate."""
    seed: int = 0
    """Draws weights and windows."""
    engine: Engine = field(default_factory=Engine)
    """What watches."""
    traffic: Traffic = field(default_factory=lambda: Traffic(80, 80))

    def __post_init__(self) -> None:
        check(self.frames >= 40, f"frames {self.frames} is below 40, a window of training")
        for name in ("workers", "steps", "batch"):
            check(getattr(self, name) >= 1, f"{name} {getattr(self, name)} is below 1")
        check(0.0 < self.rate < 1.0, f"rate {self.rate} is not between 0 and 1")
        seed_range(self.seeds)
        seed_range(self.validation_seeds)


@dataclass(frozen=True)
class TrainPolicy:
    """Trains the policy: cloned from the expert, then by PPO, on percepts made from facts with the network's errors, or
    on the network's own: `--percepts network --init FILE` is a last stage on what it will see."""

    resume: str | None = None
    """Folder of an earlier run to go on with."""
    init: str | None = None
    """Weights to start from instead of cloning (.safetensors)."""
    clone_steps: int = 400_000
    """Steps (0.1 s of driving) recorded for cloning; 0: PPO begins with random weights."""
    critic_steps: int = 40_960
    """Steps in which only the critic learns."""
    steps: int = 400_000
    """Steps of PPO, the critic's included; 0: cloning alone."""
    envs: int = 2
    """Environments, each in a process of its own."""
    rollout: int = 8192
    """Steps of each between two updates."""
    block: int = 2
    """Updates between two checkpoints."""
    batch: int = 2048
    """Steps of a minibatch."""
    rate: float = 3e-5
    """Learning rate."""
    pull: float = 1.0
    """Of the clone on the policy, at first."""
    spread: float = 0.135
    """Standard deviation of the actions (-1 to 1), at first."""
    seeds: str = "0-999"
    """Episodes to train on, as A-B."""
    evaluate_seeds: str = "1000-1039"
    """Episodes that choose the best weights, as A-B."""
    evaluate_every: int = 2
    """Blocks from evaluation to evaluation."""
    route_length: float = 500.0
    """Routes to train on are at least this long [m]."""
    seed: int = 0
    """Draws weights and episodes."""
    percepts: Literal["truth", "network"] = "truth"
    """truth: made from facts with the network's errors; network: its own, of rendered pictures, many times slower."""
    engine: Engine = field(default_factory=Engine)
    exact: bool = False
    """Truth's percepts without the network's errors."""
    curriculum: bool = True
    """PPO begins in light traffic without scenarios; there are more of both as it goes on."""

    def __post_init__(self) -> None:
        seed_range(self.seeds)
        seed_range(self.evaluate_seeds)
        for name in ("envs", "rollout", "block", "evaluate_every"):
            check(getattr(self, name) >= 1, f"{name} {getattr(self, name)} is below 1")
        for name in ("clone_steps", "steps"):
            check(getattr(self, name) >= 0, f"{name} {getattr(self, name)} is below 0")
        check(bool(self.steps or self.clone_steps or self.init), "clone_steps 0 and steps 0 leave nothing to do")
        check(0 < self.spread <= 1, f"spread {self.spread} is not between 0 and 1")
        check(self.batch >= 2, f"batch {self.batch} is below 2: advantages are normalised within it")
        check(self.rollout * self.envs >= 2, "rollout 1 of one environment has no advantages to normalise")
        check(0 < self.rate < 1, f"rate {self.rate} is not between 0 and 1")
        for name in ("critic_steps", "pull", "seed"):
            check(getattr(self, name) >= 0, f"{name} {getattr(self, name)} is below 0")
        check(10 <= self.route_length < 1e5, f"route_length {self.route_length} is not 10 m to 100 km")
        check(not (self.exact and self.percepts == "network"), "exact and percepts network contradict each other")


@dataclass(frozen=True)
class Export:
    """A checkpoint as an ONNX graph that every engine takes."""

    what: Literal["perception", "policy"] = "perception"
    """The perception network or the policy."""
    weights: str | None = None
    """A checkpoint (.safetensors); the shipped one when not given."""
    out: str | None = None
    """The graph's file, the others beside it; in the run's folder when not given."""
    precisions: tuple[Literal["f32", "f16", "int8"], ...] = ()
    """Graphs; f32 is always written, all when not given. int8, of the perception network alone, takes minutes of
    driving to look at."""
    calibration_seeds: str = "900-919"
    """Drives from which int8 takes its ranges, as A-B."""
    check_seeds: str = "940-949"
    """Drives on which int8 is compared with f32, as A-B."""
    frames: int = 100
    """Frames of each of those."""

    def __post_init__(self) -> None:
        seed_range(self.calibration_seeds)
        seed_range(self.check_seeds)
        check(self.frames >= 1, f"frames {self.frames} is below 1")
        check(self.what != "policy" or "int8" not in self.precisions, "precisions: the policy has f32 and f16, no int8")
