"""Drivers: each turns a tick into a decision. `load_driver` builds one by name.

network  an engine's percepts -> features -> policy -> supervisor
truth    the same stack on percepts made from facts with an error model
expert   rules on facts; follower: no perception at all
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.decision import Decision
from roadcraft.control.expert import ExpertDriver
from roadcraft.control.features import Features
from roadcraft.control.follower import RouteFollower
from roadcraft.control.policy import DECIDE_TICKS, Policy, control_for
from roadcraft.control.restart import Restart
from roadcraft.control.senses import Senses
from roadcraft.control.supervisor import Supervisor, finite
from roadcraft.perception.delay import Delay, Latency
from roadcraft.perception.percept import Engine, Percept
from roadcraft.perception.present import Present
from roadcraft.perception.truth import ErrorModel, TruthPerception
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Control, Driver, Observation, Tick

Acts = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Stack:
    """What network and truth driver share: percepts' delay and what came of them since, features, policy at 10 Hz,
    supervisor at 20 Hz."""

    def __init__(self, policy: Acts, supervisor: Supervisor | None, delay: Delay | None = None) -> None:
        self.policy = policy
        self.supervisor = supervisor
        self.delay = delay or Delay()
        self.present = Present()
        self.features = Features()
        self.restart = Restart()
        self.reset()

    def reset(self) -> None:
        """A new episode."""
        self.delay.reset()
        self.present.reset()
        self.features.reset()
        self.restart.reset()
        if self.supervisor is not None:
            self.supervisor.reset()
        self.action = np.zeros(2, np.float32)
        self._ticks = 0
        self._percept: Percept | None = None

    def decide(self, observation: Observation, percept: Percept | None) -> Decision:
        """One tick, on the newest percept that has arrived, as of now; one that is no news is not taken in twice.

        Without a percept, or with numbers in it that are not finite, the wish is to roll on along the last plan; the
        supervisor stops the car.
        """
        percept = self.delay(observation.time, percept)
        self.present.move(observation.time, observation.ego)
        news, self._percept = percept is not self._percept, percept
        percept = None if percept is None else self.present(percept)
        sound = percept if percept is not None and finite(percept) else None
        if sound is not None and news:
            self.features.update(observation, sound)
        else:
            self.features.coast(observation)
        if sound is not None:
            if self._ticks % DECIDE_TICKS == 0:
                vector = self.features.vector(self.action)
                self.action = self.restart(observation.ego.speed, vector, self.policy(vector))
            self._ticks += 1
        path, speed = self.features.path, observation.ego.speed
        proposed = control_for(self.action, path, speed) if sound is not None else Control()
        control, veto = proposed, ""
        if self.supervisor is not None:
            control, veto = self.supervisor(observation, percept, self.features, proposed)
        return Decision(percept, path, proposed, control, veto)


class TruthDriver:
    """The stack on percepts made from facts, with an error model ("default": the measured one; None: no errors)."""

    def __init__(
        self,
        policy: Acts | None = None,
        error_model: ErrorModel | Path | str | None = "default",
        seed: int = 0,
        supervise: bool = True,
        delay: Delay | None = None,
        senses: Senses | None = None,
    ) -> None:
        self.perception = TruthPerception(error_model, seed)
        self.stack = Stack(policy or Policy.load(), Supervisor() if supervise else None, delay)
        self.senses = senses or Senses()
        self.seed = seed
        self._frame = -1

    def reset(self) -> None:
        """A new episode; its errors are those of the seed again."""
        self.perception.reset(self.seed)
        self.senses.reset()
        self.stack.reset()
        self._frame = -1

    def __call__(self, tick: Tick) -> Decision:
        if tick.facts.frame <= self._frame:
            self.reset()
        self._frame = tick.facts.frame
        return self.stack.decide(tick.observation, self.senses(tick, self.perception(tick)))


class NetworkDriver:
    """The stack on what an engine perceives in the camera's image. If the engine fails, the car stops in its lane."""

    def __init__(
        self,
        engine: Engine,
        policy: Acts | None = None,
        supervise: bool = True,
        delay: Delay | None = None,
        senses: Senses | None = None,
    ) -> None:
        self.engine = engine
        self.senses = senses or Senses()
        self.stack = Stack(policy or Policy.load(), Supervisor() if supervise else None, delay)
        self.failure = ""  # what the engine raised last
        self._frame = -1

    def reset(self) -> None:
        """A new episode."""
        self.engine.reset()
        self.senses.reset()
        self.stack.reset()
        self.failure = ""
        self._frame = -1

    def __call__(self, tick: Tick) -> Decision:
        observation = tick.observation
        if observation.frame <= self._frame:
            self.reset()
        self._frame = observation.frame
        percept: Percept | None = None
        if self.senses.forgets:
            self.engine.reset()
        try:
            percept = self.senses(tick, self.engine(observation))
        except (ValueError, RuntimeError) as error:
            self.failure = str(error)
        return self.stack.decide(observation, percept)


def load_driver(
    name: str,
    engine: Engine | None = None,
    policy: Path | str | None = None,
    error_model: Path | str | None = "default",
    seed: int = 0,
    supervise: bool = True,
    latency: Latency | None = None,
    senses: Senses | None = None,
) -> Driver:
    """A driver by name, network, truth, expert or follower, or from a file: `FILE.py:CLASS`.

    `engine` is needed for network; `policy` is a weights file, the shipped one without; `latency` delays the percepts
    of network and truth, `senses` changes them. Raises UserError.
    """
    if name == "expert":
        return ExpertDriver()
    if name == "follower":
        return RouteFollower()
    if name == "truth":
        return TruthDriver(Policy.load(policy), error_model, seed, supervise, Delay(latency, seed), senses)
    if name == "network":
        if engine is None:
            raise UserError("driver 'network' needs a perception engine (--engine.name)")
        return NetworkDriver(engine, Policy.load(policy), supervise, Delay(latency, seed), senses)
    if ":" in name:
        return driver_from_file(name)
    raise UserError(f"unknown driver '{name}': expected network, truth, expert, follower or FILE.py:CLASS")


def driver_from_file(target: str) -> Driver:
    """An instance of a class in any Python file, made without arguments. Raises UserError."""
    path, _, name = target.rpartition(":")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise UserError(f"driver '{target}': no Python file {path}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, name):
            raise UserError(f"driver '{target}': {path} has no class {name}")
        driver: Driver = getattr(module, name)()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"driver '{target}': {type(error).__name__}: {error}") from error
    return driver
