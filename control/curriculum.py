"""What a training begins with: light traffic and no scenarios, more of both as it goes on, all of them in the end.

>>> Curriculum().lesson(0.25)(episode)    # the episode as it is driven when a quarter of the steps are done
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from roadcraft.sim.messages import Episode


@dataclass(frozen=True, slots=True)
class Lesson:
    """How much of an episode's traffic and scenarios is there, as shares of them; by default all."""

    traffic: float = 1.0
    scenarios: float = 1.0

    def __call__(self, whole: Episode) -> Episode:
        """The episode with as many of its vehicles, walkers and scenarios; the first scenarios stay."""
        others = whole.traffic
        fewer = replace(
            others, vehicles=round(self.traffic * others.vehicles), walkers=round(self.traffic * others.walkers)
        )
        return replace(whole, traffic=fewer, scenarios=whole.scenarios[: round(self.scenarios * len(whole.scenarios))])


@dataclass(frozen=True, slots=True)
class Curriculum:
    """Shares of a training's steps between which traffic, then scenarios become whole."""

    light: float = 0.2  # of the traffic, at the beginning
    traffic_by: float = 0.3  # from here on all of it is there
    scenarios_from: float = 0.1  # until here there is none
    scenarios_by: float = 0.5  # from here on they are all there

    def lesson(self, done: float) -> Lesson:
        """The lesson when `done` in [0, 1] of the steps are done."""
        traffic = self.light + (1.0 - self.light) * _ramp(done, 0.0, self.traffic_by)
        return Lesson(traffic, _ramp(done, self.scenarios_from, self.scenarios_by))


def _ramp(at: float, since: float, until: float) -> float:
    """From 0 at `since` to 1 at `until`."""
    return min(max((at - since) / (until - since), 0.0), 1.0)
