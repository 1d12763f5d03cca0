"""How fast the policy learns: the training's own loop, rollouts and updates, for `bench env`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

from roadcraft.control.policy import Policy
from roadcraft.launch.build import build_engine
from roadcraft.launch.options.bench import BenchEnv


class Learner:
    """One environment and the model that learns in it, from the shipped policy on; as `train policy` does it."""

    def __init__(self, asked: BenchEnv, network: bool) -> None:
        from roadcraft.control.train import PolicyTraining, make_envs, make_learner

        how = PolicyTraining(
            out=Path(),
            critic_steps=0,
            envs=1,
            rollout=asked.steps,
            batch=asked.steps,
            seeds=(asked.seed, asked.seed + 1),
            seed=asked.seed,
            engine=partial(build_engine, asked.engine) if network else None,
        )
        self.clock = perf_counter if network else thread_time
        self.env: Any = make_envs(how)
        self.model = make_learner(how, self.env)
        self.model.begin_with(Policy.load())

    def __call__(self, count: int) -> float:
        """Learns for `count` decisions, which are one rollout and its update; how long that took [s]."""
        from roadcraft.control.ppo import Watch

        began = self.clock()
        self.model.learn(count, callback=Watch(), reset_num_timesteps=False)
        return self.clock() - began

    def close(self) -> None:
        """Gives the environment back."""
        self.env.close()


def learners(asked: BenchEnv) -> dict[str, Learner]:
    """On percepts from truth, and from the network."""
    return {"ppo": Learner(asked, network=False), "ppo_network": Learner(asked, network=True)}
