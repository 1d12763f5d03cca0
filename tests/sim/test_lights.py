"""Traffic lights: phases, freezing, setting."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from roadcraft.sim.embedded.lights import ALL_RED, GREEN, YELLOW, LightTable
from roadcraft.sim.messages import LightState
from roadcraft.sim.roads import SIGNAL, SignalKind

DT = 0.05


@pytest.fixture
def signals() -> np.ndarray:
    """Two junctions with three and two phases, a stop sign, and a light of no junction."""
    rows = [(0, 7, 0), (0, 7, 0), (0, 7, 1), (0, 7, 2), (1, 7, -1), (0, 9, 0), (0, 9, 4), (0, -1, 0)]
    signals = np.zeros(len(rows), SIGNAL)
    for k, (kind, group, phase) in enumerate(rows):
        signals[k]["kind"], signals[k]["group"], signals[k]["phase"], signals[k]["id"] = kind, group, phase, str(k)
    return signals


def test_phases_take_turns_with_yellow_and_a_time_of_red(signals: np.ndarray) -> None:
    table = LightTable(signals, seed=3)
    cycle = 3 * (GREEN + YELLOW + ALL_RED)
    shown = np.array([(table.step(DT), table.state.copy())[1] for _ in range(round(2 * cycle / DT))])
    first = shown[:, :4]
    assert (first[:, 0] == first[:, 1]).all(), "lights of a phase are one"
    open_ = (first[:, [0, 2, 3]] != LightState.RED).sum(1)
    assert open_.max() == 1
    for phase in (0, 2, 3):
        share = [(first[:, phase] == state).mean() * cycle for state in (LightState.GREEN, LightState.YELLOW)]
        assert share == pytest.approx([GREEN, YELLOW], abs=2 * DT)
    assert (open_ == 0).mean() * cycle == pytest.approx(3 * ALL_RED, abs=6 * DT)
    following = {(int(a), int(b)) for column in shown.T[:4] for a, b in pairwise(column) if a != b}
    assert following == {(0, 2), (2, 1), (1, 0)}, "red, green, yellow, red"


def test_what_is_no_light_shows_nothing(signals: np.ndarray) -> None:
    table = LightTable(signals)
    table.step(100.0)
    assert table.state[4] == LightState.UNKNOWN


def test_the_seed_decides_where_the_cycle_begins(signals: np.ndarray) -> None:
    tables = [LightTable(signals, seed) for seed in (1, 1, *range(2, 12))]
    assert (tables[0].rows == tables[1].rows).all()
    assert len({table.groups.tobytes() for table in tables}) > 8


def test_a_frozen_light_halts_its_junction_only(signals: np.ndarray) -> None:
    table = LightTable(signals)
    table.freeze(2, True)
    before = table.state[:4].copy()
    changed = False
    for _ in range(600):
        table.step(DT)
        changed = changed or table.state[5] != LightTable(signals).state[5]
        assert (table.state[:4] == before).all()
    assert changed
    table.freeze(None, False)
    for _ in range(600):
        table.step(DT)
    assert table.state[0] != before[0] or table.elapsed[0] > 0


def test_a_state_that_was_set_holds_until_the_next_stage(signals: np.ndarray) -> None:
    table = LightTable(signals)
    table.reset_group(0)
    table.set_state(3, LightState.GREEN)
    table.step(DT)
    assert table.state[3] == LightState.GREEN
    for _ in range(round(GREEN / DT) + 1):
        table.step(DT)
    assert table.state[3] == LightState.RED
    table.freeze(3, True)
    table.set_state(3, LightState.GREEN)
    for _ in range(1000):
        table.step(DT)
    assert table.state[3] == LightState.GREEN


def test_times_can_be_changed_and_groups_are_junctions(signals: np.ndarray) -> None:
    table = LightTable(signals)
    table.reset_group(5)
    table.set_times(5, green=1.0, yellow=0.5, red=0.25)
    for _ in range(21):
        table.step(DT)
    assert table.state[5] == LightState.YELLOW
    assert table.group_of(5).tolist() == [5, 6]
    assert table.group_of(0).tolist() == [0, 1, 2, 3]
    assert table.group_of(4).tolist() == [4]
    assert signals["kind"][4] == SignalKind.STOP
