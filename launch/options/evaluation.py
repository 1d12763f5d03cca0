"""Options of the verbs that tell how well networks do: evaluate, and perceive on pictures of one's own. Lengths in
metres, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from roadcraft.launch.options.checks import check, seed_range
from roadcraft.launch.options.shared import Engine, Sim, Traffic


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
