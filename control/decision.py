"""What a driver decided, and why it is not what the policy proposed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.percept import Percept
from roadcraft.sim.messages import Control


@dataclass(frozen=True, slots=True)
class Decision:
    """One tick of a driver."""

    percept: Percept | None  # None for drivers that do not perceive
    plan_ego: NDArray[np.float64]  # (T, 2) [m] where the car means to go, ego frame; (0, 2) when it has no plan
    proposed: Control  # the policy's wish
    control: Control  # what goes to the car
    veto: str = ""  # why the supervisor changed it: "red_light", "obstacle", ...; "" when it did not
