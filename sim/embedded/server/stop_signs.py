"""Who has made the stop that a stop sign asks for, much as CARLA's signs decide it (Traffic/StopSignComponent.cpp).

CARLA tells a vehicle in the box before a sign that its light is red, looks after two seconds whether anybody is on the
roads that cross its way, tells green if not, and otherwise looks again a second later. Here red begins earlier, 12 m
before the sign, because the clients' TrafficManager stops where red begins; so the two seconds begin when the first
vehicle in its lane stands, or when its front reaches CARLA's box. Of two at signs whose ways cross only one is told
green, and it stays so for who is over the line: with neither, the TrafficManager's cars met each other. And those who
come along a way that crosses count from GAP seconds before it, where CARLA looks at the last metres only.

The clients' TrafficManager looks at neither: it goes on two seconds after its car stood, which it believes below 1 mm/s
only. Cars of its met inside a junction so, waited for each other, and it gave them up. Hence who stands at a sign and
is controlled in batches, as the TrafficManager does it, is told to creep (`records.CREEP`) as long as somebody will
come before it could be through. Who is inside the junction counts until it has stood there for a while: it may be
waiting for the one at the sign, but the TrafficManager's cars also stand for a moment and go on.
"""

# Kernels take arrays whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.server.records import AT_LIGHT, OVER_LINE
from roadcraft.sim.kernels import Direct, kernel
from roadcraft.sim.messages import Kind
from roadcraft.sim.roads import RoadNetwork

STOP = 2.0  # s from the beginning of a stop to the first look at who crosses
AGAIN = 1.0  # s to the next look
STANDS = 0.1  # [m/s] below which a vehicle stands
RESTS = 3.0  # s of standing after which it is taken to wait for somebody
BOX = 3.0  # [m] before the sign that CARLA's box reaches: nine tenths of a lane's width
NEAR = 4.4  # [m] before a crossing lane within which CARLA looks as well
GAP = 5.0  # s that whoever goes on from a sign needs: nobody who drives may be nearer to a crossing lane
REACH = 120.0  # [m] before a crossing lane beyond which nobody is looked for
PATIENT = 60.0  # s of a stop after which those who are not as near as in CARLA have to brake
_BICYCLE = int(Kind.BICYCLE)


class Signs(NamedTuple):
    """The stop signs of a town, S lanes of L."""

    row: NDArray[np.int32]  # (L,) of a lane's sign among the S, -1 where there is none
    stop_s: NDArray[np.float64]  # (L,) [m] where its line is
    length: NDArray[np.float64]  # (L,) [m]
    inside: NDArray[np.bool_]  # (S, L) the junction's lanes that cross or join the ways on from a sign
    before: NDArray[np.float32]  # (S, L) [m] from a lane's end to the first of them, infinite if none is within REACH


def make_signs(network: RoadNetwork) -> Signs:
    """The signs of a network and the lanes that each looks at."""
    lanes = network.lanes
    signed = np.flatnonzero(lanes["stop"] >= 0)
    row = np.full(len(lanes), -1, np.int32)
    row[signed] = np.arange(len(signed))
    inside = np.zeros((len(signed), len(lanes)), np.bool_)
    before = np.full(inside.shape, np.inf, np.float32)
    for k, lane in enumerate(signed.tolist()):
        for way in network.successors(lane):
            inside[k, network.conflicts(way)] = True
        _look_back(network, np.flatnonzero(inside[k]), before[k])
        before[k, lane] = np.inf
    return Signs(row, np.ascontiguousarray(lanes["stop_s"]), np.ascontiguousarray(lanes["length"]), inside, before)


def _look_back(network: RoadNetwork, crossing: NDArray[np.intp], before: NDArray[np.float32]) -> None:
    """Notes in `before` (L,) how far [m] the ends of the lanes that lead to `crossing` are from there."""
    ahead = [(int(other), 0.0) for lane in crossing for other in network.predecessors(int(lane))]
    while ahead:
        lane, way = ahead.pop()
        if way < before[lane]:
            before[lane] = way
            beyond = way + float(network.lanes["length"][lane])
            if beyond < REACH:
                ahead += [(int(other), beyond) for other in network.predecessors(lane)]


@kernel
def _drives(b):
    return b.id > 0 and b.kind <= _BICYCLE and b.lane >= 0


@kernel
def _arrive(bodies, signs, dt, ids, waited, stood, ready, go, held, free, to_line, order):
    """Notes for how long each has stood (`stood`, s) and who is at a sign: how far before its line (`to_line`, infinite
    for the others) and, as the first of `order`, in which order they are looked at, who has waited longest first.
    Returns how many there are."""
    count = 0
    for k in range(ids.size):
        b = bodies[k]
        free[k], go[k], held[k], to_line[k] = go[k], False, False, np.inf
        if _drives(b) and signs.row[b.lane] >= 0 and signs.stop_s[b.lane] - b.lane_s < AT_LIGHT:
            to_line[k] = signs.stop_s[b.lane] - b.lane_s
        if to_line[k] == np.inf or ids[k] != b.id:
            waited[k], ready[k] = 0.0, False
        stood[k] = stood[k] + dt if ids[k] == b.id and abs(b.speed) < STANDS else 0.0
        ids[k] = b.id
        if to_line[k] < np.inf:
            at = count
            while at > 0 and waited[order[at - 1]] < waited[k]:
                order[at] = order[at - 1]
                at -= 1
            order[at] = k
            count += 1
    return count


@kernel
def _ahead(bodies, k, to_line, waiting):
    """How far before the line the first of a vehicle's lane is."""
    nearest = to_line[k]
    for other in waiting:
        if bodies[other].lane == bodies[k].lane:
            nearest = min(nearest, to_line[other])
    return nearest


@kernel
def _comes(bodies, signs, sign, gap, stood, longest):
    """Whether anybody is on the lanes that cross the ways on from a sign and has not `stood` (n,) there for `longest`
    [s], or comes there by one without a sign within `gap` seconds."""
    for k in range(len(bodies)):
        b = bodies[k]
        if not _drives(b):
            continue
        if signs.inside[sign, b.lane] and stood[k] < longest:
            return True
        way = signs.before[sign, b.lane] + signs.length[b.lane] - b.lane_s - b.extent[0]
        if signs.row[b.lane] < 0 and way < max(NEAR, gap * b.speed):
            return True
    return False


@kernel
def _taken(bodies, signs, sign, go, free):
    """Whether somebody at another sign may go on a way that crosses."""
    for k in range(go.size):
        b = bodies[k]
        if (free[k] or go[k]) and _drives(b) and signs.row[b.lane] >= 0 and signs.before[sign, b.lane] == 0.0:
            return True
    return False


@kernel
def _step(bodies, signs, dt, ids, waited, stood, ready, go, held, free, to_line, order):
    """A tick of `dt` seconds; for the arrays (n,) see `StopSigns`. `free`: `go` of the tick before."""
    waiting = order[: _arrive(bodies, signs, dt, ids, waited, stood, ready, go, held, free, to_line, order)]
    for k in waiting:
        b = bodies[k]
        front = to_line[k] - b.extent[0]
        began = waited[k] > 0.0 or front < BOX or abs(b.speed) < STANDS
        held[k] = abs(b.speed) < STANDS and not ready[k]
        if not began or _ahead(bodies, k, to_line, waiting) < to_line[k]:
            waited[k] = 0.0
            continue
        looks = max(0.0, (waited[k] - STOP + 1e-6) // AGAIN + 1.0)  # that it has had
        waited[k] += dt
        if held[k]:
            # Of those at signs the TrafficManager has an order of its own, and who stands inside may wait for this one.
            ready[k] = waited[k] > PATIENT or not _comes(bodies, signs, signs.row[b.lane], GAP + STOP, stood, RESTS)
            held[k] = not ready[k]
        if free[k] and front < -OVER_LINE:  # as at lights: it does not stop on the crosswalk or in the way
            go[k] = True
        elif free[k] or waited[k] >= STOP + looks * AGAIN - 1e-6:
            gap = 0.0 if waited[k] > PATIENT else GAP / 2.0 if free[k] else GAP
            sign = signs.row[b.lane]
            go[k] = not (_comes(bodies, signs, sign, gap, stood, np.inf) or _taken(bodies, signs, sign, go, free))


class StopSigns:
    """The stops of one world's vehicles."""

    def __init__(self, network: RoadNetwork) -> None:
        self.signs, self._step = make_signs(network), Direct(_step)
        self.go = np.zeros(0, np.bool_)  # (n,) bodies that may drive on
        self.held = np.zeros(0, np.bool_)  # (n,) those that have to wait and stand
        self.batched = np.zeros(0, np.int64)  # (n,) ids of those that a client controls in batches
        self.waited = np.zeros(0)  # (n,) s of a body's stop so far
        self.stood = np.zeros(0)  # (n,) s that each has stood, at a sign or not
        self.ready = np.zeros(0, np.bool_)  # (n,) whether nobody came, once, for as long as the TrafficManager needs
        self.ids = np.zeros(0, np.int64)  # (n,) whose stop it is
        self._scratch = self.go, self.waited, self.ids

    def fit(self, count: int) -> None:
        """Makes room for so many bodies."""
        if len(self.go) != count:
            self.go, self.held, self.ready = (_fitted(each, count) for each in (self.go, self.held, self.ready))
            self.batched = _fitted(self.batched, count)
            self.waited, self.stood = _fitted(self.waited, count), _fitted(self.stood, count)
            self.ids = _fitted(self.ids, count)
            self._scratch = np.zeros(count, np.bool_), np.zeros(count), np.zeros(count, np.int64)

    def step(self, bodies: NDArray[np.void], dt: float) -> None:
        """A tick of `dt` seconds has passed: brings `go` and `held` up to date. `bodies` (n,) BODY, unused rows with
        id 0."""
        self.fit(len(bodies))
        self._step.call(
            bodies, self.signs, float(dt), self.ids, self.waited, self.stood, self.ready, self.go, self.held,
            *self._scratch,
        )  # fmt: skip


def _fitted(array: NDArray, count: int) -> NDArray:
    """(count,) the array's beginning, and zeros where it is too short."""
    fitted = np.zeros(count, array.dtype)
    kept = min(len(array), count)
    fitted[:kept] = array[:kept]
    return fitted
