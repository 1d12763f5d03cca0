"""The policy at run time: a small network from the features to two actions, and what the actions mean.

action[0]  a correction of the steering, in units of STEER_SHARE, added to pure pursuit along the planned path;
           it vanishes with the speed
action[1]  acceleration: +1 is ACCEL_MAX, -1 is -BRAKE_MAX [m/s^2]

The weights are a safetensors file with a JSON card beside it; nothing is unpickled, and numpy runs them.
"""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.car import ACCEL_MAX, BRAKE_MAX, brake_for, steer_for, throttle_for
from roadcraft.control.layout import LAYOUT_HASH, SIZE
from roadcraft.control.paths import pursue
from roadcraft.sim.errors import UserError
from roadcraft.sim.kernels import kernel, njit
from roadcraft.sim.making import maker
from roadcraft.sim.messages import Control

STEER_SHARE = 0.12  # of full steering, at |action[0]| = 1 ...
STEER_SPEED = 8.0  # m/s ... from this speed on; less below: whoever crawls round a bend shall follow the path
DECIDE_TICKS = 2  # world ticks an action is held: 10 Hz
SHIPPED = "policy.safetensors"
_control = maker(Control)


def control_for(action: NDArray[np.floating], path: NDArray[np.float64], speed: float) -> Control:
    """The control that an action (2,) means on the planned path (T, 2) [m] at `speed` [m/s]."""
    return _control(*_pedals(action, path, speed))


@njit
def _pedals(action: NDArray[np.floating], path: NDArray[np.float64], speed: float) -> tuple[float, float, float]:
    steer = steer_for(pursue(path, speed), speed) + steer_share(speed) * float(action[0])
    accel = acceleration_for(float(action[1]))
    return min(1.0, max(-1.0, steer)), throttle_for(accel, speed), brake_for(accel, speed)


@kernel
def steer_share(speed: float) -> float:
    """Of full steering, what action[0] = 1 adds at `speed` [m/s]."""
    return STEER_SHARE * min(max(speed / STEER_SPEED, 0.02), 1.0)


@kernel
def acceleration_for(action: float) -> float:
    """[m/s^2] of action[1] in [-1, 1]."""
    return action * (ACCEL_MAX if action > 0.0 else BRAKE_MAX)


def action_for(accel: float) -> float:
    """Inverse of `acceleration_for`, clipped to [-1, 1]."""
    return min(1.0, max(-1.0, accel / (ACCEL_MAX if accel > 0.0 else BRAKE_MAX)))


class Policy:
    """Fully connected layers with tanh between them; the output is clipped to [-1, 1]."""

    def __init__(self, layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]], card: dict[str, Any]) -> None:
        """`layers`: weight (out, in) and bias (out,) each. Raises UserError where the shapes do not fit."""
        sizes = [layers[0][0].shape[1], *(weight.shape[0] for weight, _ in layers)]
        if sizes[0] != SIZE or sizes[-1] != 2:
            raise UserError(f"policy maps {sizes[0]} numbers to {sizes[-1]}; this version needs {SIZE} to 2")
        self.layers = [(np.ascontiguousarray(w, np.float32), np.ascontiguousarray(b, np.float32)) for w, b in layers]
        self.card = card

    def __call__(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """The action (2,) in [-1, 1] for a feature vector (SIZE,). Raises ValueError where one is not finite."""
        x = vector
        for weight, bias in self.layers[:-1]:
            x = np.tanh(weight @ x + bias)
        weight, bias = self.layers[-1]
        action = weight @ x + bias
        if not np.isfinite(action).all():
            raise ValueError("the policy's action is not finite")
        return np.clip(action, -1.0, 1.0)

    @staticmethod
    def load(path: Path | str | None = None) -> Policy:
        """The weights at `path`, the shipped ones without. Raises UserError: no file, another layout, another hash."""
        from safetensors.numpy import load

        source = resources.files("roadcraft.control.weights").joinpath(SHIPPED) if path is None else Path(path)
        card_source = (
            resources.files("roadcraft.control.weights").joinpath(Path(SHIPPED).with_suffix(".json").name)
            if path is None
            else Path(path).with_suffix(".json")
        )
        try:
            data = source.read_bytes()
            card = json.loads(card_source.read_text())
            tensors = load(data)
        except FileNotFoundError as error:
            raise UserError(
                f"no policy weights: {error.filename} is missing; `roadcraft train policy` makes them"
            ) from None
        except Exception as error:
            raise UserError(f"policy weights {source} cannot be read: {error}") from None
        if card.get("sha256") != hashlib.sha256(data).hexdigest():
            raise UserError(f"policy weights {source} do not have the hash that their card {card_source} names")
        if card.get("layout") != LAYOUT_HASH:
            raise UserError(f"policy {source} was trained on another observation layout: {card.get('layout')}")
        count = len(tensors) // 2
        return Policy([(tensors[f"layer{i}.weight"], tensors[f"layer{i}.bias"]) for i in range(count)], card)

    def save(self, path: Path) -> None:
        """Writes the weights to `path` (.safetensors) and the card beside them (.json)."""
        from safetensors.numpy import save

        tensors = {}
        for i, (weight, bias) in enumerate(self.layers):
            tensors[f"layer{i}.weight"], tensors[f"layer{i}.bias"] = weight, bias
        data = save(tensors)
        sha = hashlib.sha256(data).hexdigest()
        card = {**self.card, "layout": LAYOUT_HASH, "size": SIZE, "sha256": sha}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n")
