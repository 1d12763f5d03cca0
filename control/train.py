"""Training of the policy: cloning (`imitation.py`), the critic, PPO (`ppo.py`); `roadcraft train policy`.

Training goes in blocks. Each begins with fresh episodes and random numbers that follow from the seed and the block's
number, and ends with a checkpoint (safetensors and JSON): a run that is resumed does exactly what it would have done.
So do the rounds of cloning.
Traffic and scenarios grow from block to block (`curriculum.py`), by the share of the steps that is done.

    out/dataset.npz, clone.safetensors, clone.json      after each round of cloning
    out/checkpoint.safetensors, checkpoint.json         after each block
    out/best.safetensors, best.json                     the best evaluated so far: what ships
    out/policy.onnx, policy-sb3.zip                     the same for others, at the end
    out/tensorboard/                                    each reward term, each infraction, evaluations
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from roadcraft.control.curriculum import Curriculum, Lesson
from roadcraft.control.drivers import NetworkDriver, TruthDriver
from roadcraft.control.export import to_onnx
from roadcraft.control.imitation import clone
from roadcraft.control.policy import Policy
from roadcraft.perception.percept import Engine
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Driver
from roadcraft.sim.referee import Referee

if TYPE_CHECKING:
    from roadcraft.control.ppo import PulledPPO  # needs the extra `policy`


@dataclass(frozen=True)
class PolicyTraining:
    """What `train` does. Steps are decisions (0.1 s of driving each)."""

    out: Path
    clone_steps: int = 400_000  # recorded for cloning; 0: begin with random weights
    critic_steps: int = 40_960  # in which only the critic learns
    steps: int = 400_000  # of PPO, the critic's included; 0: cloning alone
    envs: int = 2  # processes; 1 runs in this one
    rollout: int = 8192  # steps of each between two updates
    block: int = 2  # updates between two checkpoints
    batch: int = 2048
    epochs: int = 4
    rate: float = 3e-5
    gamma: float = 0.99
    target_kl: float = 0.01
    clip: float = 0.15
    pull: float = 1.0  # of the KL to the clone, at first
    pull_half: int = 60_000  # steps in which it halves
    spread: float = 0.135  # standard deviation of the actions, at first
    seeds: tuple[int, int] = (0, 1000)  # half open
    evaluate_every: int = 2  # blocks
    evaluate_seeds: tuple[int, int] = (1000, 1040)
    seed: int = 0
    error_model: str | None = "default"  # of the percepts; None: exact
    engine: Callable[[], Engine] | None = None  # makes, in each process, what perceives instead
    curriculum: Curriculum | None = field(default_factory=Curriculum)  # of PPO; None: all is there at once
    init: Path | None = None  # begin with these weights instead of cloning
    env: dict[str, Any] = field(default_factory=dict)  # further options of DriveEnv

    def __post_init__(self) -> None:
        least = {name: 1 for name in ("envs", "rollout", "block", "batch", "epochs", "evaluate_every")}
        for name, lowest in {**least, "steps": 0, "clone_steps": 0}.items():
            if getattr(self, name) < lowest:
                raise UserError(f"train policy: {name} = {getattr(self, name)} must be at least {lowest}")
        if not (self.steps or self.clone_steps or self.init):
            raise UserError("train policy: steps = 0 and clone_steps = 0: there is nothing to do")
        for name in ("seeds", "evaluate_seeds"):
            first, last = getattr(self, name)
            if not 0 <= first < last:
                raise UserError(f"train policy: {name} {first}-{last} is empty")

    @property
    def block_steps(self) -> int:
        return self.block * self.rollout * self.envs


def train(how: PolicyTraining, command: str = "", say: Callable[[str], None] = print) -> Path:
    """Trains, or goes on where a run in the same folder stopped; returns the best weights' path."""
    import torch

    from roadcraft.control.ppo import Watch, policy_of, restore, tensors_of

    torch.set_num_threads(1)
    how.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    engine = perceiver(how)
    start = first_policy(how, engine, say)
    env = make_envs(how)
    model = make_learner(how, env, str(how.out / "tensorboard"))
    model.begin_with(start)
    state: dict[str, Any] = {"block": 0, "steps": 0, "best": -1.0, "seconds": 0.0}
    if (how.out / "checkpoint.json").is_file():
        state, tensors = read_checkpoint(how.out)
        restore(model, tensors)
        model.num_timesteps = state["steps"]
    before, since = state["seconds"], model.num_timesteps  # of the runs that were broken off
    kind = "PPO" if random_start(how) else "cloned from the expert, then PPO"
    card = {"kind": kind, "command": command, "seed": how.seed, "seeds": list(how.seeds)}
    if state["block"] == 0:
        state["seconds"] = time.monotonic() - began
        state["best"] = evaluate_and_keep(how, start, engine, {**card, **start.card}, state, say)
    learning = time.monotonic()
    while model.num_timesteps < how.steps:
        begin_block(model, env, how.seed, state["block"], lesson(how, model.num_timesteps))
        model.learn(how.block_steps, callback=Watch(), reset_num_timesteps=False, log_interval=1)
        state = {**state, "block": state["block"] + 1, "steps": model.num_timesteps}
        state["seconds"] = before + time.monotonic() - began
        left = (time.monotonic() - learning) / (state["steps"] - since) * max(0, how.steps - state["steps"])
        say(f"block {state['block']}: {state['steps']}/{how.steps} steps, {left / 60:.0f} min left")
        if state["block"] % how.evaluate_every == 0 or model.num_timesteps >= how.steps:
            policy = policy_of(model, {})
            state["best"] = evaluate_and_keep(how, policy, engine, {**card, "steps": state["steps"]}, state, say)
        write_checkpoint(how.out, state, tensors_of(model))
    model.save(how.out / "policy-sb3.zip")
    to_onnx(Policy.load(how.out / "best.safetensors"), how.out / "policy.onnx")
    env.close()
    return how.out / "best.safetensors"


def first_policy(how: PolicyTraining, engine: Engine | None, say: Callable[[str], None]) -> Policy:
    """The policy that PPO begins with: given, random, cloned in an earlier run of this folder, or cloned now."""
    import torch

    from roadcraft.control.imitation import make_network, to_policy

    if how.init is not None:
        return Policy.load(how.init)
    if random_start(how):
        torch.manual_seed(how.seed)
        return to_policy(make_network(), {"kind": "random"})
    if not (how.out / "clone.done").is_file():
        env = {"error_model": how.error_model, "engine": engine, **how.env}
        clone(how.out, how.clone_steps, how.seeds, how.seed, say=say, env=env)
        (how.out / "clone.done").touch()
    return Policy.load(how.out / "clone.safetensors")


def random_start(how: PolicyTraining) -> bool:
    """Whether PPO begins from nothing."""
    return how.init is None and how.clone_steps == 0


def make_envs(how: PolicyTraining) -> Any:
    """The vector environment, over processes where there is more than one."""
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor

    make = partial(make_env, how.engine, seeds=how.seeds, error_model=how.error_model, **how.env)
    if how.envs == 1:
        return VecMonitor(DummyVecEnv([make]))
    return VecMonitor(SubprocVecEnv([make] * how.envs, start_method="spawn"))


def perceiver(how: PolicyTraining) -> Engine | None:
    """What perceives in this process; None: truth."""
    return None if how.engine is None else how.engine()


def make_env(engine: Callable[[], Engine] | None, **options: Any) -> gym.Env[Any, Any]:
    """One DriveEnv, in whichever process this is called, with an engine of its own."""
    import torch

    from roadcraft.control.env import DriveEnv

    torch.set_num_threads(1)
    return DriveEnv(engine=None if engine is None else engine(), **options)


def make_learner(how: PolicyTraining, env: Any, log: str | None = None) -> PulledPPO:
    """The model that learns in these environments; `log`: TensorBoard's folder."""
    from roadcraft.control.ppo import make_model

    return make_model(
        env,
        how.seed,
        log,
        critic_steps=how.critic_steps,
        pull=0.0 if random_start(how) else how.pull,
        pull_half=how.pull_half,
        spread=how.spread,
        n_steps=how.rollout,
        batch_size=how.batch,
        n_epochs=how.epochs,
        learning_rate=how.rate,
        gamma=how.gamma,
        target_kl=how.target_kl,
        clip_range=how.clip,
    )


def lesson(how: PolicyTraining, steps: int) -> Lesson:
    """What there is of traffic and scenarios in the block that begins after so many steps."""
    return Lesson() if how.curriculum is None else how.curriculum.lesson(steps / how.steps)


def begin_block(model: Any, env: Any, seed: int, block: int, lesson: Lesson) -> None:
    """Fresh episodes and random numbers, by seed and block alone, with what the lesson says in them."""
    from stable_baselines3.common.utils import set_random_seed

    number = int(np.random.SeedSequence([seed, block]).generate_state(1)[0]) % 2**31
    set_random_seed(number)
    env.seed(number)
    env.env_method("learn", lesson)
    model._last_obs = None  # makes `learn` reset the environments


def evaluate_and_keep(
    how: PolicyTraining,
    policy: Policy,
    engine: Engine | None,
    card: dict[str, Any],
    state: dict[str, Any],
    say: Callable[[str], None],
) -> float:
    """Drives the validation routes without supervisor, keeps the policy if it is the best; returns the best score."""
    from torch.utils.tensorboard import SummaryWriter

    results = evaluate(policy, range(*how.evaluate_seeds), how.error_model, engine)
    say(f"evaluation at {state['steps']} steps: " + ", ".join(f"{k} {v:.3g}" for k, v in results.items()))
    with (how.out / "evaluations.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"steps": state["steps"], **results}) + "\n")
    with SummaryWriter(str(how.out / "tensorboard" / "evaluations")) as writer:
        for name, value in results.items():
            writer.add_scalar(f"evaluation/{name}", value, state["steps"])
    if results["driving_score"] > state["best"]:
        percepts = "truth" if engine is None else "network"
        about = {"seeds": list(how.evaluate_seeds), "percepts": percepts, "supervisor": False}
        policy.card = {**card, "minutes": round(state["seconds"] / 60, 1), "evaluation": {**about, **results}}
        policy.save(how.out / "best.safetensors")
    return max(state["best"], results["driving_score"])


def evaluate(
    policy: Policy,
    seeds: range,
    error_model: str | None = "default",
    engine: Engine | None = None,
    supervise: bool = False,
    max_time: float = 400.0,
) -> dict[str, float]:
    """Mean scores of a policy on truth's percepts, or the engine's, and infractions in all, over the seeds' routes."""
    world, scores, completions = EmbeddedWorld(), [], []
    counts: dict[str, float] = {}
    for seed in seeds:
        referee = Referee()
        if engine is None:
            driver: Driver = TruthDriver(policy, error_model, seed, supervise)
            tick = world.reset(episode_from_seed(seed, camera=None))
        else:
            driver = NetworkDriver(engine, policy, supervise)
            tick = world.reset(episode_from_seed(seed))
        verdict = referee(tick.facts)
        while not verdict.done and tick.facts.time < max_time:
            tick = world.step(driver(tick).control)
            verdict = referee(tick.facts)
        scores.append(verdict.score_21)
        completions.append(verdict.route_completion)
        for kind, count in verdict.infractions.items():
            if count:
                counts[kind] = counts.get(kind, 0) + count
    world.close()
    return {"driving_score": float(np.mean(scores)), "route_completion": float(np.mean(completions)), **counts}


def write_checkpoint(out: Path, state: dict[str, Any], tensors: dict[str, Any]) -> None:
    """Both files whole or not at all."""
    from safetensors.numpy import save

    for name, data in (
        ("checkpoint.safetensors", save({k: np.atleast_1d(v) for k, v in tensors.items()})),
        ("checkpoint.json", (json.dumps(state, indent=2) + "\n").encode()),
    ):
        temporary = out / f"{name}.tmp"
        temporary.write_bytes(data)
        os.replace(temporary, out / name)


def read_checkpoint(out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """State and tensors as `write_checkpoint` wrote them."""
    from safetensors.numpy import load

    state: dict[str, Any] = json.loads((out / "checkpoint.json").read_text())
    tensors = load((out / "checkpoint.safetensors").read_bytes())
    return state, {k: v[0] if k.endswith(".step") else v for k, v in tensors.items()}
