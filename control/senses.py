"""Percepts with some senses switched off, or given by the facts: to find out what each is worth, and which one errs.

For evaluation only: a stack that drives with a sense `exact` is told what no camera can tell.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from roadcraft.perception.percept import Percept
from roadcraft.perception.truth import TruthPerception
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Kind, Mark, Tick

SENSES = ("lanes", "lights", "vehicles", "pedestrians", "memory")
OTHERS = 1_000_000  # added to the facts' tracks, which are none of the network's
_FIELDS = {  # of the percept; vehicles and pedestrians share `objects`
    "lanes": ("drivable", "lane_mask", "lanes_ego", "lane_prob", "lane_marks"),
    "lights": ("light", "light_distance", "stop_prob", "stop_distance"),
}
_NOTHING = np.zeros((0, 0), np.float32)


class Senses:
    """Call it with every tick and its percept."""

    def __init__(self, without: Collection[str] = (), exact: Collection[str] = ()) -> None:
        """Names out of SENSES; the memory cannot be `exact`. Raises UserError for others, and for one in both."""
        for name in (*without, *exact):
            if name not in SENSES:
                raise UserError(f"no sense {name!r}: {', '.join(SENSES)} exist")
        if "memory" in exact:
            raise UserError("exact memory: the facts have none; it can only be left out")
        if both := sorted(set(without) & set(exact)):
            raise UserError(f"without {both[0]} and exact {both[0]}: one of the two")
        self.without, self.exact = frozenset(without), frozenset(exact)
        self._truth = TruthPerception(None)

    def reset(self) -> None:
        """A new episode."""
        self._truth.reset(0)

    @property
    def forgets(self) -> bool:
        """Whether perception is to begin anew with every frame."""
        return "memory" in self.without

    def __call__(self, tick: Tick, percept: Percept) -> Percept:
        """The percept as it is to be driven by."""
        for name in self.without - {"memory"}:
            percept = _taken(name, percept, _nothing(percept))
        if self.exact:
            truth = self._truth(tick)
            for name in self.exact:
                percept = _taken(name, percept, truth)
        return percept


def _nothing(percept: Percept) -> Percept:
    """The same percept of an empty world."""
    return replace(
        percept,
        drivable=_NOTHING,
        lane_mask=_NOTHING,
        lanes_ego=np.full_like(percept.lanes_ego, np.nan),
        lane_prob=np.zeros_like(percept.lane_prob),
        lane_marks=np.full_like(percept.lane_marks, Mark.NONE),
        objects=percept.objects[:0],
        light=np.array([0.0, 0.0, 0.0, 1.0]),
        light_distance=np.inf,
        stop_prob=0.0,
        stop_distance=np.inf,
    )


def _taken(sense: str, percept: Percept, source: Percept) -> Percept:
    """The percept with one sense as `source` has it."""
    if sense not in _FIELDS:
        walk = sense == "pedestrians"
        kept = percept.objects[(percept.objects["kind"] == Kind.PEDESTRIAN) != walk]
        taken = source.objects[(source.objects["kind"] == Kind.PEDESTRIAN) == walk].copy()
        taken["track"] += OTHERS
        return replace(percept, objects=np.concatenate([kept, taken]))
    return replace(percept, **{name: getattr(source, name) for name in _FIELDS[sense]})
