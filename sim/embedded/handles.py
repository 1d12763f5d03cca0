"""The bodies of a simulation as rows of arrays, and all that may be done to one of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadcraft.sim.embedded import motion, traffic, walkers
from roadcraft.sim.embedded.bins import CHAIN
from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.catalogue import CATALOGUE
from roadcraft.sim.embedded.physics import PHYSICS, Physics, default_physics, pack
from roadcraft.sim.kernels import Direct, kernel

CAPACITY = 64  # rows to begin with
_PUSHES = ["force", "torque"]  # what acts for one tick


@kernel
def _set_controls(bodies, motion, row, pedals, hand_brake, reverse, manual, gear):  # type: ignore[no-untyped-def]
    """`pedals`: throttle, steer, brake."""
    b = bodies[row]
    b.throttle, b.steer, b.brake = np.float32(pedals[0]), np.float32(pedals[1]), np.float32(pedals[2])
    b.hand_brake, b.reverse, b.manual_gear = hand_brake, reverse, manual
    if manual:
        b.gear = gear
    motion[row].ackermann = False
    return b.steer


class Bodies:
    """Rows for bodies, by id. Whatever is set between two ticks acts in the next one."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}
        self._settings: dict[int, Physics] = {}  # of rebuilt vehicles
        self._used = 0
        self._in_use: NDArray[np.void]  # the first so many rows of bodies
        self._set_controls = Direct(_set_controls)
        self._allocate(CAPACITY)

    @property
    def bodies(self) -> NDArray[np.void]:
        """(n,) BODY: a view of all rows in use; id 0 marks a free one. Spawning may move it: do not keep it."""
        if len(self._in_use) != self._used:
            self._in_use = self._bodies[: self._used]
        return self._in_use

    def row(self, number: int) -> int:
        """Index into `bodies` of the body with that id; it stays the same while the body lives. KeyError if none."""
        return self._rows[number]

    def body(self, number: int) -> np.void:
        """The BODY record of that id: a view."""
        record: np.void = self._bodies[self._rows[number]]
        return record

    # ------------------------------------------------------------------------------------------------------ controls
    def control_vehicle(
        self,
        number: int,
        throttle: float,
        steer: float,
        brake: float,
        hand_brake: bool = False,
        reverse: bool = False,
        gear: int | None = None,
    ) -> float:
        """Pedals in [0, 1], steer in [-1, 1], left positive, until the next call. `gear` None: automatic.

        Values are rounded to float32, as they would be on CARLA's wire; returns the steering that then acts.
        """
        row = self._rows[number]
        pedals = float(throttle), float(steer), float(brake)
        steers: float = self._set_controls.call(
            self._bodies, self._motion, row, pedals, hand_brake, reverse, gear is not None, gear or 0
        )
        return steers

    def control_ackermann(
        self,
        number: int,
        angle: float,
        angle_rate: float = 0.0,
        speed: float = 0.0,
        acceleration: float = 0.0,
        jerk: float = 0.0,
    ) -> None:
        """Wheel angle [rad], left positive, and speed [m/s] to reach; rates of 0 mean no limit (3 m/s^2)."""
        m = self._motion[self._rows[number]]
        m["angle"], m["angle_rate"], m["wanted_speed"] = angle, abs(angle_rate), speed
        m["wanted_accel"], m["jerk"], m["ackermann"] = abs(acceleration), abs(jerk), True
        self._bodies[self._rows[number]]["manual_gear"] = False

    def control_walker(self, number: int, direction: ArrayLike, speed: float, jump: bool = False) -> None:
        """Walks along `direction` (x, y) at `speed` [m/s] until the next call. Rounded to float32, as on the wire."""
        body = self.body(number)
        x, y = (float(np.float32(value)) for value in np.asarray(direction, float)[:2])
        length = float(np.hypot(x, y))
        if length > 1e-6:
            body["target_direction"] = x / length, y / length
        body["target_speed"] = np.float32(speed) if length > 1e-6 else 0.0
        if jump and body["velocity"][2] == 0.0:
            body["velocity"][2] = 4.0

    def lay_down(self, number: int, seconds: float) -> None:
        """Throws a walker over; it lies for so long, or until its physics is switched off."""
        self._motion[self._rows[number]]["down"] = seconds

    def set_velocity(self, number: int, velocity: ArrayLike) -> None:
        """Sets the velocity (x, y) or (x, y, z) [m/s], world; accelerations do not tell of it."""
        body = self.body(number)
        v = np.asarray(velocity, float)
        body["velocity"][: len(v)] = v
        body["speed"] = v[0] * np.cos(body["yaw"]) + v[1] * np.sin(body["yaw"])

    def set_yaw_rate(self, number: int, rate: float) -> None:
        """Sets the turning rate [rad/s]."""
        self.body(number)["yaw_rate"] = rate

    def set_physics(self, number: int, on: bool) -> None:
        """Without physics a body moves only when it is placed."""
        body = self.body(number)
        body["physics"] = on
        if not on:
            body["velocity"] = body["accel"] = self._motion[self._rows[number]]["gained"] = 0.0
            body["speed"] = body["yaw_rate"] = 0.0

    def set_collides(self, number: int, on: bool) -> None:
        self.body(number)["collides"] = on

    def set_gravity(self, number: int, on: bool) -> None:
        self.body(number)["gravity"] = on

    def set_lights(self, number: int, bits: int) -> None:
        """CARLA's VehicleLightState bits. Built-in drivers set their own."""
        self.body(number)["lights"] = bits

    def set_pose(self, number: int, share: float, limbs: ArrayLike) -> None:
        """Where a walker's limbs (4, 3) point in pictures, see BODY, and by which share they do so."""
        body = self.body(number)
        body["posed"], body["limbs"] = share, np.asarray(limbs, np.float32)

    def set_constant_velocity(self, number: int, velocity: ArrayLike | None) -> None:
        """Holds a velocity (x, y, z) [m/s] in the body's own frame, whatever the controls say; None ends it."""
        m = self._motion[self._rows[number]]
        m["constant"] = velocity is not None
        if velocity is not None:
            m["constant_velocity"] = np.asarray(velocity, float)

    def add_force(self, number: int, force: ArrayLike, at: ArrayLike | None = None) -> None:
        """A force (x, y, z) [N], world, during the next tick, at the middle or at a place (x, y) [m].

        As all pushes it does nothing to a body without physics.
        """
        m = self._motion[self._rows[number]]
        if not self.body(number)["physics"]:
            return
        f = np.asarray(force, float)
        m["force"] += f
        if at is not None:
            arm = np.asarray(at, float)[:2] - self.body(number)["xyz"][:2]
            m["torque"] += arm[0] * f[1] - arm[1] * f[0]

    def add_torque(self, number: int, torque: float) -> None:
        """A torque [N m] about the vertical during the next tick."""
        if self.body(number)["physics"]:
            self._motion[self._rows[number]]["torque"] += torque

    def pushes(self) -> NDArray[np.void]:
        """A copy of the forces and torques that act on all rows in the coming tick, for `push`."""
        return self._motion[_PUSHES].copy()

    def push(self, pushes: NDArray[np.void]) -> None:
        """The same forces and torques again: one tick of a client may be several here."""
        self._motion[_PUSHES] = pushes

    def add_impulse(self, number: int, impulse: ArrayLike, at: ArrayLike | None = None) -> None:
        """An impulse (x, y, z) [N s], world, at once; the next tick's acceleration tells of it."""
        row = self._rows[number]
        body, mass = self._bodies[row], float(self._physics[row]["mass"])
        j = np.asarray(impulse, float)
        if not body["physics"]:
            return
        self.set_velocity(number, body["velocity"] + j / mass)
        self._motion[row]["gained"] += j / mass
        if at is not None:
            arm = np.asarray(at, float)[:2] - body["xyz"][:2]
            self.add_angular_impulse(number, float(arm[0] * j[1] - arm[1] * j[0]))

    def add_angular_impulse(self, number: int, impulse: float) -> None:
        """An angular impulse [N m s] about the vertical, at once."""
        row = self._rows[number]
        if self._bodies[row]["physics"]:
            self._bodies[row]["yaw_rate"] += impulse / float(self._physics[row]["inertia"])

    def physics(self, number: int) -> Physics:
        """How that vehicle is built."""
        if number in self._settings:
            return self._settings[number]
        return default_physics(CATALOGUE[int(self.body(number)["blueprint"])].id)

    def set_vehicle_physics(self, number: int, physics: Physics) -> None:
        """Rebuilds a vehicle. Raises UserError when a value cannot be."""
        self._physics[self._rows[number]] = pack(physics)
        self._settings[number] = physics

    def physics_row(self, number: int) -> np.void:
        """The PHYSICS record of that body: a view, for `vehicle.pedals_for` and its kin."""
        record: np.void = self._physics[self._rows[number]]
        return record

    # ------------------------------------------------------------------------------------------------------- storage
    def _allocate(self, capacity: int) -> None:
        self._bodies = np.zeros(capacity, BODY)
        self._physics = np.zeros(capacity, PHYSICS)
        self._motion = np.zeros(capacity, motion.MOTION)
        self._drivers = np.zeros(capacity, traffic.DRIVER)
        self._strollers = np.zeros(capacity, walkers.STROLLER)
        self._chain = np.zeros(capacity, CHAIN)
        self._in_use = self._bodies[: self._used]

    def _free_row(self) -> int:
        """The lowest free row; the arrays double when there is none."""
        free = np.flatnonzero(self._bodies["id"][: self._used] == 0)
        if len(free):
            return int(free[0])
        if self._used == len(self._bodies):
            old = (self._bodies, self._physics, self._motion, self._drivers, self._strollers, self._chain)
            size = len(self._bodies)
            self._bodies, self._physics, self._motion, self._drivers, self._strollers, self._chain = (
                np.concatenate([array, np.zeros(size, array.dtype)]) for array in old
            )
            self._in_use = self._bodies[:0]
        self._used += 1
        return self._used - 1
