"""PPO that starts from a cloned policy without losing it.

Plain PPO forgets a warm start: the critic knows nothing yet and its first advantages are noise. So the critic is fitted
first with the actor frozen; then come small steps (learning rate, target_kl) and a pull towards the clone,
KL(policy || clone) times a coefficient that halves every `pull_half` steps.
"""

from __future__ import annotations

from collections import defaultdict
from math import log as ln
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn
from torch.nn import functional

from roadcraft.control.imitation import HIDDEN
from roadcraft.control.policy import Policy
from roadcraft.control.rewards import TERMS
from roadcraft.sim.scores import KINDS


class PulledPPO(PPO):
    """Stable-Baselines3's PPO with a frozen start and a decaying pull to the policy that it began with."""

    def __init__(
        self, *args: Any, critic_steps: int = 0, pull: float = 0.0, pull_half: float = 1e5, **options: Any
    ) -> None:
        """`critic_steps`: steps in which only the critic learns; `pull`: coefficient of the KL at first."""
        super().__init__(*args, **options)
        self.critic_steps, self.pull, self.pull_half = critic_steps, pull, pull_half
        self.clone: nn.Sequential | None = None

    def begin_with(self, policy: Policy) -> None:
        """Copies the policy's layers into the actor and keeps them as what it is pulled to."""
        for layer, (weight, bias) in zip(actor_layers(self), policy.layers, strict=True):
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(weight))
                layer.bias.copy_(torch.from_numpy(bias))
        self.clone = module_of(policy)

    def train(self) -> None:
        """One update from the rollout buffer: the loop of SB3's PPO with the pull added, or the critic alone."""
        self.policy.set_training_mode(True)
        critic_only = self.num_timesteps <= self.critic_steps
        after = max(0, self.num_timesteps - self.critic_steps)
        pull = self.pull * 0.5 ** (after / self.pull_half) if self.clone is not None else 0.0
        sums: defaultdict[str, float] = defaultdict(float)
        updates, going = 0, True
        for _ in range(self.n_epochs):
            for data in self.rollout_buffer.get(self.batch_size):
                values, log_prob, entropy = self.policy.evaluate_actions(data.observations, data.actions)
                value_loss = functional.mse_loss(data.returns, values.flatten())
                loss = self.vf_coef * value_loss
                if not critic_only:
                    log_ratio = log_prob - data.old_log_prob
                    kl = float(((torch.exp(log_ratio) - 1) - log_ratio).mean().detach())
                    if self.target_kl is not None and kl > 1.5 * self.target_kl:
                        going = False
                        break
                    policy_loss = self.policy_loss(data.advantages, log_ratio)
                    away = self.distance_to_clone(data.observations)
                    bonus = -log_prob.mean() if entropy is None else entropy.mean()
                    loss = loss + policy_loss + pull * away - self.ent_coef * bonus
                    sums["policy_loss"] += float(policy_loss.detach())
                    sums["kl"] += kl
                    sums["distance"] += float(away.detach())
                self.policy.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()
                sums["value_loss"] += float(value_loss.detach())
                updates += 1
            if not going:
                break
        self._n_updates += self.n_epochs
        for name, value in sums.items():
            self.logger.record(f"train/{name}", value / max(1, updates))
        self.logger.record("train/pull", pull)
        self.logger.record("train/std", float(torch.exp(self.policy.log_std).mean().detach()))

    def policy_loss(self, advantages: torch.Tensor, log_ratio: torch.Tensor) -> torch.Tensor:
        """The clipped surrogate (Schulman et al. 2017, eq. 7), advantages normalised."""
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        ratio, clip = torch.exp(log_ratio), self.clip_range(self._current_progress_remaining)
        return -torch.min(advantages * ratio, advantages * torch.clamp(ratio, 1 - clip, 1 + clip)).mean()

    def distance_to_clone(self, observations: torch.Tensor) -> torch.Tensor:
        """KL of two Gaussians with the same spread: the squared distance of their means in units of it, halved."""
        if self.clone is None:
            return torch.zeros(())
        mean = self.policy.get_distribution(observations).distribution.mean
        with torch.no_grad():
            wanted = self.clone(observations)
        spread = torch.exp(self.policy.log_std).detach()
        return 0.5 * (((mean - wanted) / spread) ** 2).sum(1).mean()


def actor_layers(model: PPO) -> list[nn.Linear]:
    """The linear layers from observation to mean action."""
    hidden = [layer for layer in model.policy.mlp_extractor.policy_net if isinstance(layer, nn.Linear)]
    return [*hidden, model.policy.action_net]


def policy_of(model: PPO, card: dict[str, Any]) -> Policy:
    """The actor's mean as a `Policy`."""
    return Policy(
        [(x.weight.detach().numpy().copy(), x.bias.detach().numpy().copy()) for x in actor_layers(model)], card
    )


def module_of(policy: Policy) -> nn.Sequential:
    """A `Policy` as a torch module that does not learn."""
    layers: list[nn.Module] = []
    for weight, bias in policy.layers:
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
        layers += [linear, nn.Tanh()]
    module = nn.Sequential(*layers[:-1])
    return module.requires_grad_(False)


def make_model(env: Any, seed: int, log: str | None, spread: float, **options: Any) -> PulledPPO:
    """The model for DriveEnv; `spread`: of the actions, at first; `options` are PulledPPO's and PPO's."""
    return PulledPPO(
        "MlpPolicy",
        env,
        policy_kwargs={
            "net_arch": {"pi": list(HIDDEN), "vf": list(HIDDEN)},
            "activation_fn": nn.Tanh,
            "log_std_init": ln(spread),
        },
        seed=seed,
        device="cpu",
        tensorboard_log=log,
        **options,
    )


class Watch(BaseCallback):
    """Logs each reward term, each infraction and the episodes' scores; calls `tick` with the steps done."""

    def __init__(self, tick: Any = None) -> None:
        super().__init__()
        self.tick = tick

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            for term in TERMS:
                self.logger.record_mean(f"reward/{term}", info["terms"][term])
            verdict = info.get("verdict")
            if verdict is not None:
                self.logger.record_mean("episode/score_21", verdict.score_21)
                self.logger.record_mean("episode/completion", verdict.route_completion)
                for kind in KINDS:
                    self.logger.record_mean(f"infractions/{kind}", verdict.infractions[kind])
        if self.tick is not None:
            self.tick(self.num_timesteps)
        return True


def tensors_of(model: PPO) -> dict[str, np.ndarray]:
    """Parameters and Adam's moments by name: all that must be kept to go on exactly."""
    tensors = {f"policy.{name}": value.detach().numpy().copy() for name, value in model.policy.state_dict().items()}
    for index, state in model.policy.optimizer.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"adam.{index}.{name}"] = np.asarray(value.detach().numpy()).copy()
    return tensors


def restore(model: PPO, tensors: dict[str, np.ndarray]) -> None:
    """Inverse of `tensors_of`."""
    parameters = {k.removeprefix("policy."): torch.from_numpy(v) for k, v in tensors.items() if k.startswith("policy.")}
    model.policy.load_state_dict(parameters)
    optimiser = model.policy.optimizer
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("adam."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = torch.from_numpy(np.array(value))
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
