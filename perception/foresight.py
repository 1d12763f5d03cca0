"""What is going to happen: a small recurrent model over the tracks, without a runtime, shared by all engines.

Each track has a memory of its own (a GRU cell) that reads `trackfeatures` frame by frame; from it come the object's
velocity and place (corrections of the filter's: what is told of the half that can still be seen misleads it), its path
over the next two seconds beside a constant velocity's, and how far off both are. What matters for the ego is
gathered from all objects by a maximum (Zaheer et al. 2017, arXiv:1703.06114) into a second memory, from which come the
probabilities of the events. `foresight_train` makes the weights. What is certain of an event needs no learning:
`anticipation.py`.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.percept import EVENTS, PATH_TIMES
from roadcraft.perception.shipped import read_card, shipped
from roadcraft.perception.tracker import Tracker
from roadcraft.perception.trackfeatures import FEATURES, LONG_AGO, SCENE_FEATURES, LightWatch, fill, scene_features
from roadcraft.sim.errors import UserError
from roadcraft.sim.kernels import njit

Array = NDArray[np.float32]
HIDDEN, GATHERED = 32, 24  # sizes of a track's memory, and of what is gathered and the events' memory
PATHS = len(PATH_TIMES)
# What is said of a track, in this order: velocity [SPEED m/s], log of its Laplace scale [m/s], place along the line of
# sight and to its left [PLACE m], places beside a constant velocity's [BEND m] at PATH_TIMES, and the logs of how far
# off each is [m].
SAID = (2, 1, 2, 2 * PATHS, PATHS)
_PLACE, _BEND, _SIGMA = sum(SAID[:2]), sum(SAID[:3]), sum(SAID[:4])
SPEED, PLACE, BEND = 2.0, 3.0, 3.0
LEAST_SIGMA, MOST_SIGMA = -3.0, 4.0  # of the logs
# Names and shapes of the weights: `y = x @ weight.T + bias`; GRU cells as torch has them (reset, update, new).
SHAPES = {
    "enter": (HIDDEN, FEATURES),
    "memory_in": (3 * HIDDEN, HIDDEN),
    "memory_out": (3 * HIDDEN, HIDDEN),
    "think": (HIDDEN, 2 * HIDDEN),
    "say": (sum(SAID), HIDDEN),
    "matter": (GATHERED, HIDDEN),
    "gather": (GATHERED, SCENE_FEATURES + GATHERED),
    "events_in": (3 * GATHERED, GATHERED),
    "events_out": (3 * GATHERED, GATHERED),
    "events": (len(EVENTS), 2 * GATHERED),
}


def load_foresight(path: Path | None = None) -> dict[str, Array]:
    """The weights, `<name>.weight` and `<name>.bias`. Raises UserError for a file that is something else."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = path or shipped("foresight")
    read_card(path)
    try:
        weights: dict[str, Array] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is not a safetensors file: {error}") from None
    for name, shape in SHAPES.items():
        for tensor, wanted in ((f"{name}.weight", shape), (f"{name}.bias", shape[:1])):
            found = weights.get(tensor)
            if found is None or found.shape != wanted:
                raise UserError(f"{path}: {tensor} is {'missing' if found is None else found.shape}, wanted {wanted}")
    return weights


def blank() -> dict[str, Array]:
    """Weights of a model that has learned nothing."""
    weights = {f"{name}.weight": np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    return weights | {f"{name}.bias": np.zeros(shape[0], np.float32) for name, shape in SHAPES.items()}


class Foresight:
    """Sharpens tracked objects in place and says how likely the events are. Forgets all at `reset()`.

    Without weights it changes nothing and hands on the events that the network says: to learn from.
    """

    def __init__(self, weights: dict[str, Array] | None) -> None:
        self.weights = weights
        self.reset()

    def reset(self) -> None:
        """Before the first frame."""
        self._numbers = np.zeros(0, np.int32)  # of the tracks, ascending
        self._memory = np.zeros((0, HIDDEN), np.float32)
        self._events = np.zeros(GATHERED, np.float32)
        self._time: float | None = None
        self._light = LightWatch()
        self.changed = LONG_AGO, False  # what it says of the last frame
        self.features = np.zeros((0, FEATURES), np.float32)  # of the last frame, for those who learn
        self.scene = np.zeros(SCENE_FEATURES, np.float32)  # likewise

    def __call__(
        self,
        tracker: Tracker,
        objects: NDArray[np.void],
        time: float,
        speed: float,
        yaw_rate: float,
        light: NDArray[np.float64],
        light_distance: float,
        events: NDArray[np.float64],
        corridor: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Probabilities (5,) of EVENTS. `objects` are the tracker's at `time` [s], one a track; `events` are the
        network's own."""
        dt = 0.0 if self._time is None else time - self._time
        self._time = time
        self.changed = self._light(light, time)
        self.scene = scene_features(speed, yaw_rate, dt, light, light_distance, events, self.changed)
        self.features = np.zeros((len(objects), FEATURES), np.float32)
        ego, signs = np.array([speed, yaw_rate, dt, tracker.yaw]), np.array([*light, light_distance])
        fill(self.features, time, ego, signs, corridor, objects, tracker.tracks)
        if self.weights is None:
            return events
        memory = np.zeros((len(objects), HIDDEN), np.float32)
        _carry(self._numbers, self._memory, tracker.tracks, memory)
        said, self._memory, matters = self._look(self.features, memory)
        self._numbers = tracker.tracks["number"].copy()
        _sharpen(objects, said)
        return self._foresee(matters)

    def _linear(self, name: str, x: Array) -> Array:
        assert self.weights is not None
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _gru(self, name: str, x: Array, h: Array) -> Array:
        size = h.shape[-1]
        given, kept = self._linear(f"{name}_in", x), self._linear(f"{name}_out", h)
        gates = _sigmoid(given[..., : 2 * size] + kept[..., : 2 * size])
        new = np.tanh(given[..., 2 * size :] + gates[..., :size] * kept[..., 2 * size :])
        return new + gates[..., size:] * (h - new)

    def _look(self, features: Array, memory: Array) -> tuple[Array, Array, Array]:
        """What is said of each track, its memory afterwards, and what of it matters for the events (GATHERED,)."""
        x = np.maximum(self._linear("enter", features), 0.0)
        memory = self._gru("memory", x, memory)
        thought = np.maximum(self._linear("think", np.concatenate([x, memory], 1)), 0.0)
        matters = np.maximum(self._linear("matter", thought), 0.0)
        return self._linear("say", thought), memory, matters.max(0, initial=0.0)

    def _foresee(self, matters: Array) -> NDArray[np.float64]:
        x = np.maximum(self._linear("gather", np.concatenate([self.scene, matters])), 0.0)
        self._events = self._gru("events", x, self._events)
        return _sigmoid(self._linear("events", np.concatenate([x, self._events]))).astype(float)


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1.0 + np.tanh(0.5 * x))  # does not overflow


@njit
def _carry(numbers, memory, tracks, out):  # type: ignore[no-untyped-def]
    """Copies the memories (M, HIDDEN) of those `numbers` (M,) that are still among the tracks to their rows of `out`
    (N, HIDDEN). Both are in ascending order."""
    k = 0
    for i in range(len(tracks)):
        while k < len(numbers) and numbers[k] < tracks[i].number:
            k += 1
        if k < len(numbers) and numbers[k] == tracks[i].number:
            out[i] = memory[k]


@njit
def _sharpen(objects, said):  # type: ignore[no-untyped-def]
    """Objects (N,) with the velocities, places and paths that are said (N, sum(SAID)), in place."""
    for i in range(len(objects)):
        o = objects[i]
        far = max(math.hypot(o.xy_ego[0], o.xy_ego[1]), 1.0)
        sight = o.xy_ego[0] / far, o.xy_ego[1] / far
        along, left = PLACE * said[i, _PLACE], PLACE * said[i, _PLACE + 1]
        o.xy_ego[0] += sight[0] * along - sight[1] * left
        o.xy_ego[1] += sight[1] * along + sight[0] * left
        for k in range(2):
            o.velocity_ego[k] += SPEED * said[i, k]
        for j in range(PATHS):
            for k in range(2):
                straight = o.xy_ego[k] + o.velocity_ego[k] * PATH_TIMES[j]
                o.path_ego[j, k] = straight + BEND * said[i, _BEND + 2 * j + k]
            o.path_sigma[j] = math.exp(min(max(said[i, _SIGMA + j], LEAST_SIGMA), MOST_SIGMA))
