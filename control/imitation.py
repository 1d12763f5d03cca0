"""Cloning the expert: DAgger (Ross, Gordon, Bagnell 2011) on the policy's own observations.

The learner drives more and more of the episodes itself, the expert says at every step what it would have done there,
and the network learns from all that was recorded so far. Percepts have errors as a network's; labels come from facts.

    data = Dataset();  for share in SHARES: data.add(record(...));  network = fit(data)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from roadcraft.control.car import steer_for
from roadcraft.control.env import DriveEnv
from roadcraft.control.expert import ExpertDriver
from roadcraft.control.layout import SIZE
from roadcraft.control.paths import pursue
from roadcraft.control.policy import Policy, action_for, steer_share
from roadcraft.sim.errors import UserError

Acts = Callable[[NDArray[np.float32]], NDArray[np.float32]]
HIDDEN = (256, 256)
NOISE = (0.15, 0.08)  # standard deviations added to the expert's actions while it drives, now and then
NOISE_SHARE = 0.3  # of the steps
STEER_WEIGHT, BRAKE_WEIGHT = 2.0, 2.0  # in the loss: steering against acceleration; braking against throttle
SHARES = (1.0, 0.5, 0.3, 0.2, 0.1, 0.0)  # of episodes that the expert drives, iteration by iteration


@dataclass(slots=True)
class Dataset:
    """Observations (N, SIZE) and the expert's actions (N, 2), float32; `rounds` of DAgger are whole in it."""

    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    actions: list[NDArray[np.float32]] = field(default_factory=list)
    rounds: int = 0

    def __len__(self) -> int:
        return len(self.vectors)

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Both as arrays."""
        return np.array(self.vectors, np.float32).reshape(-1, SIZE), np.array(self.actions, np.float32).reshape(-1, 2)

    def save(self, path: Path) -> None:
        """Writes a .npz without pickled objects, whole or not at all."""
        vectors, actions = self.arrays()
        draft = path.with_suffix(".part.npz")
        np.savez_compressed(draft, vectors=vectors, actions=actions, rounds=self.rounds)
        draft.replace(path)

    @staticmethod
    def load(path: Path) -> Dataset:
        """Reads what `save` wrote. Raises UserError for something else and for another observation layout."""
        try:
            with np.load(path, allow_pickle=False) as archive:
                vectors, actions, rounds = archive["vectors"], archive["actions"], int(archive["rounds"])
        except (OSError, EOFError, ValueError, KeyError) as error:
            raise UserError(f"{path} is no dataset: {error}") from None
        if vectors.shape[1:] != (SIZE,):
            raise UserError(f"{path} has observations of {vectors.shape[1:]} numbers; this version makes {SIZE}")
        return Dataset(list(vectors), list(actions), rounds)


def expert_action(env: DriveEnv, expert: ExpertDriver) -> NDArray[np.float32]:
    """What the expert would do in the environment's present state, as an action (2,)."""
    assert env.tick is not None
    curvature, accel = expert.plan(env.tick.facts)
    speed = env.tick.observation.ego.speed
    wanted, planned = steer_for(curvature, speed), steer_for(pursue(env.features.path, speed), speed)
    return np.array([np.clip((wanted - planned) / steer_share(speed), -1.0, 1.0), action_for(accel)], np.float32)


def record(
    env: DriveEnv,
    learner: Acts | None,
    expert_share: float,
    seeds: Sequence[int],
    data: Dataset,
    rng: np.random.Generator,
) -> Iterator[dict[str, Any]]:
    """Drives the seeds' episodes, adds every step to `data` and yields one summary an episode."""
    expert = ExpertDriver()
    for seed in seeds:
        vector, _ = env.reset(options={"seed": seed})
        expert.reset()
        teaches = learner is None or rng.random() < expert_share
        ended, info, steps = False, dict[str, Any](), 0
        while not ended:
            label = expert_action(env, expert)
            data.vectors.append(vector)
            data.actions.append(label)
            if teaches or learner is None:
                noisy = rng.random() < NOISE_SHARE
                action = label + rng.normal(0.0, NOISE).astype(np.float32) * noisy
            else:
                action = learner(vector)
            vector, _, terminated, truncated, info = env.step(action)
            ended, steps = terminated or truncated, steps + 1
        verdict = info["verdict"]
        yield {
            "seed": seed,
            "driver": "expert" if teaches else "learner",
            "steps": steps,
            "completion": verdict.route_completion,
            "score": verdict.score_21,
        }


def fit(data: Dataset, seed: int = 0, epochs: int = 12, batch: int = 512, rate: float = 1e-3) -> tuple[Policy, float]:
    """Trains a fresh network on the data; returns it and its last epoch's loss."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    vectors, actions = (torch.from_numpy(a) for a in data.arrays())
    network = make_network()
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    batches = max(1, len(data) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=epochs * batches + 1)
    generator = torch.Generator().manual_seed(seed)
    loss_sum = 0.0
    for _ in range(epochs):
        order = torch.randperm(len(data), generator=generator)
        loss_sum = 0.0
        for rows in order[: batches * batch].split(batch):
            wanted = actions[rows]
            weight = torch.stack(
                [torch.full((len(rows),), STEER_WEIGHT), 1.0 + (BRAKE_WEIGHT - 1.0) * (wanted[:, 1] < 0)], 1
            )
            loss = (
                weight * nn.functional.smooth_l1_loss(network(vectors[rows]), wanted, reduction="none", beta=0.1)
            ).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            loss_sum += float(loss.detach())
    return to_policy(network), loss_sum / batches


def make_network() -> Any:
    """The policy as a torch module: linear layers with tanh between them."""
    from torch import nn

    sizes = (SIZE, *HIDDEN)
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise(sizes):
        layers += [nn.Linear(size_in, size_out), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 2))


def to_policy(network: Any, card: dict[str, Any] | None = None) -> Policy:
    """The module's linear layers as a `Policy`."""
    from torch import nn

    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    return Policy([(x.weight.detach().numpy().copy(), x.bias.detach().numpy().copy()) for x in linear], card or {})


def clone(
    out: Path,
    steps: int = 100_000,
    seeds: tuple[int, int] = (0, 1000),
    seed: int = 0,
    shares: Sequence[float] = SHARES,
    say: Callable[[str], None] = print,
    env: dict[str, Any] | None = None,
) -> Policy:
    """DAgger until `steps` decisions are recorded; writes out/dataset.npz and out/clone.safetensors every round.

    A round's random numbers follow from the seed and its number: with a dataset.npz in `out` it goes on after the
    rounds that are in it, and comes to the same policy as if it had never been broken off. `env`: options of DriveEnv.
    """
    saved = out / "dataset.npz"
    data = Dataset.load(saved) if saved.is_file() else Dataset()
    about = {"kind": "cloned from the expert", "seeds": list(seeds), "seed": seed}
    policy = fit_and_save(data, out, about) if data.rounds else None
    with (
        closing(DriveEnv(seeds=seeds, **(env or {}))) as place,
        tqdm(total=steps, initial=len(data), desc="cloning", unit="decision") as bar,
    ):
        for number in range(data.rounds, len(shares)):
            rng = np.random.default_rng((seed, number))
            wanted = steps * (number + 1) // len(shares)
            scores: list[float] = []
            while len(data) < wanted:
                for summary in record(place, policy, shares[number], [int(rng.integers(*seeds))], data, rng):
                    bar.update(summary["steps"])
                    if summary["driver"] == "learner":
                        scores.append(summary["score"])
            data.rounds = number + 1
            data.save(saved)
            policy = fit_and_save(data, out, about)
            mean = f"learner scored {np.mean(scores):.1f} over {len(scores)}" if scores else "expert alone"
            bar.clear()
            say(f"round {number + 1}/{len(shares)}: {len(data)} decisions, loss {policy.card['loss']:.4f}, {mean}")
    assert policy is not None
    return policy


def fit_and_save(data: Dataset, out: Path, about: dict[str, Any]) -> Policy:
    """What the data teach, with its card, in out/clone.safetensors."""
    policy, loss = fit(data, about["seed"])
    policy.card = {**about, "decisions": len(data), "loss": round(loss, 5), "rounds": data.rounds}
    policy.save(out / "clone.safetensors")
    return policy
