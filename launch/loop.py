"""The closed loop: perceive, decide, act, judge, tell. Recording, viewing and scoring subscribe."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from roadcraft.control.decision import Decision
from roadcraft.launch.waiting import FIRST_TIME, waiting
from roadcraft.sim.messages import Control, Driver, Episode, Tick, World
from roadcraft.sim.referee import Referee, Verdict


@dataclass(frozen=True, slots=True)
class Moment:
    """One tick: what was seen, what was decided on it, and what the referee said of what came of it."""

    tick: Tick  # that the decision was made on
    decision: Decision
    after: Tick  # what came of it
    verdict: Verdict  # on `after`
    decide: float  # [s] from observation ready to control decided


class Subscriber(Protocol):
    """Hears of every moment."""

    def begin(self, episode: Episode, tick: Tick) -> None:
        """An episode has begun."""

    def __call__(self, moment: Moment) -> None:
        """One tick is over."""

    def close(self) -> None:
        """No more will come: what is recorded becomes a whole file. May be called twice."""


def drive_episode(
    world: World,
    driver: Driver,
    episode: Episode,
    referee: Referee,
    subscribers: Sequence[Subscriber] = (),
    max_ticks: int | None = None,
) -> Verdict:
    """Drives one episode to its end, or for `max_ticks`. After an exception the referee still knows what happened."""
    with waiting("preparing the drive", FIRST_TIME):
        tick = world.reset(episode)
    reset_driver(driver)
    verdict = referee(tick.facts)
    for subscriber in subscribers:
        subscriber.begin(episode, tick)
    ticks = 0
    while not verdict.done and ticks != max_ticks:
        began = time.perf_counter()
        decision = decided(driver, tick)
        decide = time.perf_counter() - began
        seen, tick = tick, world.step(decision.control)
        verdict = referee(tick.facts)
        moment = Moment(seen, decision, tick, verdict, decide)
        for subscriber in subscribers:
            subscriber(moment)
        ticks += 1
    return verdict


def reset_driver(driver: Driver) -> None:
    """Makes a driver forget the last episode, if it remembers anything."""
    reset = getattr(driver, "reset", None)
    if reset is not None:
        reset()


def decided(driver: Driver, tick: Tick) -> Decision:
    """The driver's decision; a plain Control, as a person's own driver may return, is wrapped."""
    answer = driver(tick)
    if isinstance(answer, Decision):
        return answer
    control = answer if isinstance(answer, Control) else answer.control
    return Decision(None, tick.observation.route_ego[:0], control, control)
