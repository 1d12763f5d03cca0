"""What every verb can be told: one small dataclass a verb, its defaults being the run that a newcomer wants.

A preset (YAML) or `--a.b value` on the command line changes a field; `cli.py` reads them. This module imports nothing
heavy, so `--help` answers at once. Lengths in metres, times in seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from roadcraft.sim.errors import UserError


def seed_range(text: str) -> list[int]:
    """The seeds of "A-B" (both included) or "A". Raises UserError for anything else and for an empty range."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text.strip())
    if match is None:
        raise UserError(f"seeds {text!r} is not a range such as 9000-9009")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise UserError(f"seeds {text!r} is an empty range: {last} is below {first}")
    return list(range(first, last + 1))


def check(condition: bool, what: str) -> None:
    """Raises UserError with the line that says what is wrong unless the condition holds."""
    if not condition:
        raise UserError(what)


@dataclass(frozen=True)
class Engine:
    """What runs the perception network."""

    name: str = "auto"
    """auto (the fastest here), openvino, onnxruntime, torch or tensorrt."""
    precision: str = "auto"
    """auto, f32, bf16, f16 or int8."""
    weights: str | None = None
    """A checkpoint (.safetensors); the shipped one when not given."""


@dataclass(frozen=True)
class Sim:
    """The simulator."""

    world: Literal["server", "embedded"] = "server"
    """server: through CARLA's protocol; embedded: in this process, without sockets, unless host or port is given."""
    host: str | None = None
    """Host of a running CARLA or `roadcraft serve`; one is started when neither host nor port is given."""
    port: int | None = None
    """Its port."""

    def __post_init__(self) -> None:
        check(self.port is None or 0 < self.port < 65534, f"sim.port {self.port} is outside 1 to 65533")

    @property
    def runs_already(self) -> bool:
        """Whether a server is named, which only one drive at a time can use."""
        return self.host is not None or self.port is not None

    @property
    def in_process(self) -> bool:
        """Whether there is no server at all."""
        return self.world == "embedded" and not self.runs_already


@dataclass(frozen=True)
class Traffic:
    """Who else is there."""

    vehicles: int = 30
    """Other vehicles."""
    walkers: int = 20
    """Pedestrians."""
    scenarios: bool = True
    """Events along the route: a braking lead, a cut-in, a pedestrian stepping out."""

    def __post_init__(self) -> None:
        check(0 <= self.vehicles <= 1000, f"traffic.vehicles {self.vehicles} is outside 0 to 1000")
        check(0 <= self.walkers <= 1000, f"traffic.walkers {self.walkers} is outside 0 to 1000")


@dataclass(frozen=True)
class Drive:
    """One closed-loop drive: a route through a town, in traffic, by camera."""

    seed: int = 2000
    """Draws town, route, weather and traffic."""
    sessions: int = 1
    """Drives of that many seeds, seed, seed + 1, ..., in parallel processes."""
    driver: str = "network"
    """network, truth, expert, follower, or FILE.py:CLASS."""
    engine: Engine = field(default_factory=Engine)
    sim: Sim = field(default_factory=Sim)
    traffic: Traffic = field(default_factory=Traffic)
    weather: str | None = None
    """clear, rain, fog or night instead of the seed's."""
    town: str | None = None
    """A town such as grid-20 or the path of an OpenDRIVE file instead of the seed's."""
    routes: str | None = None
    """A route file of the CARLA leaderboard (.xml): its town, way, weather and scenarios instead of the seed's."""
    route: str | None = None
    """Id of the file's route; its first when not given."""
    route_length: float = 500.0
    """The route is at least this long [m]."""
    policy: str | None = None
    """Policy weights (.safetensors); the shipped ones when not given."""
    supervisor: bool = True
    """Whether the supervisor stands between policy and car."""
    fault: Literal["none", "black", "frozen", "late", "other_town"] = "none"
    """What is wrong with the camera: every frame black, frozen, three seconds late, or from another town."""
    latency: float | str | None = None
    """Percepts arrive that much later: milliseconds, or a bench.json whose measured latencies are replayed."""
    blind: bool = False
    """Every frame black: the same as --fault black."""
    video: bool = True
    """Write drive.mp4."""
    rerun: bool = True
    """Write drive.rrd."""
    view: bool = False
    """Open a live Rerun window."""
    max_ticks: int | None = None
    """Stop after that many ticks of 0.05 s."""

    def __post_init__(self) -> None:
        check(self.seed >= 0, f"seed {self.seed} is below 0")
        check(self.sessions >= 1, f"sessions {self.sessions} is below 1")
        check(10 <= self.route_length < 1e5, f"route_length {self.route_length} is not 10 m to 100 km")
        check(self.max_ticks is None or self.max_ticks >= 1, f"max_ticks {self.max_ticks} is below 1")
        check(
            not (self.blind and self.fault not in ("none", "black")),
            f"blind and fault {self.fault} contradict each other",
        )
        alone = not self.sim.runs_already
        check(self.sessions == 1 or alone, "sessions above 1 start their own servers: leave sim.host and sim.port out")
        check(self.sessions == 1 or self.routes is None, "sessions above 1 and routes: evaluate policy drives them all")
        check(self.route is None or self.routes is not None, f"route {self.route}: of which file? routes is not given")


@dataclass(frozen=True)
class Serve:
    """An embedded simulator that speaks CARLA 0.9.16's protocol, until Ctrl-C."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 2000
    """Calls on this port, streams on the next."""
    town: str = "grid"
    """A style (grid, suburb, arterial, roundabout, highway), a town such as grid-20, or an .xodr file."""
    maps: str | None = None
    """A folder of .xodr files that clients may load by name."""
    alias_towns: bool = False
    """Loads own towns under CARLA's names (Town01, ...) where there is no file of theirs."""
    seed: int = 0
    """Seed of the populace and of faults."""
    vehicles: int = 0
    """Vehicles that drive by themselves."""
    walkers: int = 0
    """Walkers that walk by themselves."""
    fault: str = ""
    """Faults on demand, such as camera.drop=0.01,tick.stall=0.001,server.exit@500."""
    recordings: str = "recordings"
    """The folder of clients' recordings, which any later server on it can tell of and replay."""

    def __post_init__(self) -> None:
        check(0 < self.port < 65535, f"port {self.port} is outside 1 to 65534")
        for name in ("seed", "vehicles", "walkers"):
            check(getattr(self, name) >= 0, f"{name} {getattr(self, name)} is below 0")


@dataclass(frozen=True)
class Collect:
    """Frames with exact labels, recorded while a driver drives, as tar shards."""

    seeds: str = "0-39"
    """One drive a seed, as A-B."""
    out: str | None = None
    """Folder of the shards; the run's own when not given."""
    driver: str = "expert"
    """Who drives: expert, follower, or FILE.py:CLASS."""
    clips: int = 2
    """Clips of each drive."""
    frames: int = 60
    """Frames of each clip."""
    every: int = 2
    """Ticks of 0.05 s from frame to frame."""
    swerve: float = 0.5
    """Share of clips in which the car is pushed off its line now and then."""
    queue: float = 0.3
    """Share of clips that begin when somebody is close ahead."""
    jitter: float = 0.4
    """Share of drives whose camera is mounted differently."""
    two_wheelers: float = 0.3
    """Share of drives among traffic of which half are motorcycles and bicycles."""
    looks: int = 1
    """Kinds of surfaces (asphalt, pavement, grass, walls), one a drive; 1: those that towns have anyway."""
    workers: int = 2
    """Processes."""
    sim: Sim = field(default_factory=lambda: Sim(world="embedded"))
    traffic: Traffic = field(default_factory=Traffic)

    def __post_init__(self) -> None:
        seed_range(self.seeds)
        for name, value in (
            ("clips", self.clips),
            ("frames", self.frames),
            ("every", self.every),
            ("workers", self.workers),
            ("looks", self.looks),
        ):
            check(value >= 1, f"{name} {value} is below 1")
        for name in ("swerve", "queue", "jitter", "two_wheelers"):
            share = getattr(self, name)
            check(0 <= share <= 1, f"{name} {share} is not a share of 0 to 1")


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
    """Trains the network's second stage, which looks at peaks again at the camera's resolution; the rest stays."""

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
    """Folder of an earlier run whose recordings are taken."""
    init: str | None = None
    """Weights that get the second stage (.safetensors); those that ship when not given."""
    peaks: int = 24
    """Peaks of a frame that are looked at again."""
    steps: int = 8000
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
        check(0.0 < self.rate < 1.0, f"rate {self.rate} is not between 0 and 1")
        seed_range(self.validation_seeds)


@dataclass(frozen=True)
class TrainForesight:
    """Trains what foresees velocities, paths and events from tracked objects, on drives that the network watches."""

    seeds: str = "400-574"
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
class Perceive:
    """What the network sees in a video or in a folder of pictures: an overlay video and JSON lines."""

    path: str = ""
    """A video file or a folder of pictures; may stand first without its name."""
    engine: Engine = field(default_factory=Engine)
    fov: float = 70.0
    """The camera's horizontal field of view [degrees]."""
    height: float = 1.5
    """The camera's height above the road [m]."""
    pitch: float = 0.0
    """How far it looks down [degrees]."""
    rate: float = 20.0
    """Pictures a second, for a folder; a video has its own."""
    speed: float = 10.0
    """The car's speed meanwhile [m/s]."""
    every: int = 1
    """Only every so-manieth frame."""

    def __post_init__(self) -> None:
        check(20 <= self.fov <= 150, f"fov {self.fov} is outside 20 to 150 degrees")
        check(0.3 <= self.height <= 5, f"height {self.height} is outside 0.3 to 5 m")
        check(abs(self.pitch) <= 30, f"pitch {self.pitch} is beyond 30 degrees")
        check(self.rate > 0 and self.every >= 1, "rate and every are above 0")


@dataclass(frozen=True)
class Show:
    """A sheet of pictures: every style of town by day, in rain and by night, as a car in its traffic sees it."""

    towns: tuple[str, ...] = ("grid", "suburb", "arterial", "roundabout", "highway")
    """Styles, towns such as grid-20, or the paths of OpenDRIVE files."""
    weathers: tuple[str, ...] = ("clear", "rain", "night")
    """Of clear, rain, fog and night."""
    size: str = "320x180"
    """Of each picture on the sheet [pixels]."""
    seed: int = 2000
    """Draws the traffic."""
    traffic: Traffic = field(default_factory=lambda: Traffic(80, 80))
    seconds: float = 40.0
    """Of traffic in which the best view is looked for."""
    height: float = 3.0
    """Of the camera above the road [m]."""
    out: str | None = None
    """The sheet's file, .jpg or .png; in the run's folder when not given."""

    def __post_init__(self) -> None:
        check(len(self.towns) > 0, "towns is empty")
        check(len(self.weathers) > 0, "weathers is empty")
        numbers = re.fullmatch(r"(\d+)x(\d+)", self.size)
        check(numbers is not None, f"size {self.size!r} is not like 320x180")
        good = numbers is not None and all(32 <= int(number) <= 2000 for number in numbers.groups())
        check(good, f"size {self.size}: both must lie between 32 and 2000")
        check(self.seed >= 0, f"seed {self.seed} is below 0")
        check(0 < self.seconds <= 3600, f"seconds {self.seconds} is outside 0 to 3600")
        check(0.3 <= self.height <= 50, f"height {self.height} is outside 0.3 to 50 m")
        check(
            self.out is None or self.out.lower().endswith((".jpg", ".jpeg", ".png")),
            f"out {self.out}: neither .jpg nor .png",
        )


@dataclass(frozen=True)
class EvaluatePerception:
    """Figures of perception on drives that training never saw, in four weathers."""

    seeds: str = "9000-9009"
    """One drive a seed and weather, as A-B."""
    engine: Engine = field(default_factory=Engine)
    frames: int = 250
    """Frames of each drive, at 10 Hz."""
    weathers: tuple[str, ...] = ("clear", "rain", "fog", "night")
    """Of each seed."""
    corruption: str = "none"
    """What is done to each frame: none, noise, blur, jpeg or patch."""
    traffic: Traffic = field(default_factory=Traffic)
    card: bool = False
    """Write the figures into the weights' card, where `bench perception` finds them."""
    errors: str | None = None
    """Write the network's errors into this file: what percepts made from facts draw theirs from."""

    def __post_init__(self) -> None:
        seed_range(self.seeds)
        check(self.frames >= 1, f"frames {self.frames} is below 1")
        check(len(self.weathers) > 0, "weathers is empty")
        check(not self.card or self.corruption == "none", "card: figures of corrupted frames do not belong there")
        if self.errors is not None:
            path = Path(self.errors)
            check(path.parent.is_dir() and not path.is_dir(), f"errors {path}: no file in a folder that exists")


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
    frames: int = 50
    """Frames of each of those."""

    def __post_init__(self) -> None:
        seed_range(self.calibration_seeds)
        seed_range(self.check_seeds)
        check(self.frames >= 1, f"frames {self.frames} is below 1")
        check(self.what != "policy" or "int8" not in self.precisions, "precisions: the policy has f32 and f16, no int8")


@dataclass(frozen=True)
class EvaluatePolicy:
    """Driving scores over the routes of a range of seeds, or of a file."""

    seeds: str = "9000-9009"
    """One route a seed, as A-B."""
    routes: str | None = None
    """A route file of the CARLA leaderboard (.xml): all of its routes instead of the seeds'."""
    town: str | None = None
    """A town such as grid-20 or the path of an OpenDRIVE file instead of the seeds' or the file's."""
    driver: str = "network"
    """network, truth, expert, follower, or FILE.py:CLASS."""
    compare: bool = False
    """Also run the other drivers on the same routes."""
    workers: int = 2
    """Processes; one where a running simulator is named."""
    engine: Engine = field(default_factory=Engine)
    sim: Sim = field(default_factory=lambda: Sim(world="embedded"))
    traffic: Traffic = field(default_factory=Traffic)
    route_length: float = 500.0
    """Each route is at least this long [m]."""
    policy: str | None = None
    """Policy weights (.safetensors); the shipped ones when not given."""
    supervisor: bool = True
    """Whether the supervisor stands between policy and car."""
    fault: Literal["none", "black", "frozen", "late", "other_town"] = "none"
    """What is wrong with the camera."""
    latency: float | str | None = None
    """Percepts arrive that much later: milliseconds, or a bench.json whose measured latencies are replayed."""
    without: tuple[str, ...] = ()
    """Senses of network and truth that are switched off: lanes, lights, vehicles, pedestrians, memory."""
    exact: tuple[str, ...] = ()
    """Senses that the facts give instead: which one errs? lanes, lights, vehicles, pedestrians."""
    max_ticks: int | None = None
    """Stop each route after that many ticks of 0.05 s."""
    resume: str | None = None
    """Folder of an earlier run: routes that it finished are kept."""
    clips: bool = True
    """Ten seconds of video around each infraction, for drivers with a camera."""
    against: str | None = None
    """An earlier run's results.json. Exit status 1 on a regression: the upper end of the 95 % interval of the routes'
    mean difference in driving_score is below 0, or a route that was completed there is not here."""
    tolerance: float = 5.0
    """By so much driving_score a route may fall before its test in junit.xml fails."""

    def __post_init__(self) -> None:
        seed_range(self.seeds)
        check(self.workers >= 1, f"workers {self.workers} is below 1")
        check(10 <= self.route_length < 1e5, f"route_length {self.route_length} is not 10 m to 100 km")
        check(self.max_ticks is None or self.max_ticks >= 1, f"max_ticks {self.max_ticks} is below 1")
        check(self.tolerance >= 0, f"tolerance {self.tolerance} is below 0")


@dataclass(frozen=True)
class EvaluateLatency:
    """Driving scores by how late percepts arrive: the same routes at each latency."""

    latencies: tuple[float | str, ...] = (0.0, 50.0, 100.0, 200.0, 400.0)
    """Milliseconds, or a bench.json whose measured latencies are replayed; the others are compared with the first."""
    seeds: str = "9000-9009"
    """One route a seed, as A-B."""
    driver: Literal["network", "truth"] = "network"
    """network, or truth: percepts made from facts with the network's errors, many times faster."""
    workers: int = 2
    """Processes."""
    engine: Engine = field(default_factory=Engine)
    traffic: Traffic = field(default_factory=Traffic)
    route_length: float = 500.0
    """Each route is at least this long [m]."""
    policy: str | None = None
    """Policy weights (.safetensors); the shipped ones when not given."""
    max_ticks: int | None = None
    """Stop each route after that many ticks of 0.05 s."""
    resume: str | None = None
    """Folder of an earlier run: routes that it finished are kept."""

    def __post_init__(self) -> None:
        check(len(self.latencies) > 0, "latencies is empty")
        self.at(self.latencies[0])

    def at(self, latency: float | str, resume: str | None = None) -> EvaluatePolicy:
        """The evaluation at one latency."""
        same = {name: getattr(self, name) for name in ("seeds", "driver", "workers", "engine", "traffic")}
        drive = {name: getattr(self, name) for name in ("route_length", "policy", "max_ticks")}
        return EvaluatePolicy(**same, **drive, latency=latency, clips=False, resume=resume)


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


VERBS: dict[str, type | dict[str, type]] = {
    "serve": Serve,
    "drive": Drive,
    "show": Show,
    "collect": Collect,
    "train": {"perception": TrainPerception, "roi": TrainRoi, "foresight": TrainForesight, "policy": TrainPolicy},
    "perceive": Perceive,
    "export": Export,
    "evaluate": {"perception": EvaluatePerception, "policy": EvaluatePolicy, "latency": EvaluateLatency},
    "bench": {
        "perception": BenchPerception,
        "sim": BenchSim,
        "env": BenchEnv,
        "loop": BenchLoop,
        "parity": BenchParity,
        "training": BenchTraining,
    },
}
