"""What all engines share: checking and fitting the frame, motion, time, decoding. Only the step itself differs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.decode import Decoder
from roadcraft.perception.foresight import Foresight, load_foresight
from roadcraft.perception.percept import Percept
from roadcraft.perception.view import LONGEST_GAP, Fitter, motion_vector
from roadcraft.sim.messages import Camera, Observation


@dataclass(frozen=True)
class Model:
    """What an engine must know of the network beside its graph."""

    height: int
    width: int
    state: dict[str, tuple[int, ...]]  # names and shapes of the state's tensors
    hash: str  # of the weights


class Stepper(Protocol):
    """Runs one step of the network and keeps its state."""

    @property
    def threads(self) -> int | None:
        """Of the CPU, that compute; None where the runtime does not say."""

    def reset(self) -> None:
        """Back to the state before the first frame."""

    def step(self, frame: NDArray[np.uint8], motion: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Frame (1, H, W, 3), motion (1, 7) to published heads without their batch dimension; they are the engine's
        and overwritten by the next step. Raises RuntimeError when the runtime fails."""


class NetworkEngine:
    """`percept.Engine` around a stepper."""

    def __init__(self, name: str, precision: str, stepper: Stepper, model: Model, why: str = "asked for") -> None:
        self.name, self.precision, self.model, self.why = name, precision, model, why
        self.threads = stepper.threads
        self._stepper = stepper
        self._fitter = Fitter(model.width, model.height)
        self.decoder = Decoder(self._fitter, Foresight(load_foresight()))
        self.heads: dict[str, NDArray[np.float32]] = {}  # of the last frame, for those who measure
        self.parts = {"prepare": 0.0, "network": 0.0, "decode": 0.0}  # [s] of the last frame
        self.reset()

    def reset(self) -> None:
        """Forgets everything seen so far."""
        self._stepper.reset()
        self.decoder.reset()
        self._last: float | None = None

    def __call__(self, observation: Observation) -> Percept:
        """Perceives one frame. Raises ValueError for a missing image, a wrong type, a size that is not the camera's, a
        number that is not finite and a time that does not go on."""
        began = time.perf_counter()
        if observation.rgb is None:
            raise ValueError(f"frame {observation.frame} has no image: the episode needs a camera")
        camera = observation.camera or Camera()
        frame = self._fitter(observation.rgb)
        if observation.rgb.shape[:2] != (camera.height, camera.width):
            height, width = observation.rgb.shape[:2]
            raise ValueError(
                f"frame {observation.frame} is {width}x{height}, its camera says {camera.width}x{camera.height}"
            )
        motion = self._motion(observation)
        fitted = time.perf_counter()
        self.heads = heads = self._stepper.step(frame, motion)
        stepped = time.perf_counter()
        if bad := not_finite(heads):
            self.reset()  # or the memory would hand it on for ever
            raise ValueError(f"frame {observation.frame}: the network's answer is not finite ({', '.join(bad)})")
        percept = self.decoder(heads, observation)
        done = time.perf_counter()
        self.parts = {"prepare": fitted - began, "network": stepped - fitted, "decode": done - stepped}
        return _with_latency(percept, done - began)

    def _motion(self, observation: Observation) -> NDArray[np.float32]:
        dt = 0.0 if self._last is None else observation.time - self._last
        if self._last is not None and dt <= 0.0:
            raise ValueError(
                f"frame {observation.frame} at {observation.time} s is not after {self._last} s: reset() first"
            )
        if dt > LONGEST_GAP:
            self.reset()
            dt = 0.0
        self._last = observation.time
        ego, camera = observation.ego, observation.camera or Camera()
        motion = motion_vector(camera, ego.speed, ego.yaw_rate, dt)[None]
        if not np.isfinite(motion).all():
            raise ValueError(
                f"frame {observation.frame}: speed, yaw rate or camera is not finite: {motion[0].tolist()}"
            )
        return motion


def not_finite(heads: dict[str, NDArray[np.float32]]) -> list[str]:
    """The heads with a number that is not finite: 0.02 ms for all of the shipped network's."""
    return [name for name, values in heads.items() if not np.isfinite(values).all()]


def _with_latency(percept: Percept, seconds: float) -> Percept:
    """The same percept with its latency, set in place: it is new and nobody else's."""
    object.__setattr__(percept, "latency", seconds)
    return percept


class TwoBuffers:
    """Input and output state of a runtime: two sets of arrays that change places after each step, never the same."""

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self._sets: tuple[dict[str, Any], dict[str, Any]] = tuple(  # type: ignore[assignment]
            {name: np.zeros(shape, np.float32) for name, shape in shapes.items()} for _ in range(2)
        )
        self._now = 0

    @property
    def read(self) -> dict[str, NDArray[np.float32]]:
        """The state before the step."""
        return self._sets[self._now]

    @property
    def write(self) -> dict[str, NDArray[np.float32]]:
        """Where the step puts the state after it."""
        return self._sets[1 - self._now]

    def swap(self) -> None:
        """After a step."""
        self._now = 1 - self._now

    def clear(self) -> None:
        """Back to zeros."""
        for values in self._sets:
            for array in values.values():
                array.fill(0.0)
