"""Options of the verbs that run the simulator: drive, serve, collect, show. Lengths in metres, times in seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from roadcraft.launch.options.checks import check, seed_range
from roadcraft.launch.options.shared import Engine, Sim, Traffic


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
