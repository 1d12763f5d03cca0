"""One session: an episode driven from beginning to end, of which everything reached is known, whatever ends it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from roadcraft.launch.log import Figures
from roadcraft.launch.loop import Subscriber, drive_episode
from roadcraft.launch.routes import route_name
from roadcraft.sim.messages import DT, Driver, Episode, World
from roadcraft.sim.referee import Referee
from roadcraft.sim.results import route_record
from roadcraft.sim.scores import no_infractions


@dataclass
class Session:
    """What is known of one session, complete or not."""

    episode: Episode
    driver: str  # its name
    engine: str = "none"  # what perceives
    precision: str = "none"
    name: str = ""  # of the route in the results; the seed's when empty
    referee: Referee = field(default_factory=Referee)
    figures: Figures = field(default_factory=Figures)
    began: float = field(default_factory=perf_counter)

    def run(
        self, world: World, driver: Driver, subscribers: Sequence[Subscriber], max_ticks: int | None = None
    ) -> None:
        """Drives. However it ends, every subscriber is closed; `record` and `summary` tell what was reached."""
        with ExitStack() as stack:
            for subscriber in subscribers:
                stack.callback(subscriber.close)
            self.began = perf_counter()
            drive_episode(world, driver, self.episode, self.referee, [self.figures, *subscribers], max_ticks)

    def record(self, index: int = 0) -> dict[str, Any]:
        """The route's record in the leaderboard's shape; our own figures are in its `meta`."""
        summary = self.summary()
        wall = perf_counter() - self.began
        name, length = self.name or route_name(self.episode.seed), self.figures.route_length
        extra = {"seed": self.episode.seed, "town": self.episode.town, "summary": summary}
        return route_record(self.referee, name, length, summary["ticks"] * DT, wall, index, "", extra)

    def summary(self) -> dict[str, Any]:
        """The keys that a drive's last line carries."""
        verdict, figures = self.referee.verdict, self.figures.summary()
        perception = {"engine": self.engine, "precision": self.precision, **figures.pop("perception")}
        return {
            "driving_score": verdict.score_21 if verdict else 0.0,
            "driving_score_20": verdict.score_20 if verdict else 0.0,
            "driving_score_10": verdict.score_10 if verdict else 0.0,
            "route_completion": verdict.route_completion if verdict else 0.0,
            "success": verdict is not None and verdict.success,
            "status": verdict.status if verdict else "Failed - Agent did not start",
            "infractions": dict(verdict.infractions) if verdict else no_infractions(),
            "driver": self.driver,
            "seed": self.episode.seed,
            "town": self.episode.town,
            "perception": perception,
            **figures,
        }
