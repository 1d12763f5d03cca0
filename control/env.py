"""DriveEnv: driving routes as a Gymnasium environment, `gym.make("roadcraft/Drive-v0")`.

One step is one decision of the policy: two world ticks of 0.05 s. The observation is `features.py`'s vector, made from
percepts (truth with an error model, or an engine), the action is `policy.py`'s, the reward `rewards.py`'s. An episode
is one seed: town, weather, route, traffic. `reset(options={"seed": 7})` drives that one, otherwise one is drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from roadcraft.control.curriculum import Lesson
from roadcraft.control.features import Features
from roadcraft.control.layout import SIZE
from roadcraft.control.policy import DECIDE_TICKS, control_for
from roadcraft.control.rewards import ENDS, reward_terms
from roadcraft.control.supervisor import Supervisor
from roadcraft.perception.percept import Engine
from roadcraft.perception.truth import ErrorModel, TruthPerception
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import DT, Camera, Episode, Tick, World
from roadcraft.sim.referee import Referee, Verdict

RENDER = Camera(width=320, height=180)
STILL = 60.0  # s of standing after which an episode of training is cut short


class DriveEnv(gym.Env[NDArray[np.float32], NDArray[np.float32]]):
    """Observation (SIZE,) in [-1, 1], action (2,) in [-1, 1]: see `layout.py` and `policy.py`."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 (Gymnasium's own way)

    def __init__(
        self,
        seeds: tuple[int, int] = (0, 1000),
        error_model: ErrorModel | Path | str | None = "default",
        engine: Engine | None = None,
        supervise: bool = False,
        max_time: float = 180.0,
        render_mode: str | None = None,
        world: World | None = None,
        episode: dict[str, Any] | None = None,
    ) -> None:
        """`seeds`: half-open range that episodes are drawn from; `episode`: fields that override each episode's.

        With an `engine` the percepts are its own (frames are rendered), otherwise truth with `error_model`.
        """
        if not 0 <= seeds[0] < seeds[1]:
            raise UserError(f"seed range {seeds[0]}-{seeds[1]} is empty")
        self.seeds = seeds
        self.engine = engine
        self.supervisor = Supervisor() if supervise else None
        self.max_time = max_time
        self.render_mode = render_mode
        self.overrides = dict(episode or {})
        self.lesson = Lesson()
        if engine is None:
            self.overrides["camera"] = RENDER if render_mode == "rgb_array" else None
        self.world: World = world or EmbeddedWorld()
        self.truth = TruthPerception(error_model)
        self.features = Features()
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (SIZE,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.tick: Tick | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begins an episode: that of `options["seed"]`, or one drawn from the range."""
        super().reset(seed=seed)
        chosen = (options or {}).get("seed")
        number = int(self.np_random.integers(*self.seeds)) if chosen is None else int(chosen)
        self.episode: Episode = self.lesson(episode_from_seed(number, **self.overrides))
        self.referee = Referee()
        self.truth.reset(int(self.np_random.integers(2**31)) if chosen is None else number)
        if self.engine is not None:
            self.engine.reset()
        if self.supervisor is not None:
            self.supervisor.reset()
        self.features.reset()
        self.action = np.zeros(2, np.float32)
        self._still = 0.0
        self._take(self.world.reset(self.episode))
        return self.features.vector(self.action), {"seed": number}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Drives two ticks. `info`: terms (reward by name), events (kinds), verdict at the episode's end."""
        if self.tick is None:
            raise RuntimeError("DriveEnv.step before reset")
        self.action = _clipped(action)
        before, accel = self.tick.facts, (0.0, 0.0)
        events: list[str] = []
        verdict: Verdict | None = None
        for _ in range(DECIDE_TICKS):
            verdict = self._drive()
            if verdict.events:
                events += [event.kind for event in verdict.events]
            along, across = self.tick.observation.ego.accel_ego.tolist()
            accel = _larger(accel[0], along), _larger(accel[1], across)
            if verdict.done or not ENDS.isdisjoint(events):
                break
        assert verdict is not None
        facts = self.tick.facts
        terms = reward_terms(before, facts, accel, events)
        terminated = verdict.done or not ENDS.isdisjoint(events)
        truncated = not terminated and (facts.time >= self.max_time or self._still > STILL)
        info: dict[str, Any] = {"terms": terms, "events": events}
        if terminated or truncated:
            info["verdict"] = verdict
        return self.features.vector(self.action), sum(terms.values()), terminated, truncated, info

    def learn(self, lesson: Lesson) -> None:
        """From the next episode on, as much traffic and as many scenarios as the lesson says."""
        self.lesson = lesson

    def render(self) -> NDArray[np.uint8] | None:
        """The camera's last picture (H, W, 3)."""
        return None if self.tick is None else self.tick.observation.rgb

    def close(self) -> None:
        """Gives the world back."""
        self.world.close()

    def _drive(self) -> Verdict:
        """One tick with the present action."""
        assert self.tick is not None
        observation = self.tick.observation
        control = control_for(self.action, self.features.path, observation.ego.speed)
        if self.supervisor is not None:
            control, _ = self.supervisor(observation, self.percept, self.features, control)
        return self._take(self.world.step(control))

    def _take(self, tick: Tick) -> Verdict:
        """Perceives and judges a tick."""
        self.tick = tick
        self.percept = self.engine(tick.observation) if self.engine is not None else self.truth(tick)
        self.features.update(tick.observation, self.percept)
        speed = abs(tick.observation.ego.speed)
        self._still = self._still + DT if speed < 0.1 else 0.0
        return self.referee(tick.facts)


def _clipped(action: NDArray[np.float32]) -> NDArray[np.float32]:
    """The action in [-1, 1]; what is no number stays. Two numbers: here `np.clip` takes ten times as long."""
    steer, accel = np.asarray(action, np.float32).tolist()
    clipped = np.empty(2, np.float32)
    clipped[0] = -1.0 if steer < -1.0 else min(steer, 1.0)
    clipped[1] = -1.0 if accel < -1.0 else min(accel, 1.0)
    return clipped


def _larger(a: float, b: float) -> float:
    """The one that is further from 0."""
    return b if abs(b) > abs(a) else a
