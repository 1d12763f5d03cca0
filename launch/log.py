"""What a drive leaves in words: log.jsonl (one line a tick), the progress bar, and the figures of its last line."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from tqdm import tqdm

from roadcraft.launch.loop import Moment
from roadcraft.launch.runs import plain
from roadcraft.sim.messages import DT, Episode, LightState, Tick

LIGHTS = ("red", "yellow", "green", "none")


class Log:
    """Subscriber that writes one JSON line a tick."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("w", encoding="utf-8")

    def begin(self, episode: Episode, tick: Tick) -> None:
        """The first line says which episode this is."""
        first = {"town": episode.town, "seed": episode.seed, "route_length": tick.facts.route_length}
        self.file.write(json.dumps(plain(first)) + "\n")

    def __call__(self, moment: Moment) -> None:
        facts, decision = moment.tick.facts, moment.decision
        line: dict[str, Any] = {
            "frame": facts.frame,
            "time": facts.time,
            "pose": facts.pose,
            "speed": facts.velocity_ego[0],
            "progress": facts.progress,
            "lateral_error": facts.lateral_error,
            "light": LightState(facts.light).name.lower(),
            "light_distance": facts.light_distance,
            "control": (decision.control.steer, decision.control.throttle, decision.control.brake),
            "proposed": (decision.proposed.steer, decision.proposed.throttle, decision.proposed.brake),
            "veto": decision.veto,
            "events": [event.kind for event in moment.verdict.events],
            "driving_score": moment.verdict.score_21,
            "decide_ms": 1e3 * moment.decide,
        }
        if decision.percept is not None:
            percept = decision.percept
            line["seen"] = {
                "light": LIGHTS[int(np.argmax(percept.light))],
                "light_distance": percept.light_distance,
                "objects": len(percept.objects),
                "lane_prob": percept.lane_prob,
                "confidence": percept.confidence,
                "latency_ms": 1e3 * percept.latency,
            }
        self.file.write(json.dumps(plain(line)) + "\n")

    def close(self) -> None:
        """Flushes and closes."""
        self.file.close()


class Progress:
    """Subscriber that shows a bar of the route's metres on stderr."""

    def __init__(self, title: str, shown: bool = True) -> None:
        self.title, self.shown = title, shown
        self.bar: tqdm[Any] | None = None
        self.metres = self.length = 0

    def begin(self, episode: Episode, tick: Tick) -> None:
        """Shows the empty bar."""
        self.metres, self.length = 0, round(tick.facts.route_length)
        self.bar = tqdm(total=self.length, desc=self.title, unit="m", disable=not self.shown)

    def __call__(self, moment: Moment) -> None:
        assert self.bar is not None
        reached = self.length if moment.verdict.status == "Completed" else round(moment.after.facts.progress)
        metres = min(reached, self.length)
        if metres > self.metres:
            self.bar.update(metres - self.metres)
            self.metres = metres
        if moment.tick.observation.frame % 20 == 0:
            speed, score = moment.tick.observation.ego.speed * 3.6, moment.verdict.score_21
            self.bar.set_postfix_str(
                f"{speed:.0f} km/h, {moment.tick.observation.time:.0f} s, score {score:.0f}", refresh=False
            )

    def close(self) -> None:
        """Leaves the bar as it is."""
        if self.bar is not None:
            self.bar.close()


class Figures:
    """Subscriber that counts what the last line tells: ticks, vetoes, latencies, how fast it ran."""

    def __init__(self) -> None:
        self.decide: list[float] = []
        self.latency: list[float] = []
        self.vetoes: Counter[str] = Counter()
        self.final_speed = 0.0
        self.began = self.last = self.route_length = 0.0

    def begin(self, episode: Episode, tick: Tick) -> None:
        """The clock starts."""
        self.route_length = tick.facts.route_length
        self.began = self.last = perf_counter()

    def __call__(self, moment: Moment) -> None:
        self.decide.append(moment.decide)
        if moment.decision.percept is not None:
            self.latency.append(moment.decision.percept.latency)
        if moment.decision.veto:
            self.vetoes[moment.decision.veto] += 1
        self.final_speed = float(moment.after.facts.velocity_ego[0])
        self.last = perf_counter()

    def close(self) -> None:
        """Nothing is held."""

    def summary(self) -> dict[str, Any]:
        """The figures so far; times in milliseconds."""
        ticks = len(self.decide)
        elapsed = self.last - self.began
        return {
            "final_speed": self.final_speed,
            "ticks": ticks,
            "vetoes": {kind: count / ticks for kind, count in sorted(self.vetoes.items())},
            "real_time_factor": ticks * DT / elapsed if elapsed > 0 else 0.0,
            "loop": percentiles(self.decide),
            "perception": percentiles(self.latency),
        }


def percentiles(seconds: list[float]) -> dict[str, float | None]:
    """Median and 99th percentile [ms]; None without any."""
    if not seconds:
        return {"p50_ms": None, "p99_ms": None}
    p50, p99 = np.percentile(seconds, (50, 99)) * 1e3
    return {"p50_ms": float(p50), "p99_ms": float(p99)}
