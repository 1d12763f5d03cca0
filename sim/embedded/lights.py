"""Traffic lights: one row a signal of the network, switched in phases by junction.

As in CARLA, the lights of a junction take turns: those of one phase are green, then yellow, then all are red for a
while, then the next phase is green. `red` is that time in which all are red.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import LightState
from roadcraft.sim.roads import SignalKind

GREEN, YELLOW, ALL_RED = 10.0, 3.0, 2.0  # s, CARLA's defaults

LIGHT = np.dtype(
    [
        ("state", np.uint8),  # messages.LightState; UNKNOWN for signals that are no lights
        ("elapsed", np.float64),  # [s] since the state began
        ("green", np.float64),  # [s] of each stage of this light's phase
        ("yellow", np.float64),
        ("red", np.float64),
        ("frozen", np.bool_),  # a frozen light halts its whole group
        ("group", np.int32),  # row in the groups below, -1 for signals that are no lights
        ("phase", np.int32),
    ]
)
GROUP = np.dtype(
    [
        ("junction", np.int32),  # OpenDRIVE junction id
        ("phases", np.int32),
        ("phase", np.int32),  # whose turn it is
        ("stage", np.uint8),  # LightState: GREEN, YELLOW, RED (all)
        ("elapsed", np.float64),  # [s] in that stage
    ]
)
_RED, _YELLOW, _GREEN = int(LightState.RED), int(LightState.YELLOW), int(LightState.GREEN)


@kernel
def _hash(a, b):  # type: ignore[no-untyped-def]
    """A well mixed number in [0, 1) from two integers (the finaliser of splitmix64)."""
    z = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(b) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return float((z ^ (z >> np.uint64(31))) >> np.uint64(11)) / 9007199254740992.0


@kernel
def _stage_length(lights, group, index):  # type: ignore[no-untyped-def]
    """Seconds of the group's present stage: the longest that a light of the phase asks for."""
    longest = 0.0
    for i in range(lights.shape[0]):
        light = lights[i]
        if light.group == index and light.phase == group.phase:
            if group.stage == _GREEN:
                longest = max(longest, light.green)
            elif group.stage == _YELLOW:
                longest = max(longest, light.yellow)
            else:
                longest = max(longest, light.red)
    return longest


@kernel
def _show(lights, group, index):  # type: ignore[no-untyped-def]
    """Sets the lights of a group to its stage; a light whose state stays keeps its clock."""
    for i in range(lights.shape[0]):
        light = lights[i]
        if light.group == index and not light.frozen:
            state = group.stage if light.phase == group.phase else _RED
            if state != light.state:
                light.state = state
                light.elapsed = 0.0


@kernel
def run_clocks(lights, groups, dt):  # type: ignore[no-untyped-def]
    """Runs all clocks by dt; True when some light changed."""
    changed = False
    for i in range(lights.shape[0]):
        if not lights[i].frozen:
            lights[i].elapsed += dt
    for k in range(groups.shape[0]):
        group = groups[k]
        held = False
        for i in range(lights.shape[0]):
            held = held or (lights[i].group == k and lights[i].frozen)
        if held:
            continue
        group.elapsed += dt
        # A margin well below any dt keeps sums of many dt from being late by one tick.
        if group.elapsed < _stage_length(lights, group, k) - 1e-6:
            continue
        group.elapsed = 0.0
        if group.stage == _GREEN:
            group.stage = _YELLOW
        elif group.stage == _YELLOW:
            group.stage = _RED
        else:
            group.stage = _GREEN
            group.phase = (group.phase + 1) % group.phases
        _show(lights, group, k)
        changed = True
    return changed


class LightTable:
    """The lights of a town. Columns are views of one array, row by row as in `network.signals`."""

    def __init__(self, signals: NDArray[np.void], seed: int = 0) -> None:
        self.rows = np.zeros(len(signals), LIGHT)
        self.rows["state"] = LightState.UNKNOWN
        self.rows["green"], self.rows["yellow"], self.rows["red"] = GREEN, YELLOW, ALL_RED
        self.rows["group"] = self.rows["phase"] = -1
        lights = signals["kind"] == SignalKind.LIGHT
        # A light of no junction is a group of its own.
        junction = np.where(signals["group"] >= 0, signals["group"], -2 - np.arange(len(signals)))
        names, group = np.unique(junction[lights], return_inverse=True)
        self.rows["group"][lights] = group
        self.groups = np.zeros(len(names), GROUP)
        self.groups["junction"] = names
        for k in range(len(names)):
            mine = np.flatnonzero(self.rows["group"] == k)
            phases, phase = np.unique(signals["phase"][mine], return_inverse=True)
            self.rows["phase"][mine] = phase
            self.groups["phases"][k] = max(len(phases), 2)  # a lone phase still has a turn of red
        self._state: NDArray[np.uint8] = self.rows["state"]
        self.reset(seed)

    @property
    def state(self) -> NDArray[np.uint8]:
        """(S,) LightState of each signal."""
        return self._state

    @property
    def elapsed(self) -> NDArray[np.float64]:
        """(S,) [s] since each state began."""
        return self.rows["elapsed"]

    def reset(self, seed: int = 0) -> None:
        """Starts every junction somewhere in its cycle, decided by the seed; thaws all."""
        self.rows["frozen"] = False
        for k, group in enumerate(self.groups):
            group["phase"] = int(_hash(seed + 1, 2 * k) * group["phases"])
            group["stage"], group["elapsed"] = LightState.GREEN, GREEN * _hash(seed + 1, 2 * k + 1)
            mine = self.rows["group"] == k
            green = mine & (self.rows["phase"] == group["phase"])
            self.rows["state"][mine] = np.where(green[mine], LightState.GREEN, LightState.RED)
            self.rows["elapsed"][mine] = group["elapsed"]

    def reset_group(self, index: int) -> None:
        """The junction of that light begins its cycle anew, with the first phase green."""
        k = int(self.rows["group"][index])
        if k >= 0:
            self.groups[k]["phase"], self.groups[k]["stage"], self.groups[k]["elapsed"] = 0, LightState.GREEN, 0.0
            mine = self.rows["group"] == k
            self.rows["frozen"][mine] = False
            self.rows["state"][mine] = np.where(self.rows["phase"][mine] == 0, LightState.GREEN, LightState.RED)
            self.rows["elapsed"][mine] = 0.0

    def step(self, dt: float) -> bool:
        """Runs the clocks; True when some light changed."""
        return bool(run_clocks(self.rows, self.groups, dt))

    def set_state(self, index: int, state: LightState) -> None:
        """Shows `state` on one light until its junction's next stage (for good while it is frozen)."""
        self.rows[index]["state"] = int(state)
        self.rows[index]["elapsed"] = 0.0

    def set_times(
        self, index: int, green: float | None = None, yellow: float | None = None, red: float | None = None
    ) -> None:
        """Lengths [s] of the stages of that light's phase."""
        for name, value in (("green", green), ("yellow", yellow), ("red", red)):
            if value is not None:
                self.rows[index][name] = max(float(value), 0.0)

    def freeze(self, index: int | None, frozen: bool) -> None:
        """Halts or releases one light and so its junction, or all when the index is None."""
        self.rows["frozen"][slice(None) if index is None else index] = frozen

    def group_of(self, index: int) -> NDArray[np.int64]:
        """The rows of all lights of the same junction."""
        group = self.rows["group"][index]
        return np.flatnonzero(self.rows["group"] == group) if group >= 0 else np.array([index])
