"""From percepts to the numbers that the policy sees.

`Features.update` takes every percept (20 Hz): it keeps the planned path, the lights and stop signs and the others on
the road. `Features.vector` makes the observation (`layout`) from them whenever the policy decides (10 Hz).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.car import HALF_LENGTH
from roadcraft.control.faces import Faces
from roadcraft.control.freespace import FreeSpace
from roadcraft.control.layout import SIZE
from roadcraft.control.others import others_from
from roadcraft.control.passing import Passing
from roadcraft.control.planner import Planner
from roadcraft.control.signs import Signs
from roadcraft.control.spacetime import OTHER
from roadcraft.control.vector import fill
from roadcraft.perception.percept import Percept
from roadcraft.sim.kernels import Direct
from roadcraft.sim.messages import DT, PATH_POINTS, Camera, Observation
from roadcraft.sim.rows import Rows

CRUISE = 11.0  # m/s where nothing else is known: the speed limit is not perceived

contiguous = np.ascontiguousarray  # as kernels take their arrays


class Features:
    """Keeps what must be remembered between percepts; `reset` forgets it."""

    def __init__(self) -> None:
        self.planner = Planner()
        self.signs = Signs()
        self.faces = Faces()
        self.freespace = FreeSpace()
        self._rows = Rows(OTHER)
        self._others_from, self._fill = Direct(others_from), Direct(fill)
        self.passing = Passing()
        self.reset()

    def reset(self) -> None:
        """A new episode."""
        self.planner.reset()
        self.signs.reset()
        self.faces.reset()
        self.freespace.reset()
        self.passing.reset()
        self.path = np.zeros((PATH_POINTS, 2))
        self.others = np.zeros(0, OTHER)
        self._seen = np.zeros((64, 3), np.int32)
        self._observation: Observation | None = None
        self._percept: Percept | None = None
        self._time = -1.0

    def update(self, observation: Observation, percept: Percept) -> None:
        """Takes one tick's observation and percept."""
        dt = DT if self._time < 0.0 else max(0.0, observation.time - self._time)
        self._time = observation.time
        line_distance = self.signs.update(percept, observation.ego.speed, dt)
        self.path = self.planner(observation, percept, line_distance)
        speed = max(0.0, observation.ego.speed)
        self.others = self._others(percept, observation.camera, speed * dt, dt)
        self.passing(self.path, self.others, speed, speed * dt, dt)
        self._observation, self._percept = observation, percept

    def coast(self, observation: Observation) -> None:
        """Takes an observation without a percept: the path moves on, the rest stays as it was."""
        self.path = self.planner(observation, None)
        self.signs.coast(observation.ego.speed, DT)
        self._observation, self._time = observation, observation.time

    def vector(self, last_action: NDArray[np.float32], cruise: float = CRUISE) -> NDArray[np.float32]:
        """The policy's observation (SIZE,) float32 for what `update` saw last."""
        observation, percept = self._observation, self._percept
        if observation is None or percept is None:
            raise ValueError("Features.vector before the first update")
        ego, planner = observation.ego, self.planner
        out = np.empty(SIZE, np.float32)
        self._fill.call(
            out,
            (float(ego.speed), float(ego.accel_ego[0]), float(ego.yaw_rate), float(ego.steer), float(ego.yaw_world)),
            contiguous(last_action, np.float32),
            float(cruise),
            (planner.left - HALF_LENGTH if planner.complete else 200.0, float(planner.residual)),
            planner.localiser.covariance,
            (float(percept.confidence), float(percept.age(observation.time))),
            self.path,
            contiguous(percept.lanes_ego, np.float64),
            contiguous(percept.lane_prob, np.float64),
            contiguous(percept.lane_marks, np.uint8),
            self.signs.belief,
            self.others,
            contiguous(percept.events, np.float64),
            int(observation.command),
        )
        return out

    def _others(self, percept: Percept, camera: Camera | None, moved: float, dt: float) -> NDArray[np.void]:
        objects = self.faces(percept.objects, camera, moved, dt)
        others = self._rows.take(len(objects))
        others = self._rows.keep(self._others_from.call(contiguous(objects), self._seen, others))
        return self.freespace(self.path, others, percept.drivable, camera, moved)
