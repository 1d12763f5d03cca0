"""The referee: from the facts of each tick to infractions, the end of the route and the score so far.

The rules are the CARLA leaderboard's (criteria of its scenario runner at 20 Hz); each stands beside its constant.
Nothing but facts is used, so every world is judged alike. One referee judges one episode.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, isnan
from typing import Literal

import numpy as np

from roadcraft.sim.comfort import SAMPLE_TIME, comfort
from roadcraft.sim.making import maker
from roadcraft.sim.messages import DT, Facts, Kind
from roadcraft.sim.scores import no_infractions, penalty_10, penalty_20, penalty_21, penalty_bench2drive, success

SAME_ACTOR_TIME = 5.0  # s, collisions with the same actor within it count once
SAME_PLACE_RADIUS = 5.0  # m, collisions within it of the last one count once
AT_FAULT_SPEED = 0.1  # m/s, who stands is not at fault in a collision
STOPPED_SPEED = 0.1  # m/s, below it the ego has stopped
LANE_MARGIN = 0.5  # m beyond half the lane's width; the shoulder between lane and sidewalk
DEVIATION_MAX = 30.0  # m from the route
DEVIATION_FAR = 15.0  # m from the route; no more than DEVIATION_SHARE of the route may be driven beyond it
DEVIATION_SHARE = 0.3
BLOCKED_TIME = 180.0  # s of standing
TIMEOUT_START = 300.0  # s, rules 2.x
TIMEOUT_SPEED_SHARE = 0.1  # of the speed limit, the slowest that rules 2.x allow on average
TIMEOUT_10 = (0.8, 5.0)  # s/m and s, rules 1.0
GOAL_COMPLETION = 0.99  # of the route's length ...
GOAL_RADIUS = 10.0  # ... and m from its end: completed
CHECKPOINTS = 4  # quarters of the route after each of which the mean speed is compared

ENDINGS = {
    "route_deviation": "Failed - Agent deviated from the route",
    "blocked": "Failed - Agent got blocked",
    "timeout": "Failed - Agent timed out",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One infraction."""

    kind: str  # of scores.KINDS
    frame: int
    time: float  # [s] since the episode began
    xy: tuple[float, float]  # [m] world, where the ego was
    message: str  # for people
    value: float = 0.0  # min_speed: percent of the background's speed; otherwise 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the referee says after each tick. The counts are shared between verdicts: read, do not write."""

    events: tuple[Event, ...]  # of this tick
    done: bool
    status: str  # "Running", "Completed" or why it failed, in the leaderboard's words
    route_completion: float  # [0, 100]
    score_10: float  # [0, 100] driving score so far by the leaderboard's rules 1.0
    score_20: float  # [0, 100] 2.0
    score_21: float  # [0, 100] 2.1, the headline
    score_b2d: float  # [0, 100] Bench2Drive's driving score so far
    infractions: dict[str, int]  # so far, every kind of scores.KINDS
    outside: float  # [0, 100] percent of the driven metres outside the lanes
    min_speeds: tuple[float, ...]  # percent of the background's mean speed at each checkpoint passed
    driven: float  # [m]

    @property
    def success(self) -> bool:
        """Bench2Drive: completed without any infraction, minimum speed aside."""
        return success(self.status == "Completed", self.infractions)

    @property
    def efficiency(self) -> float:
        """Bench2Drive's driving efficiency: mean of the checkpoints' speeds [%]; NaN before the first."""
        return float(np.mean(self.min_speeds)) if self.min_speeds else float("nan")


_verdict = maker(Verdict)


class Referee:
    """Call it with the facts of every tick, in order. Raises ValueError for facts that are not newer than the last."""

    def __init__(self, timeout_rule: Literal["2.x", "1.0"] = "2.x") -> None:
        self.timeout_rule = timeout_rule
        self.events: list[Event] = []  # all of them
        self.verdict: Verdict | None = None  # the last
        self._counts = no_infractions()
        self._penalties = (1.0, 1.0, 1.0, 1.0)
        self._last: Facts | None = None
        self._pose: tuple[float, float, float] | None = None  # of the last tick
        self._speed = 0.0  # [m/s] of the last tick, before this tick's collisions
        self._driven = self._outside = self._far = 0.0  # [m]
        self._out = False
        self._collision_id = 0
        self._collision_time = 0.0
        self._collision_xy: tuple[float, float] | None = None
        self._red_light = ""
        self._stop_zone = ""
        self._stopped = False
        self._standing = 0.0  # [s]
        self._progress = 0.0  # [m] furthest
        self._time_limit = TIMEOUT_START
        self._min_speeds: tuple[float, ...] = ()
        self._speed_sums = (0.0, 0.0, 0)  # ego's, background's [m/s], ticks: of this quarter
        self._motion: list[tuple[float, float, float, float]] = []  # velocity_ego, yaw, time at 10 Hz
        self._new: list[Event] = []

    def __call__(self, facts: Facts) -> Verdict:
        """Judges one tick."""
        if self._last is not None and facts.frame <= self._last.frame:
            raise ValueError(f"facts of frame {facts.frame} after those of frame {self._last.frame}")
        if self.verdict is not None and self.verdict.done:
            raise ValueError(f"the route has ended: {self.verdict.status}")
        first = self._last is None
        velocity: list[float] = facts.velocity_ego.tolist()
        speed = hypot(*velocity)
        if first:
            self._speed = speed
        self._new = []
        self._move(facts, velocity)
        if len(facts.contacts):
            self._collide(facts)
        if facts.red_light_run and facts.red_light_run != self._red_light:
            self._add(facts, "red_light", f"Agent ran a red light {facts.red_light_run}")
            self._red_light = facts.red_light_run
        if facts.stop_zone or self._stop_zone:
            self._stop(facts, speed)
        for kind in facts.scenario_events:
            self._add(facts, kind, f"Scenario: {kind}")
        arrived = at_goal(facts)
        self._compare_speed(facts, speed, arrived)
        status = self._end(facts, speed, arrived)
        self._speed = speed
        self._last = facts
        self.verdict = self._judge(facts, status)
        return self.verdict

    def comfort(self) -> float:
        """Bench2Drive's comfort of the drive so far, see `comfort.py`; NaN for drives shorter than one window."""
        motion = np.array(self._motion).reshape(-1, 4)
        return comfort(motion[:, :2], motion[:, 2])

    def _add(self, facts: Facts, kind: str, message: str, value: float = 0.0) -> None:
        x, y = facts.pose[:2].tolist()
        self._counts = self._counts | {kind: self._counts[kind] + 1}
        self._new.append(Event(kind, facts.frame, facts.time, (x, y), message, value))

    def _move(self, facts: Facts, velocity: list[float]) -> None:
        """Counts driven metres, those out of lane and those far from the route."""
        before, (x, y, yaw) = self._pose, facts.pose.tolist()
        self._pose = x, y, yaw
        step = 0.0 if before is None else hypot(x - before[0], y - before[1])
        out = facts.wrong_way or facts.off_lane > facts.nearest_lane_width / 2 + LANE_MARGIN
        if out and not self._out:
            where = "the wrong way" if facts.wrong_way else f"{facts.off_lane:.1f} m from the nearest lane"
            self._add(facts, "out_of_lane", f"Agent went outside its route lanes: {where}")
        self._out = out
        self._driven += step
        if out:
            self._outside += step
        if abs(facts.lateral_error) > DEVIATION_FAR:
            self._far += step
        if not self._motion or facts.time - self._motion[-1][3] > SAMPLE_TIME - DT / 2:
            self._motion.append((*velocity, yaw, facts.time))

    def _collide(self, facts: Facts) -> None:
        """Collisions of this tick: the same actor within 5 s, or within 5 m of the last one, counts once."""
        x, y = float(facts.pose[0]), float(facts.pose[1])
        if self._collision_id and facts.time - self._collision_time > SAME_ACTOR_TIME:
            self._collision_id = 0
        for contact in np.sort(facts.contacts, order="id"):
            if contact["id"] and contact["id"] == self._collision_id:
                continue
            last = self._collision_xy
            if last is not None and hypot(x - last[0], y - last[1]) <= SAME_PLACE_RADIUS:
                continue
            if self._speed < AT_FAULT_SPEED:
                continue
            self._collision_xy, self._collision_time = (x, y), facts.time
            if contact["id"]:
                self._collision_id = int(contact["id"])
            kind = Kind(int(contact["kind"]))
            what = f"{kind.name.lower()} {contact['id']}"
            self._add(
                facts, f"collision_{collision_class(kind)}", f"Agent collided against {what} at ({x:.1f}, {y:.1f})"
            )

    def _stop(self, facts: Facts, speed: float) -> None:
        """A stop sign's trigger box must not be left before the ego has stopped in it."""
        if facts.stop_zone != self._stop_zone:
            if self._stop_zone and not self._stopped:
                self._add(facts, "stop_sign", f"Agent ran a stop sign {self._stop_zone}")
            self._stop_zone, self._stopped = facts.stop_zone, False
        self._stopped = self._stopped or speed < STOPPED_SPEED

    def _compare_speed(self, facts: Facts, speed: float, arrived: bool) -> None:
        """At each quarter of the route: the ego's mean speed in percent of the background's over that quarter."""
        ego, others, ticks = self._speed_sums
        if not isnan(facts.background_speed):
            ego, others, ticks = ego + speed, others + facts.background_speed, ticks + 1
            self._speed_sums = (ego, others, ticks)
        passed = len(self._min_speeds) + 1
        reached = facts.progress >= facts.route_length * passed / CHECKPOINTS or arrived
        if passed > CHECKPOINTS or not reached:
            return
        percent = 100 * ego / others if others > 0 else 100.0
        self._min_speeds = (*self._min_speeds, percent)
        self._speed_sums = (0.0, 0.0, 0)
        if percent < 100:
            self._add(facts, "min_speed", f"Average speed is {percent:.1f} % of the surrounding traffic's", percent)

    def _end(self, facts: Facts, speed: float, arrived: bool) -> str:
        """The status after this tick; adds the event of an ending that is one."""
        gained = facts.progress - self._progress
        if gained > 0:
            self._time_limit += gained / (TIMEOUT_SPEED_SHARE * facts.speed_limit)
            self._progress = facts.progress
        self._standing = self._standing + DT if speed < STOPPED_SPEED else 0.0
        limit = self._time_limit
        if self.timeout_rule == "1.0":
            limit = TIMEOUT_10[0] * facts.route_length + TIMEOUT_10[1]
        if arrived:
            return "Completed"
        kind = ""
        away = abs(facts.lateral_error)
        if away > DEVIATION_MAX or self._far > DEVIATION_SHARE * facts.route_length:
            kind, why = (
                "route_deviation",
                f"Agent deviated from the route: {away:.0f} m away, {self._far:.0f} m driven far",
            )
        elif self._standing > BLOCKED_TIME - DT / 2:
            kind, why = "blocked", f"Agent got blocked for {self._standing:.0f} s"
        elif facts.time > limit:
            kind, why = "timeout", f"Route timeout after {facts.time:.0f} s"
        if not kind:
            return "Running"
        self._add(facts, kind, why)
        return ENDINGS[kind]

    def _judge(self, facts: Facts, status: str) -> Verdict:
        new = tuple(self._new)
        if new:
            self.events.extend(new)
            self._penalties = (
                penalty_10(self._counts),
                penalty_20(self._counts, 0.0, self._min_speeds),
                penalty_21(self._counts, 0.0, self._min_speeds),
                penalty_bench2drive(self._counts),
            )
        outside = 100 * self._outside / self._driven if self._driven > 0 else 0.0
        completion = 100.0 if status == "Completed" else min(100.0, 100 * self._progress / facts.route_length)
        kept = completion * (1 - outside / 100)
        p10, p20, p21, b2d = self._penalties
        return _verdict(  # in the order of the fields
            new,
            status != "Running",
            status,
            completion,
            kept * p10,
            kept * p20,
            kept * p21,
            kept * b2d,
            self._counts,
            outside,
            self._min_speeds,
            self._driven,
        )


def at_goal(facts: Facts) -> bool:
    """More than 99 % of the route behind and less than 10 m to its end."""
    if facts.progress <= GOAL_COMPLETION * facts.route_length:
        return False
    return hypot(facts.route_length - facts.progress, facts.lateral_error) < GOAL_RADIUS


def collision_class(kind: int) -> str:
    """The referee's three classes: pedestrian, vehicle, static."""
    if kind == Kind.PEDESTRIAN:
        return "pedestrian"
    return "vehicle" if kind <= Kind.BICYCLE else "static"
