"""Percepts made from facts with a measured error model: what a policy trains on, thousands of times a second.

`TruthPerception(None)` is exact; with an `ErrorModel` it misses, invents, blurs and delays as the network was measured
to on validation seeds (`evaluate.py` writes the JSON). Errors are correlated in time as a network's are: each is an
Ornstein-Uhlenbeck process per object, lane line or light. Where nothing was rendered, occlusion by other actors is
found from the angles they cover.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict, dataclass, fields
from importlib import resources
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.events import new_watch
from roadcraft.perception.percept import OBJECT, Percept
from roadcraft.perception.projection import lane_depth
from roadcraft.perception.truth_kernel import LANE_NOISES, MEMORY, MODEL, SEEN, SIGN_NOISES, perceive
from roadcraft.perception.truth_objects import BINS, CAPACITY, DISTANCES, GHOST, GHOSTS, SIGHT, TABLE
from roadcraft.sim.errors import UserError
from roadcraft.sim.kernels import Direct
from roadcraft.sim.making import maker
from roadcraft.sim.messages import DT, LANE_LINES, LANE_X, Camera, Tick
from roadcraft.sim.rows import Columns, Rows

SHIPPED = "error_model.json"  # in perception/weights, measured on the shipped network
_percept = maker(Percept)
_CAMERA = Camera()  # whose view counts where there is none
contiguous = np.ascontiguousarray  # as the kernel takes its arrays
_NOTHING = np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class ErrorModel:
    """How a perception errs. Tuples over distance have one number for each bin of DISTANCES."""

    detect_vehicle: tuple[float, ...] = (0.99, 0.98, 0.96, 0.93, 0.80, 0.50)  # probability of being seen, in view
    detect_cyclist: tuple[float, ...] = (0.97, 0.95, 0.92, 0.85, 0.60, 0.30)
    detect_pedestrian: tuple[float, ...] = (0.97, 0.95, 0.90, 0.80, 0.50, 0.20)
    false_alarms: float = 0.05  # objects born of nothing, per second
    false_alarm_life: float = 0.2  # [s] mean life of one
    range_sigma: tuple[float, ...] = (0.04, 0.04, 0.05, 0.05, 0.07, 0.09)  # relative
    bearing_sigma: float = 0.006  # [rad]
    velocity_sigma: tuple[float, ...] = (0.4, 0.5, 0.6, 0.7, 1.0, 1.5)  # [m/s] each axis, of those who move ...
    standing_sigma: tuple[float, ...] = (0.3, 0.3, 0.4, 0.5, 0.8, 1.2)  # ... and of those who do not
    yaw_sigma: float = 0.08  # [rad]
    lane_sigma: tuple[float, ...] = (0.04, 0.05, 0.06, 0.07, 0.09, 0.13, 0.18, 0.24, 0.40, 0.60)  # [m] at LANE_X
    lane_recall: float = 0.97  # an existing line in view is found
    lane_false: float = 0.02  # a line is seen where none is
    light_recall: tuple[float, ...] = (0.97, 0.97, 0.96, 0.93, 0.80, 0.50)
    light_false: float = 0.01  # a light is seen where none governs
    light_wrong: float = 0.02  # the wrong state, given that it is seen
    light_sigma: float = 0.08  # relative error of the distance to a stop line
    stop_recall: tuple[float, ...] = (0.95, 0.95, 0.90, 0.80, 0.40, 0.10)
    stop_false: float = 0.005
    correlation: float = 0.7  # [s] in which an error forgets itself
    hold: float = 1.5  # [s] a hidden object is remembered
    delay: int = 0  # ticks by which percepts lag; not measured: drives take latencies from `--latency` (`delay.py`)

    @staticmethod
    def load(path: Path | None = None) -> ErrorModel:
        """Reads a JSON file, the shipped one without a path. Raises UserError when it does not fit."""
        source = resources.files("roadcraft.perception.weights").joinpath(SHIPPED) if path is None else path
        try:
            given = json.loads(source.read_text())
        except FileNotFoundError:
            if path is None:
                return ErrorModel()  # before the first measurement
            raise UserError(
                f"no error model at {path}: `roadcraft evaluate perception --errors FILE` writes one"
            ) from None
        except json.JSONDecodeError as error:
            raise UserError(f"{source} is not JSON: {error}") from None
        model = given.get("model", given)
        known = {field.name for field in fields(ErrorModel)}
        if unknown := sorted(set(model) - known):
            raise UserError(f"{source}: unknown keys {', '.join(unknown)}")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in model.items()}
        default = asdict(ErrorModel())
        for key, value in values.items():
            if np.shape(value) != np.shape(default[key]):
                raise UserError(f"{source}: {key} has shape {np.shape(value)}, wanted {np.shape(default[key])}")
        return ErrorModel(**values)

    @staticmethod
    def exact() -> ErrorModel:
        """No errors at all; view, range and occlusion stay."""
        one, nil = (1.0,) * len(DISTANCES), (0.0,) * len(DISTANCES)
        return ErrorModel(
            detect_vehicle=one,
            detect_cyclist=one,
            detect_pedestrian=one,
            false_alarms=0.0,
            range_sigma=nil,
            bearing_sigma=0.0,
            velocity_sigma=nil,
            standing_sigma=nil,
            yaw_sigma=0.0,
            lane_sigma=(0.0,) * len(LANE_X),
            lane_recall=1.0,
            lane_false=0.0,
            light_recall=one,
            light_false=0.0,
            light_wrong=0.0,
            light_sigma=0.0,
            stop_recall=one,
            stop_false=0.0,
        )


class TruthPerception:
    """Ticks in time order -> percepts, as a network with this error model would give them."""

    def __init__(self, error_model: ErrorModel | Path | str | None = None, seed: int = 0) -> None:
        """`error_model`: None is exact, "default" the shipped one, a path a JSON file. Raises UserError."""
        if error_model is None:
            error_model = ErrorModel.exact()
        elif not isinstance(error_model, ErrorModel):
            error_model = ErrorModel.load(None if error_model == "default" else Path(error_model))
        self.model = error_model
        self._model = _packed(error_model)
        self._rng = np.random.default_rng(seed)
        self._perceive = Direct(perceive)
        self._sights, self._covered = np.zeros(0, SIGHT), np.zeros(BINS)
        self._objects, self._seen = Rows(OBJECT), Columns(SEEN)
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """Forgets everything seen so far; with a seed the errors to come are drawn anew from it."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self._watch = new_watch()
        self._table = np.zeros(CAPACITY, TABLE)
        self._ghosts = np.zeros(GHOSTS, GHOST)
        self._memory = np.zeros(1, MEMORY)
        self._memory["lines"] = self._rng.standard_normal((LANE_LINES, LANE_NOISES))
        self._memory["signs"] = self._rng.standard_normal((2, SIGN_NOISES))
        self._memory["random"] = self._rng.integers(1 << 64, dtype=np.uint64)
        self._memory["next_track"] = 1
        self._time: float | None = None
        self._dt, self._keep = -1.0, 1.0  # [s], and how much of an error is left after them
        self._camera, self._lens = _CAMERA, lens_of(_CAMERA)
        self._light_id = self._stop_id = ""
        self._queue: deque[Percept] = deque(maxlen=self.model.delay + 1)

    def __call__(self, tick: Tick) -> Percept:
        """Perceives one tick; the error model's delay makes it an older one."""
        facts, camera = tick.facts, tick.observation.camera or _CAMERA
        now, actors = float(facts.time), facts.actors
        dt = 0.0 if self._time is None else max(now - self._time, 0.0)
        if dt != self._dt:
            self._dt, self._keep = dt, exp(-dt / self.model.correlation)
        if camera is not self._camera:
            self._camera, self._lens = camera, lens_of(camera)
        same_light, same_stop = facts.light_id == self._light_id, facts.stop_id == self._stop_id
        self._time, self._light_id, self._stop_id = now, facts.light_id, facts.stop_id
        if len(actors) > len(self._sights):
            self._sights = np.zeros(2 * len(actors), SIGHT)
        objects, seen = self._objects.take(len(actors) + GHOSTS), self._seen
        row = seen.take()
        count, light_distance, stop_prob, stop_distance = self._perceive.call(
            *(contiguous(actors), contiguous(facts.pose), contiguous(facts.path_ego), now),
            *(contiguous(facts.lanes_ego), int(facts.light), float(facts.light_distance), float(facts.stop_distance)),
            *(same_light, same_stop, facts.light_id != "", self._lens, self._keep, self._model, self._memory),
            *(self._watch, self._table, self._ghosts, self._sights, self._covered, objects, seen.block, row),
        )
        lanes_ego, lane_prob, light, events = seen.columns
        percept = _percept(  # in the order of the fields
            facts.frame,
            now,
            _NOTHING,
            _NOTHING,
            lanes_ego[row],
            lane_prob[row],
            facts.lane_marks,
            self._objects.keep(count),
            light[row],
            light_distance,
            stop_prob,
            stop_distance,
            events[row],
            1.0,  # confidence
            0.0,  # latency
        )
        self._queue.append(percept)
        return self._queue[0]


def lens_of(camera: Camera) -> NDArray[np.float64]:
    """(17,) x, y, z [m], pitch [rad], focal, width, height [pixels] of a camera, and the depth [m] of the ground at
    LANE_X in it."""
    numbers = (*camera.xyz_ego, camera.pitch, camera.focal, camera.width, camera.height)
    return np.array([*numbers, *lane_depth(camera)])


def _packed(m: ErrorModel) -> NDArray[np.void]:
    """(1,) MODEL."""
    row = np.zeros(1, MODEL)
    row["detect"] = m.detect_vehicle, m.detect_cyclist, m.detect_pedestrian
    row["velocity_sigma"] = m.velocity_sigma, m.standing_sigma
    row["sign_sigma"] = m.light_sigma
    row["false_alarms"], row["false_alarm_life"] = m.false_alarms * DT, m.false_alarm_life
    for name in ("range_sigma", "bearing_sigma", "yaw_sigma", "hold", "lane_sigma"):
        row[name] = getattr(m, name)
    for name in (
        "lane_recall",
        "lane_false",
        "light_recall",
        "light_false",
        "light_wrong",
        "stop_recall",
        "stop_false",
    ):
        row[name] = np.vectorize(_quantile)(getattr(m, name))
    return row


def _quantile(probability: float) -> float:
    """z with P(Z < z) = probability for a standard normal Z (Acklam's approximation is more than is needed here:
    the logistic one, exact in the middle and within 0.02 in probability elsewhere, is fast)."""
    if probability >= 1.0:
        return np.inf
    if probability <= 0.0:
        return -np.inf
    return float(np.log(probability / (1.0 - probability)) / 1.702)
