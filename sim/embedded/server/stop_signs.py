"""Who has made the stop that a stop sign asks for, much as CARLA's signs decide it (Traffic/StopSignComponent.cpp).

CARLA tells a vehicle in the box before a sign that its light is red, looks after two seconds whether anybody is on the
roads that cross its way, tells green if not, and otherwise looks again a second later. Here red begins earlier, 12 m
before the sign, because the clients' TrafficManager stops where red begins; so the two seconds begin when the first
vehicle in its lane stands, or when its front reaches CARLA's box. Of two at signs whose ways cross only one is told
green, and it stays so for who is over the line: with neither, the TrafficManager's cars met each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.server.records import AT_LIGHT, OVER_LINE
from roadcraft.sim.messages import Kind
from roadcraft.sim.roads import RoadNetwork

STOP = 2.0  # s from the beginning of a stop to the first look at who crosses
AGAIN = 1.0  # s to the next look
STANDS = 0.1  # [m/s] below which a vehicle stands
BOX = 3.0  # [m] before the sign that CARLA's box reaches: nine tenths of a lane's width
NEAR = 4.4  # [m] before a crossing lane within which CARLA looks as well


class StopSigns:
    """The stops of one world's vehicles."""

    def __init__(self, network: RoadNetwork) -> None:
        lanes = network.lanes
        self.signed = lanes["stop"] >= 0  # (L,)
        self.stop_s, self.length = np.ascontiguousarray(lanes["stop_s"]), np.ascontiguousarray(lanes["length"])
        self.crossing = {int(lane): self._crossing(network, int(lane)) for lane in np.flatnonzero(self.signed)}
        self.ids = np.zeros(0, np.int64)  # (n,) whose stop it is
        self.waited = np.zeros(0)  # (n,) s of a body's stop so far
        self.go = np.zeros(0, np.bool_)  # (n,) bodies that may drive on
        self.busy = False  # whether anybody was at a sign in the tick before

    def _crossing(self, network: RoadNetwork, lane: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(L,) the junction's lanes that cross or join the ways on from a lane; (L,) those that lead there."""
        inside, before = np.zeros(len(self.signed), np.bool_), np.zeros(len(self.signed), np.bool_)
        for way in network.successors(lane):
            inside[network.conflicts(way)] = True
        for other in np.flatnonzero(inside):
            before[network.predecessors(int(other))] = True
        before[lane] = False
        return inside, before

    def fit(self, count: int) -> None:
        """Makes room for so many bodies."""
        kept = min(len(self.go), count)
        if len(self.go) != count:
            more = count - kept
            self.ids = np.concatenate([self.ids[:kept], np.zeros(more, np.int64)])
            self.waited = np.concatenate([self.waited[:kept], np.zeros(more)])
            self.go = np.concatenate([self.go[:kept], np.zeros(more, np.bool_)])

    def step(self, bodies: NDArray[np.void], dt: float) -> None:
        """A tick of `dt` seconds has passed: brings `go` up to date. `bodies` (n,) BODY, unused rows with id 0."""
        self.fit(len(bodies))
        lane = bodies["lane"]
        if not (self.signed[lane].any() or self.busy):
            return
        s = bodies["lane_s"]
        driving = (bodies["id"] > 0) & (bodies["kind"] <= Kind.BICYCLE) & (lane >= 0)
        here = driving & self.signed[lane]
        to_line = self.stop_s[lane] - s
        here &= to_line < AT_LIGHT
        self.waited[~here | (self.ids != bodies["id"])] = 0.0
        self.ids[:] = bodies["id"]
        free, self.go[:] = self.go.copy(), False
        self.busy = bool(here.any())
        rows = np.flatnonzero(here)
        for row in rows[np.argsort(-self.waited[rows], kind="stable")].tolist():
            same = here & (lane == lane[row])
            front = to_line[row] - bodies["extent"][row, 0]
            began = self.waited[row] > 0.0 or front < BOX or abs(float(bodies["speed"][row])) < STANDS
            if not began or to_line[same].min() < to_line[row]:
                self.waited[row] = 0.0
                continue
            self.waited[row] += dt
            if free[row] and front < -OVER_LINE:  # as at lights: it does not stop on the crosswalk or in the way
                self.go[row] = True
            elif self.waited[row] >= STOP - 1e-6:
                inside, before = self.crossing[int(lane[row])]
                near = self.length[lane] - s - bodies["extent"][:, 0] < NEAR
                near = before[lane] & np.where(self.signed[lane], free | self.go, near)
                if (driving & (inside[lane] | near)).any():
                    self.waited[row] = STOP - AGAIN
                else:
                    self.go[row] = True
