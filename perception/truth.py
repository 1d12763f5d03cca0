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
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.events import EventWatch
from roadcraft.perception.percept import OBJECT, PATH_TIMES, Percept
from roadcraft.perception.projection import lanes_in_view
from roadcraft.perception.truth_kernel import CAPACITY, NOISES, TABLE, sense
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import LANE_X, Camera, Facts, LightState, Tick

SHIPPED = "error_model.json"  # in perception/weights, measured on the shipped network
DISTANCES = (10.0, 20.0, 30.0, 40.0, 60.0, 80.0)  # [m] upper edges of the bins below
LIGHT_RANGE = 80.0  # [m] a light further away than this governs nothing yet
_STATES = (LightState.RED, LightState.YELLOW, LightState.GREEN)
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
        self.model = m = error_model
        self._detect = np.array([m.detect_vehicle, m.detect_cyclist, m.detect_pedestrian])
        self._range, self._velocity = np.array(m.range_sigma), np.array([m.velocity_sigma, m.standing_sigma])
        self._edges = np.array(DISTANCES)
        self._recalls = np.array([m.light_recall, m.stop_recall])
        self._lane_sigma = np.array(m.lane_sigma)
        self._watch = EventWatch()
        self._rng = np.random.default_rng(seed)
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """Forgets everything seen so far; with a seed the errors to come are drawn anew from it."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self._watch.reset()
        self._table = np.zeros(CAPACITY, TABLE)
        self._next_track = np.ones(1, np.int32)
        self._time: float | None = None
        self._lane_z = self._rng.standard_normal((4, 3 + len(LANE_X)))
        self._sign_z = self._rng.standard_normal((2, 4))  # light and stop sign: seen, distance, state, which
        self._sign_id = ["", ""]
        self._ghosts: list[tuple[float, float, float, int]] = []  # x, y world, end of life, track
        self._queue: deque[Percept] = deque(maxlen=self.model.delay + 1)

    def __call__(self, tick: Tick) -> Percept:
        """Perceives one tick; the error model's delay makes it an older one."""
        facts, camera = tick.facts, tick.observation.camera or Camera()
        dt = 0.0 if self._time is None else facts.time - self._time
        self._time = facts.time
        keep = float(np.exp(-max(dt, 0.0) / self.model.correlation))
        fresh = float(np.sqrt(1.0 - keep * keep))
        lanes, lane_prob = self._lanes(facts, camera, keep, fresh)
        light, light_distance = self._light(facts, keep, fresh)
        stop_prob, stop_distance = self._stop(facts, keep, fresh)
        objects = self._objects(facts, camera, keep, fresh)
        events = np.where(self._watch(facts), 0.9, 0.05)
        percept = Percept(
            frame=facts.frame,
            time=facts.time,
            drivable=_NOTHING,
            lane_mask=_NOTHING,
            lanes_ego=lanes,
            lane_prob=lane_prob,
            lane_marks=facts.lane_marks,
            objects=objects,
            light=light,
            light_distance=light_distance,
            stop_prob=stop_prob,
            stop_distance=stop_distance,
            events=events,
            confidence=1.0,
            latency=0.0,
        )
        self._queue.append(percept)
        return self._queue[0]

    def _lanes(
        self, facts: Facts, camera: Camera, keep: float, fresh: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        z = self._lane_z
        z *= keep
        z += fresh * self._rng.standard_normal(z.shape)
        lanes = lanes_in_view(camera, facts.lanes_ego)
        lanes += self._lane_sigma * (0.8 * z[:, 2:3] + 0.6 * z[:, 3:])
        exists = np.isfinite(lanes).any(1)
        seen = np.where(
            exists, z[:, 0] < _quantile(self.model.lane_recall), z[:, 1] > -_quantile(self.model.lane_false)
        )
        lanes[~seen] = np.nan
        return lanes, np.where(seen, 0.95, 0.04)

    def _light(self, facts: Facts, keep: float, fresh: float) -> tuple[NDArray[np.float64], float]:
        m, z = self.model, self._sign(0, facts.light_id, keep, fresh)
        governs = facts.light in _STATES and facts.light_distance < LIGHT_RANGE
        if not governs:
            if m.light_false and z[0] > -_quantile(m.light_false):
                return np.roll((0.9, 0.04, 0.03, 0.03), int(abs(z[3]) * 7) % 3), 25.0
            return np.array((0.01, 0.01, 0.01, 0.97)), np.inf
        if z[0] > _quantile(self._recalls[0, self._bin(facts.light_distance)]):
            return np.array((0.08, 0.04, 0.08, 0.80)), np.inf
        state = int(facts.light)
        if m.light_wrong and z[2] > -_quantile(m.light_wrong):
            state = (state + 1 + int(abs(z[3]) * 7) % 2) % 3
        light = np.full(4, 0.01)
        light[state] = 0.97
        return light, facts.light_distance * max(0.2, 1.0 + m.light_sigma * z[1])

    def _stop(self, facts: Facts, keep: float, fresh: float) -> tuple[float, float]:
        m, z = self.model, self._sign(1, facts.stop_id, keep, fresh)
        if facts.stop_distance < LIGHT_RANGE:
            if z[0] < _quantile(self._recalls[1, self._bin(facts.stop_distance)]):
                return 0.95, facts.stop_distance * max(0.2, 1.0 + m.light_sigma * z[1])
            return 0.2, np.inf
        if m.stop_false and z[0] > -_quantile(m.stop_false):
            return 0.8, 20.0
        return 0.02, np.inf

    def _sign(self, which: int, name: str, keep: float, fresh: float) -> NDArray[np.float64]:
        """The latent errors of the light (0) or stop sign (1), drawn anew for another one."""
        new = self._rng.standard_normal(4)
        if name != self._sign_id[which]:
            self._sign_id[which] = name
            self._sign_z[which] = new
        else:
            self._sign_z[which] = keep * self._sign_z[which] + fresh * new
        return self._sign_z[which]

    def _bin(self, distance: float) -> int:
        return min(int(np.searchsorted(self._edges, distance)), len(DISTANCES) - 1)

    def _objects(self, facts: Facts, camera: Camera, keep: float, fresh: float) -> NDArray[np.void]:
        a, m = facts.actors, self.model
        out = np.zeros(len(a), OBJECT)
        count = sense(
            *(a[name] for name in ("id", "kind", "xyz", "yaw", "velocity", "extent", "visible_px")),
            facts.pose,
            facts.velocity_ego,
            facts.time,
            np.array((*camera.xyz_ego, camera.pitch, camera.focal, camera.width, camera.height)),
            self._rng.standard_normal((len(a), NOISES)),
            np.array((keep, fresh, m.bearing_sigma, m.yaw_sigma, m.hold)),
            self._edges,
            self._detect,
            self._range,
            self._velocity,
            self._table,
            self._next_track,
            PATH_TIMES,
            *(out[name] for name in ("kind", "box", "xy_ego", "yaw_ego", "size", "velocity_ego", "score", "track")),
            out["path_ego"],
            out["path_sigma"],
        )
        out = out[:count]
        if m.false_alarms:
            out = self._with_ghosts(facts, out)
        return out

    def _with_ghosts(self, facts: Facts, objects: NDArray[np.void]) -> NDArray[np.void]:
        rng, m = self._rng, self.model
        x, y, yaw = facts.pose
        c, s = np.cos(yaw), np.sin(yaw)
        self._ghosts = [ghost for ghost in self._ghosts if ghost[2] > facts.time]
        if rng.random() < m.false_alarms * 0.05:
            distance, bearing = rng.uniform(8.0, 40.0), rng.uniform(-0.6, 0.6)
            gx, gy = distance * np.cos(bearing), distance * np.sin(bearing)
            end = facts.time + rng.exponential(m.false_alarm_life)
            self._ghosts.append((x + c * gx - s * gy, y + s * gx + c * gy, end, int(self._next_track[0])))
            self._next_track += 1
        if not self._ghosts:
            return objects
        more = np.zeros(len(self._ghosts), OBJECT)
        for row, (gx, gy, _, track) in zip(more, self._ghosts, strict=True):
            ego = c * (gx - x) + s * (gy - y), c * (gy - y) - s * (gx - x)
            row["xy_ego"] = ego
            row["size"] = (4.4, 1.9)
            row["score"], row["track"] = 0.4, track
            row["path_ego"], row["path_sigma"] = ego, 1.5
        return np.concatenate([objects, more])


def _quantile(probability: float) -> float:
    """z with P(Z < z) = probability for a standard normal Z (Acklam's approximation is more than is needed here:
    the logistic one, exact in the middle and within 0.02 in probability elsewhere, is fast)."""
    if probability >= 1.0:
        return np.inf
    if probability <= 0.0:
        return -np.inf
    return float(np.log(probability / (1.0 - probability)) / 1.702)
