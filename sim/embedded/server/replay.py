"""Replays a recording: its actors are spawned again, by their ids where these are free, and put where they were."""

from __future__ import annotations

from bisect import bisect_right
from math import pi
from typing import TYPE_CHECKING, Any

import numpy as np

from roadcraft.sim.embedded.server.actors import Category
from roadcraft.sim.embedded.server.recording import STATE, Recording
from roadcraft.sim.embedded.server.wire import Pose, compose
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.app import Server

HEROES = ("hero", "ego_vehicle")
GREATEST = 2**31 - 1  # id that may be recorded: those of newcomers are above, and have 32 bits


class Replay:
    """A recording being replayed on the present world, which must be on the recording's map."""

    def __init__(
        self,
        server: Server,
        recording: Recording,
        start: float,
        duration: float,
        follow: int,
        sensors: bool,
        offset: Pose,
    ) -> None:
        """`start` [s] below 0: from the end; `duration` [s] 0: to the end; `offset`: of the spectator from `follow`."""
        self.server, self.recording = server, recording
        self.times = [frame["time"] for frame in recording.frames]
        self.time = max(0.0, start if start >= 0 else recording.duration + start)
        self.end = recording.duration if duration <= 0 else min(recording.duration, self.time + duration)
        self.follow, self.sensors, self.offset = follow, sensors, offset
        self.actors: dict[int, int] = {}  # of the recording, and here
        self.made: set[int] = set()  # those here that there were not before
        self.physics: dict[int, bool] = {}  # whether that of an actor here is on before and after the replay
        self.frame = -1
        last = max((number for frame in recording.frames for number, *_ in frame["came"]), default=0)
        if last > GREATEST:
            raise UserError(f"the recording has an actor {last}: ids end at {GREATEST}")
        server.live.simulation.keep_ids(last)  # who takes another's id would be taken for it later
        self._show()

    def advance(self, delta: float, factor: float) -> bool:
        """Moves everything on by a tick; False once the recording is over."""
        if self.time >= self.end:
            return False
        self.time = min(self.end, self.time + delta * factor)
        self._show()
        return True

    def finish(self, keep: bool) -> None:
        """Gives the actors the physics that they had before; `keep` False removes those that the replay brought."""
        live = self.server.live
        for number in self.actors.values():
            if number not in live.actors.by_id:
                continue
            if not keep and number in self.made:
                self.server.sensors.forget(live.destroy(number))
            elif number in self.physics:
                live.simulation.set_physics(number, self.physics[number])

    def _show(self) -> None:
        """Brings actors in and out up to the present time, and puts them between their two nearest frames."""
        now = max(0, bisect_right(self.times, self.time + 1e-9) - 1)
        for frame in self.recording.frames[self.frame + 1 : now + 1]:
            self._exchange(frame)
        self.frame = now
        here = self.recording.frames[now]
        after = self.recording.frames[min(now + 1, len(self.times) - 1)]
        span = after["time"] - here["time"]
        share = (self.time - here["time"]) / span if span > 0 else 0.0
        self._place(np.frombuffer(here["states"], STATE), np.frombuffer(after["states"], STATE), share)
        lights = np.frombuffer(here["lights"], np.uint8)
        rows = self.server.live.simulation.lights.state
        if len(lights) == len(rows):
            rows[:] = lights
        self._watch(Pose(*here["spectator"]))

    def _exchange(self, frame: dict[str, Any]) -> None:
        live = self.server.live
        for number, type_id, attributes, parent, place, attachment, category in frame["came"]:
            if not self._wanted(type_id, attributes, category):
                continue
            chosen = [each for each in attributes if each[0] != "server_autopilot"]
            try:
                if parent and parent not in self.actors:
                    continue
                actor = live.actors.by_id.get(number)
                if actor is None or actor.type_id != type_id:  # otherwise it is still here: the replay takes it over
                    holder = self.actors.get(parent, 0)
                    actor = live.spawn(type_id, chosen, Pose(*place), holder, attachment, wanted=number)
                    self.server.sensors.equip(actor)
                    self.made.add(actor.id)
            except UserError:
                continue  # the place is taken by something that is not of the recording
            self.actors[number] = actor.id
            if actor.is_body:  # that of what was spawned is on or off as for any actor of its kind: props stand
                self.physics[actor.id] = bool(live.body(actor)["physics"])
                live.simulation.set_physics(actor.id, False)
        for number in frame["went"]:
            mine = self.actors.pop(number, 0)
            if mine in live.actors.by_id:
                self.server.sensors.forget(live.destroy(mine))

    def _wanted(self, type_id: str, attributes: list[Any], category: int) -> bool:
        if type_id.startswith("sensor."):
            return self.sensors
        hero = any(key == "role_name" and value in HEROES for key, _, value in attributes)
        if hero and self.server.replay_ignores_hero:
            return False
        return category <= Category.PROP

    def _place(self, here: np.ndarray, after: np.ndarray, share: float) -> None:
        live, later = self.server.live, {int(state["id"]): state for state in after}
        for state in here:
            number = self.actors.get(int(state["id"]), 0)
            if number not in live.actors.by_id:
                continue
            xyz, (yaw, pitch, roll) = state["xyz"], state["angles"].tolist()
            then = later.get(int(state["id"]))
            if then is not None:
                xyz = xyz + share * (then["xyz"] - xyz)
                yaw += share * ((float(then["angles"][0]) - yaw + pi) % (2 * pi) - pi)
            x, y, z = xyz.tolist()
            live.simulation.place(number, (x, y, z), yaw, state["velocity"].tolist(), pitch, roll)
            body = live.simulation.body(number)
            for name in ("throttle", "steer", "brake", "lights", "target_speed", "stride"):
                body[name] = state[name]

    def _watch(self, recorded: Pose) -> None:
        live = self.server.live
        followed = live.actors.by_id.get(self.actors.get(self.follow, 0))
        if followed is not None:
            live.spectator.pose = compose(live.pose_of(followed), self.offset)
        elif not self.server.replay_ignores_spectator:
            live.spectator.pose = recorded
