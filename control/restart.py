"""Who stands on a free way sets off again.

A cloned policy may stand for ever: it sees that it stands and brakes, as it did when it had a reason to, and so goes on
braking (the inertia problem: Codevilla et al. 2019, arXiv:1904.08980). The features hold a rule of their own for
the acceleration; when that has said "go" for a while to a car that stands, the car goes by it until it rolls.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.car import BRAKE_MAX
from roadcraft.control.layout import part
from roadcraft.control.policy import action_for

PATIENCE = 40  # decisions of 0.1 s
STANDS = 0.3  # m/s, slower than which the car stands ...
ROLLS = 2.0  # m/s ... and faster than which the policy has it again
GO = 0.5  # m/s^2 that the rule must allow
ADVICE = part("advice")


class Restart:
    """The policy's action, or the rule's for a car that has stood for PATIENCE decisions though the rule said go."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """A new episode."""
        self._stood = 0
        self._going = False

    def __call__(self, speed: float, vector: NDArray[np.float32], action: NDArray[np.float32]) -> NDArray[np.float32]:
        """`action` (2,), with more acceleration where need be; `vector`: the features that the policy saw."""
        advice = float(vector[ADVICE][0]) * BRAKE_MAX
        free = advice > GO
        self._stood = self._stood + 1 if free and speed < STANDS else 0
        self._going = free and speed < ROLLS and (self._going or self._stood > PATIENCE)
        if not self._going:
            return action
        return np.array([action[0], max(action[1], action_for(advice))], np.float32)
